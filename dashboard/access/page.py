"""Drawing the access page: who may do what, and what everybody did."""

from __future__ import annotations

import json
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
    "": "any time",
    "1d": "last 24 hours",
    "7d": "last 7 days",
    "30d": "last 30 days",
    "90d": "last 90 days",
}
_FIELDS: Final = ("q", "action", "outcome", "since")
_LOGINS: Final = {
    "none": "There is no login: whoever sits at this machine may do everything.",
    "password": "People sign in with a password of the file of people.",
    "proxy": "A proxy in front says who comes.",
    "oidc": "An identity provider (OIDC) says who comes.",
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
        feedback.show_empty("Nothing was done that this names.", hint="Ask for less.")
        return
    _table(page)
    _below(page, cursors)


def people() -> None:
    """How one signs in here, who has which role, and what each role may do."""
    runtime = bridge.runtime()
    st.info(_LOGINS[runtime.sign_in.login], icon=":material/login:")
    if runtime.sign_in.login != "none":
        st.caption(
            f"Roles stand in {fmt.code(str(runtime.settings.people_file))}; a change counts at "
            "once. `switchboard users` writes it; docs/access.md has its form."
        )
        try:
            rows = [
                {"Who": fmt.plain(name), "Kind": "person", "Role": person.role.value}
                for name, person in runtime.people.everyone().items()
            ]
            rows += [
                {"Who": fmt.plain(name), "Kind": "group", "Role": role.value}
                for name, role in runtime.people.groups().items()
            ]
        except SwitchboardError as error:
            feedback.show_error(error, key=f"{_KEY}.people.error")
            return
        if rows:
            st.dataframe(pd.DataFrame(rows), hide_index=True, alt="People, groups and their roles")
        else:
            feedback.show_empty("The file names nobody.", icon=":material/group:")
    st.header("What each role may do", anchor=False)
    st.dataframe(_matrix(), hide_index=True, alt="What each role may do")


def _matrix() -> pd.DataFrame:
    order = list(Role)
    rows = []
    for rule in RULES.values():
        least = order.index(rule.role)
        may = {role.value: "✓" if order.index(role) >= least else "" for role in order}
        rows.append({"May": rule.what, **may, "API key with": rule.scope.value})
    return pd.DataFrame(rows)


def _wanted(actions: tuple[str, ...]) -> AuditQuery:
    for name in _FIELDS:
        st.session_state.setdefault(_field(name), st.query_params.get(name, ""))
    if st.session_state[_field("action")] not in ("", *actions):
        st.session_state[_field("action")] = ""
    if st.session_state[_field("since")] not in _DAYS:
        st.session_state[_field("since")] = ""
    columns = st.columns([4, 3, 2, 2], vertical_alignment="bottom")
    columns[0].text_input(
        "Search", key=_field("q"), placeholder="A person, a room, a session, an action"
    )
    columns[1].selectbox(
        "Action", ["", *actions], format_func=lambda one: one or "any", key=_field("action")
    )
    columns[2].text_input(
        "Outcome", key=_field("outcome"), placeholder="any; such as denied", max_chars=40
    )
    columns[3].selectbox(
        "When", list(_DAYS), format_func=_DAYS_WORDS.__getitem__, key=_field("since")
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
        alt="What was done, newest first",
        column_config={"Facts": st.column_config.TextColumn(width="large")},
    )


def _row(entry: AuditEntry) -> dict[str, Any]:
    facts = json.dumps(entry.facts, ensure_ascii=False) if entry.facts else ""
    return {
        "When": viewer.moment(entry.at),
        "Who": fmt.plain(entry.actor) or "Switchboard",
        "As": fmt.plain(entry.role),
        "Action": entry.action,
        "On": fmt.plain(entry.target),
        "Outcome": entry.outcome,
        "From": entry.address or ("this machine" if entry.via == "page" else ""),
        "Facts": fmt.plain(facts),
    }


def _below(page: AuditPage, cursors: list[str | None]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        paging.buttons(_KEY, cursors, page.next_cursor)
        st.space("stretch")
        told = {name: str(st.query_params[name]) for name in _FIELDS if name in st.query_params}
        st.link_button(
            "All of these as CSV",
            bridge.download_url("audit", **told),
            icon=":material/download:",
            type="tertiary",
        )


def _field(name: str) -> str:
    return f"{_KEY}.{name}"
