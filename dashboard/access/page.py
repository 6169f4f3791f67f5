"""Drawing the access page: users and their roles, and the audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.ui import bridge, feedback, paging, viewer
from dashboard.ui import format as fmt
from services.access.permissions import RULES, Role
from services.clock import utc_now
from services.errors import SwitchboardError
from services.store.audit_records import AuditEntry, AuditPage, AuditQuery

_KEY: Final = "access"
_AT_ONCE: Final = 100
_DAYS: Final[dict[str, int | None]] = {"": None, "1d": 1, "7d": 7, "30d": 30, "90d": 90}
_DAYS_WORDS: Final = {
    "": "All time",
    "1d": "Last 24 hours",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
}
_FIELDS: Final = ("q", "action", "outcome", "since")
_LOGINS: Final = {
    "none": "Sign-in is off: anyone with access to this machine has every permission.",
    "password": "Users sign in with a name and a password from the users file.",
    "proxy": "A reverse proxy authenticates users.",
    "oidc": "An OpenID Connect (OIDC) identity provider authenticates users.",
}


def audit() -> None:
    """The audit log: searched, page by page, and as CSV."""
    reader = bridge.runtime().audit_reader
    try:
        actions = bridge.ask(lambda who: reader.actions(actor=who))
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.audit.error")
        return
    wanted = _wanted(actions)
    cursors = paging.cursors(_KEY, [st.session_state[_field(name)] for name in _FIELDS])
    try:
        page = bridge.ask(
            lambda who: reader.page(wanted, cursor=cursors[-1], limit=_AT_ONCE, actor=who)
        )
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.audit.error")
        return
    if not page.entries:
        feedback.show_empty("No entries match.", hint="Clear a filter or change the search.")
        return
    _table(page)
    _below(page, cursors)


def people() -> None:
    """How users sign in, the role of each, and the permissions of each role."""
    runtime = bridge.runtime()
    st.info(_LOGINS[runtime.sign_in.login], icon=":material/login:")
    if runtime.sign_in.login != "none":
        st.caption(
            f"Roles are defined in {fmt.code(str(runtime.settings.people_file))}. Changes take effect "
            "immediately. Manage users with `switchboard users`; docs/access.md describes the format."
        )
        try:
            rows = [
                {"User or group": fmt.plain(name), "Kind": "user", "Role": person.role.value}
                for name, person in runtime.people.everyone().items()
            ]
            rows += [
                {"User or group": fmt.plain(name), "Kind": "group", "Role": role.value}
                for name, role in runtime.people.groups().items()
            ]
        except SwitchboardError as error:
            feedback.show_error(error, key=f"{_KEY}.people.error")
            return
        if rows:
            st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Users and groups with roles")
        else:
            feedback.show_empty(
                "No users configured.",
                hint="Add one with `switchboard users add NAME ROLE`.",
                icon=":material/group:",
            )
    st.header("Permissions by role", anchor=False)
    st.dataframe(_matrix(), hide_index=True, alt="Permissions by role")


def _matrix() -> pd.DataFrame:
    order = list(Role)
    rows = []
    for rule in RULES.values():
        least = order.index(rule.role)
        may = {role.value: "✓" if order.index(role) >= least else "" for role in order}
        rows.append({"Permission": rule.what, **may, "API key scope": rule.scope.value})
    return pd.DataFrame(rows)


def _wanted(actions: tuple[str, ...]) -> AuditQuery:
    for name in _FIELDS:
        st.session_state.setdefault(_field(name), st.query_params.get(name, ""))
    if st.session_state[_field("action")] not in ("", *actions):
        st.session_state[_field("action")] = ""
    if st.session_state[_field("since")] not in _DAYS:
        st.session_state[_field("since")] = ""
    columns = st.columns([4, 3, 2, 2], vertical_alignment="bottom")
    columns[0].text_input("Search", key=_field("q"), placeholder="User, room, session or action")
    columns[1].selectbox(
        "Action", ["", *actions], format_func=lambda one: one or "Any", key=_field("action")
    )
    columns[2].text_input(
        "Result", key=_field("outcome"), placeholder="Any, e.g. denied", max_chars=40
    )
    columns[3].selectbox(
        "Time range", list(_DAYS), format_func=_DAYS_WORDS.__getitem__, key=_field("since")
    )
    told = {name: str(st.session_state[_field(name)]).strip() for name in _FIELDS}
    for name, value in told.items():
        if value:
            st.query_params[name] = value
        else:
            st.query_params.pop(name, None)
    days = _DAYS[told["since"]]
    return AuditQuery(
        text=told["q"] or None,
        action=told["action"] or None,
        outcome=told["outcome"] or None,
        since=utc_now() - timedelta(days=days) if days is not None else None,
    )


def _table(page: AuditPage) -> None:
    st.dataframe(
        pd.DataFrame([_row(entry) for entry in page.entries]),
        hide_index=True,
        alt="Audit log, newest first",
        column_config={"Details": st.column_config.TextColumn(width="large")},
    )


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {
        "Time": viewer.moment(entry.at),
        "User": fmt.plain(entry.actor) or "Switchboard",
        "Role": fmt.plain(entry.role),
        "Action": entry.action,
        "Target": fmt.plain(entry.target),
        "Result": entry.outcome,
        "Source": entry.address or ("this machine" if entry.via == "page" else ""),
        "Details": fmt.plain(_details(entry.facts)),
    }


def _details(facts: Mapping[str, Any]) -> str:
    """`{"reason": "Over", "rooms": ["a", "b"]}` becomes `Reason: Over; Rooms: a, b`."""
    return "; ".join(
        f"{name.replace('_', ' ').capitalize()}: {_value(value)}" for name, value in facts.items()
    )


def _value(value: Any) -> str:
    match value:
        case str():
            return value
        case list() if all(isinstance(one, str) for one in value):
            return ", ".join(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


def _below(page: AuditPage, cursors: list[str | None]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        paging.buttons(_KEY, cursors, page.next_cursor)
        st.space("stretch")
        told = {name: str(st.query_params[name]) for name in _FIELDS if name in st.query_params}
        st.link_button(
            "Export CSV",
            bridge.download_url("audit", **told),
            icon=":material/download:",
            type="tertiary",
        )


def _field(name: str) -> str:
    return f"{_KEY}.{name}"
