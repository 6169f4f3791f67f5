"""Drawing the sessions that were found: a page of them, and what can be done with those chosen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.sessions import session_filters
from dashboard.ui import bridge, dialogs, feedback, nav, paging, viewer
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from services.access.permissions import Caller, Permission
from services.errors import SwitchboardError
from services.events import Provenance
from services.reviews.service import TAGS_MOST
from services.store.session_fields import FIELDS, SessionFilter, SessionRow
from services.store.session_search import SessionPage

_KEY: Final = session_filters.KEY
_AT_ONCE: Final = 50
_PAGE: Final = f"{_KEY}.page"
_END: Final = f"{_KEY}.end"
_DELETE: Final = f"{_KEY}.delete"
_TAG: Final = f"{_KEY}.tag.these"


def results(wanted: SessionFilter, sort: str, *, columns: list[str]) -> None:
    """A page of them; what can be done with those that are chosen."""
    view = session_filters.view()
    cursors = paging.cursors(_KEY, view)
    page = _held(view, cursors[-1])
    if page is None:
        try:
            page = bridge.read(
                lambda: bridge.runtime().store.session_search.page(
                    wanted, sort=sort, cursor=cursors[-1], limit=_AT_ONCE
                )
            )
        except SwitchboardError as error:
            feedback.show_error(error, key=f"{_KEY}.error")
            return
        st.session_state[_PAGE] = (view, cursors[-1], page)
    if not page.sessions:
        _nothing(wanted)
        return
    chosen = _table(page, columns)
    _actions(chosen)
    with st.container(horizontal=True, vertical_alignment="center"):
        paging.buttons(_KEY, cursors, page.next_cursor)


def ask_dialogs() -> None:
    """Ask before the chosen sessions are ended or deleted; call it on every run of the page."""
    runtime = bridge.runtime()
    if (ending := dialogs.asked(_END)) is not None:
        names: tuple[str, ...] = ending["room_names"]
        dialogs.confirm(
            _END,
            title=f"End {fmt.count_text(len(names), 'session')}?",
            body="Their rooms are closed, and everybody in them is disconnected. This cannot be undone.",
            button="End them",
            on_confirm=lambda: _do(
                lambda caller: runtime.actions.end_many(
                    names, actor=caller, reason="Ended by an operator."
                )
            ),
            done=f"{fmt.count_text(len(names), 'session')} ended.",
        )
    if (deleting := dialogs.asked(_DELETE)) is not None:
        ids: tuple[str, ...] = deleting["session_ids"]
        count = fmt.count_text(len(ids), "session")
        dialogs.confirm(
            _DELETE,
            title=f"Delete {count} for good?",
            body="All that is kept of them goes: what was said, what the agent did, notes and "
            "verdicts. That cannot be undone. Take them away as a file first, if you may need them.",
            button="Delete them",
            on_confirm=lambda: _do(lambda caller: runtime.erasing.sessions(ids, actor=caller)),
            done=f"{count} deleted.",
        )


def _do(make: Callable[[Caller], Awaitable[object]]) -> None:
    """Do it; then the rows, which waited for a hand, show what came of it."""
    bridge.write(make)
    st.session_state.pop(_PAGE, None)


def _nothing(wanted: SessionFilter) -> None:
    if not wanted.values:
        feedback.show_empty(
            "There is no session yet.",
            hint="Talk to an agent, or create one by the API.",
            icon=":material/forum:",
            action=lambda: nav.link("test", "Talk to an agent", icon=":material/headset_mic:"),
        )
        return
    feedback.show_empty(
        "No sessions match.",
        hint="Clear a filter, or search for other words.",
        icon=":material/search_off:",
        action=lambda: st.button(
            "Clear all", key=f"{_KEY}.clear.empty", on_click=session_filters.clear
        ),
    )


def _held(view: dict[str, str], cursor: str | None) -> SessionPage | None:
    """The page as it was drawn, while rows of it are chosen: rows must not move under a hand."""
    kept: tuple[dict[str, str], str | None, SessionPage] | None = st.session_state.get(_PAGE)
    if kept is None or kept[:2] != (view, cursor):
        return None
    state = st.session_state.get(_table_key(kept[2]))
    return kept[2] if state is not None and state.selection.rows else None


def _table_key(page: SessionPage) -> str:
    """What is chosen belongs to these rows."""
    return f"{_KEY}.table.{hash(tuple(one.session_id for one in page.sessions))}"


def _table(page: SessionPage, columns: list[str]) -> list[SessionRow]:
    event = st.dataframe(
        pd.DataFrame([{name: _cell(one, name) for name in columns} for one in page.sessions]),
        key=_table_key(page),
        hide_index=True,
        alt=f"{len(page.sessions)} sessions",
        on_select="rerun",
        selection_mode="multi-row",
        height="content",
        column_config={name: _config(name) for name in columns},
    )
    picked = [index for index in event.selection.rows if index < len(page.sessions)]
    return [page.sessions[index] for index in picked]


def _config(name: str) -> Any:
    label = session_filters.column_label(name)
    if name == session_filters.ISSUES:
        return st.column_config.TextColumn(label, width=124)
    of = FIELDS[name]
    if of.plain_type is int:
        return st.column_config.NumberColumn(label, width=64, help=of.description)
    width = 104 if of.plain_type is datetime else 84 if of.unit else None
    return st.column_config.TextColumn(label, width=width, help=of.description)


def _cell(session: SessionRow, name: str) -> Any:
    if name == session_filters.ISSUES:
        return issues_text(session)
    if name == "provenance":
        return provenance_text(session)
    value = getattr(session, name)
    if value is None:
        return fmt.ABSENT
    match FIELDS[name].plain_type, FIELDS[name].unit:
        case _, "s":
            return fmt.duration(value)
        case _, "ms":
            return fmt.latency(value / 1000)
        case kind, _ if kind is datetime:
            return viewer.moment(value)
        case kind, _ if kind is tuple:
            return fmt.plain(", ".join(value))
        case kind, _ if kind is str:
            return session_filters.WORDS.get(name, {}).get(value) or fmt.plain(value)
        case _:
            return value


def issues_text(session: SessionRow) -> str:
    """`2 errors, 1 question waits`."""
    waiting = session.interrupts_pending
    issues = [
        fmt.count_text(session.errors, "error") if session.errors else "",
        fmt.count_text(session.interruptions, "interruption") if session.interruptions else "",
        fmt.count_text(waiting, "pending question") if waiting else "",
    ]
    return ", ".join(one for one in issues if one)


def provenance_text(session: SessionRow) -> str:
    """How well it is known, and of what it is not: `observed`, `inferred: end`."""
    parts = {"beginning": session.created_provenance, "end": session.ended_provenance}
    unseen = [part for part, known in parts.items() if known not in (None, Provenance.OBSERVED)]
    whole = session.provenance
    return f"{whole}: {' and '.join(unseen)}" if unseen else whole.value


def _actions(chosen: list[SessionRow]) -> None:
    if not chosen:
        st.caption(
            "Choose rows by their boxes: one to open it, several to tag, end or delete them."
        )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(chosen) == 1:
            nav.link(
                "session", "Open the session", icon=":material/forum:", id=chosen[0].session_id
            )
        with st.popover("Tag", icon=":material/label:", key=_TAG):
            _tagging(chosen)
        names = tuple(one.room_name for one in chosen if one.status.is_open)
        if names:
            st.button(
                f"End {fmt.count_text(len(names), 'session')}",
                key=f"{_KEY}.end.button",
                icon=":material/stop_circle:",
                on_click=dialogs.ask,
                args=(_END,),
                kwargs={"room_names": names},
            )
        over = tuple(one.session_id for one in chosen if not one.status.is_open)
        if over and bridge.caller().may(Permission.DELETE):
            st.button(
                f"Delete {fmt.count_text(len(over), 'session')}",
                key=f"{_KEY}.delete.button",
                icon=":material/delete_forever:",
                on_click=dialogs.ask,
                args=(_DELETE,),
                kwargs={"session_ids": over},
            )
        st.caption(
            f"{fmt.count_text(len(chosen), 'session')} selected; live updates are paused.",
            width="content",
        )
    show_failure(_TAG)


def _tagging(chosen: list[SessionRow]) -> None:
    """Tags for all that are chosen; those that any has can be taken away."""
    known = bridge.read(bridge.runtime().store.session_search.values)["tag"]
    ids = tuple(one.session_id for one in chosen)
    with st.form(f"{_TAG}.form", border=False):
        add = st.multiselect(
            "Add",
            list(known),
            accept_new_options=True,
            max_selections=TAGS_MOST,
            key=f"{_TAG}.add",
            placeholder="Choose, or write a new one",
        )
        there = sorted({tag for one in chosen for tag in one.tags})
        remove = st.multiselect("Remove", there, key=f"{_TAG}.remove") if there else []
        clicked = st.form_submit_button("Save tags", icon=":material/label:")

    def write() -> None:
        reviews = bridge.runtime().reviews
        _do(lambda caller: reviews.tag(ids, add=add, remove=remove, actor=caller))

    if clicked:
        count = fmt.count_text(len(ids), "session")
        attempt(_TAG, write, done=f"The tags of {count} were written.")
