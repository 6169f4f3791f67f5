"""Alerts: the active ones, their history, and the rules."""

from __future__ import annotations

from dashboard.alerts import page as alerts
from dashboard.components.live import live
from dashboard.ui import bridge
from dashboard.ui.tabs import tabs
from dashboard.ui.title import title
from services.alerts.evaluator import TOPIC

TABS = {
    "now": ":material/notifications_active: Active",
    "history": ":material/history: History",
    "rules": ":material/rule: Rules",
}

title("Alerts")
parts = tabs(TABS, key="alerts.tabs")
if parts["now"].open:
    with parts["now"]:
        alerts.firing()
if parts["history"].open:
    with parts["history"]:
        alerts.history()
if parts["rules"].open:
    with parts["rules"]:
        alerts.rules()
live(bridge.live_ticket(TOPIC), key="alerts.live", max_per_second=0.5)
