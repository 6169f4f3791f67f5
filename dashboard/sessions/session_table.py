"""Drawing the sessions that were found: a page of them, and what can be done with those chosen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
from services.store.session_search import Order, SessionFilter, SessionPage, SessionRow

_KEY: Final = session_filters.KEY
_EVIDENCE: Final = (
    "Inferred: no webhook told of it, it was found by asking LiveKit some seconds later. "
    "Incomplete: we came late or were away, and its time is not known."
)
_AT_ONCE: Final = 50
_PAGE: Final = f"{_KEY}.page"
_END: Final = f"{_KEY}.end"
_DELETE: Final = f"{_KEY}.delete"
_TAG: Final = f"{_KEY}.tag.these"


def results(find: SessionFilter, order: Order, *, ascending: bool, columns: list[str]) -> None:
    """A page of them; what can be done with those that are chosen."""
    view = session_filters.view()
    cursors = paging.cursors(_KEY, view)
    page = _held(view, cursors[-1])
    if page is None:
        try:
            page = bridge.read(
                lambda: bridge.runtime().store.found.page(
                    find, order=order, ascending=ascending, cursor=cursors[-1], limit=_AT_ONCE
                )
            )
        except SwitchboardError as error:
            feedback.show_error(error, key=f"{_KEY}.error")
            return
        st.session_state[_PAGE] = (view, cursors[-1], page)
    if not page.sessions:
        _nothing(find)
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
            body="Their rooms are closed, and everybody in them is put out. That cannot be undone.",
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


def _nothing(find: SessionFilter) -> None:
    if find == SessionFilter():
        feedback.show_empty(
            "There is no session yet.",
            hint="Talk to an agent, or create one by the API.",
            icon=":material/forum:",
            action=lambda: nav.link("test", "Talk to an agent", icon=":material/headset_mic:"),
        )
        return
    feedback.show_empty(
        "No session is like that.",
        hint="Take a filter away, or search for other words.",
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
    return f"{_KEY}.table.{hash(tuple(one.session.id for one in page.sessions))}"


def _table(page: SessionPage, columns: list[str]) -> list[SessionRow]:
    rows = pd.DataFrame([_row(one) for one in page.sessions])[columns]
    event = st.dataframe(
        rows,
        key=_table_key(page),
        hide_index=True,
        alt=f"{len(rows)} sessions",
        on_select="rerun",
        selection_mode="multi-row",
        height="content",
        column_config={
            "Started": st.column_config.TextColumn(width=104),
            "User": st.column_config.TextColumn(width=96),
            "Lasted": st.column_config.TextColumn(width=64),
            "Turns": st.column_config.NumberColumn(width=52),
            "Median": st.column_config.TextColumn(width=68, help="Median time to an answer"),
            "Worst": st.column_config.TextColumn(width=68, help="Time to the slowest answer"),
            "Trouble": st.column_config.TextColumn(width=124),
            "Known": st.column_config.TextColumn(help=_EVIDENCE),
        },
    )
    picked = [index for index in event.selection.rows if index < len(page.sessions)]
    return [page.sessions[index] for index in picked]


def _row(found: SessionRow) -> dict[str, Any]:
    session = found.session
    trouble = [
        fmt.count_text(found.errors, "error") if found.errors else "",
        fmt.count_text(found.interruptions, "interruption") if found.interruptions else "",
        fmt.count_text(found.asks, "question waits", "questions wait") if found.asks else "",
    ]
    return {
        "Started": viewer.moment(session.created_at),
        "User": fmt.plain(session.user_id) or fmt.ABSENT,
        "Agent": fmt.plain(session.agent_name) or fmt.ABSENT,
        "Status": session_filters.STATUSES[session.status],
        "Lasted": fmt.ABSENT if found.duration_s is None else fmt.duration(found.duration_s),
        "Turns": found.turns,
        "Median": _ms(found.answer_median_ms),
        "Worst": _ms(found.answer_worst_ms),
        "Trouble": ", ".join(one for one in trouble if one),
        "Verdict": session_filters.VERDICTS.get(found.verdict, ""),
        "Tags": fmt.plain(", ".join(found.tags)),
        "Known": evidence_text(found),
        "Ended because": fmt.plain(session.end_reason),
        "Version": fmt.plain(found.version),
        "Reviewer": fmt.plain(found.assignee),
        "Room": fmt.plain(session.room_name),
        "Session": session.id,
    }


def evidence_text(found: SessionRow) -> str:
    """How well it is known, and of what it is not: `observed`, `inferred: end`."""
    session = found.session
    parts = {"beginning": session.created_certainty, "end": session.ended_certainty}
    unseen = [part for part, known in parts.items() if known not in (None, Provenance.OBSERVED)]
    return f"{found.evidence}: {' and '.join(unseen)}" if unseen else found.evidence.value


def _ms(value: float | None) -> str:
    return fmt.ABSENT if value is None else fmt.latency(value / 1000)


def _actions(chosen: list[SessionRow]) -> None:
    if not chosen:
        st.caption(
            "Choose rows by their boxes: one to open it, several to tag, end or delete them."
        )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(chosen) == 1:
            nav.link(
                "session", "Open the session", icon=":material/forum:", id=chosen[0].session.id
            )
        with st.popover("Tag", icon=":material/label:", key=_TAG):
            _tagging(chosen)
        names = tuple(one.session.room_name for one in chosen if one.session.status.is_open)
        if names:
            st.button(
                f"End {fmt.count_text(len(names), 'session')}",
                key=f"{_KEY}.end.button",
                icon=":material/stop_circle:",
                on_click=dialogs.ask,
                args=(_END,),
                kwargs={"room_names": names},
            )
        over = tuple(one.session.id for one in chosen if not one.session.status.is_open)
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
            f"{fmt.count_text(len(chosen), 'session')} chosen; the list waits for you.",
            width="content",
        )
    show_failure(_TAG)


def _tagging(chosen: list[SessionRow]) -> None:
    """Tags for all that are chosen; those that any has can be taken away."""
    known = bridge.read(bridge.runtime().store.found.values)["tag"]
    ids = tuple(one.session.id for one in chosen)
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
        remove = st.multiselect("Take away", there, key=f"{_TAG}.remove") if there else []
        clicked = st.form_submit_button("Write the tags", icon=":material/label:")

    def write() -> None:
        reviews = bridge.runtime().reviews
        _do(lambda caller: reviews.tag(ids, add=add, remove=remove, actor=caller))

    if clicked:
        count = fmt.count_text(len(ids), "session")
        attempt(_TAG, write, done=f"The tags of {count} were written.")
