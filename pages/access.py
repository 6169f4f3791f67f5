"""Access: the audit log, API keys, users and roles, data retention."""

from __future__ import annotations

from dashboard.access import api_keys, retention
from dashboard.access import page as access
from dashboard.ui.tabs import tabs
from dashboard.ui.title import title

TABS = {
    "audit": ":material/history: Audit log",
    "keys": ":material/key: API keys",
    "people": ":material/group: Users and roles",
    "retention": ":material/auto_delete: Data retention",
}

title("Access")
api_keys.revoke_dialog()
retention.user_dialog()
parts = tabs(TABS, key="access.tabs")
if parts["audit"].open:
    with parts["audit"]:
        access.audit()
if parts["keys"].open:
    with parts["keys"]:
        api_keys.panel()
if parts["people"].open:
    with parts["people"]:
        access.people()
if parts["retention"].open:
    with parts["retention"]:
        retention.panel()
