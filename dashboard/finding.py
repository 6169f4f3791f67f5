"""Drawing the sessions page: what is looked for, in which order, and a page of what was found.

All of what is looked for stands in the page's address: a link leads to the same view.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import bridge, dialogs, feedback, nav, viewer
from dashboard import format as fmt
from services.clock import utc_now
from services.errors import SwitchboardError
from services.events import Certainty
from services.store.find import TEXT_MOST, Find, Found, FoundPage, Order
from services.store.records import SessionStatus

_KEY: Final = "sessions"
_AT_ONCE: Final = 50
_CURSORS: Final = f"{_KEY}.cursors"  # of the pages before this one, and of this one
_VIEW: Final = f"{_KEY}.view"
_PAGE: Final = f"{_KEY}.page"
_END: Final = f"{_KEY}.end"
_ANY: Final = ""
_FIELD_PX: Final = 170
_STATUSES: Final = {
    SessionStatus.CREATED: "waiting",
    SessionStatus.ACTIVE: "active",
    SessionStatus.ENDED: "ended",
    SessionStatus.EXPIRED: "expired",
    SessionStatus.FAILED: "failed",
}
_VERDICTS: Final = {"pass": "works", "fail": "does not", "unsure": "unsure", "none": "none yet"}
_SINCE: Final = {"": None, "1d": 1, "7d": 7, "30d": 30, "90d": 90}
_SINCE_WORDS: Final = {
    "": "any time",
    "1d": "last 24 hours",
    "7d": "last 7 days",
    "30d": "last 30 days",
    "90d": "last 90 days",
}
_ORDERS: Final = {
    Order.STARTED: "newest",
    Order.WORST_ANSWER: "slowest answer",
    Order.MEDIAN_ANSWER: "median answer",
    Order.DURATION: "longest",
    Order.TURNS: "most turns",
    Order.INTERRUPTIONS: "most interruptions",
}
_FILTERS: Final = (
    "status", "agent", "user", "verdict", "tag", "evidence", "since", "errors", "asks", "slower",
)  # fmt: skip
_FIELDS: Final = ("q", *_FILTERS, "sort", "up")


def wanted() -> tuple[Find, Order, bool]:
    """What is looked for, from the fields; the address follows them."""
    _seed()
    there = bridge.read(bridge.runtime().store.found.values)
    left, middle, right = st.columns([5, 2, 1], vertical_alignment="bottom")
    with left:
        st.text_input(
            "Search what was said and noted",
            key=_field("q"),
            max_chars=TEXT_MOST,
            placeholder="Words; or a session's id, or its room",
            help="All of the words in one text. Looked for in the newest 5,000 texts that have them.",
        )
    with middle:
        st.selectbox("Sort by", list(_ORDERS), format_func=_ORDERS.__getitem__, key=_field("sort"))
    with right:
        st.toggle("Reversed", key=_field("up"))
    count = sum(bool(st.session_state[_field(name)]) for name in _FILTERS)
    label = f"Filters · {count}" if count else "Filters"
    with st.expander(label, icon=":material/filter_alt:", key=f"{_KEY}.filters"):
        _filters(there)
    for name in _FIELDS:
        value = _told(name)
        if value:
            st.query_params[name] = value
        else:
            st.query_params.pop(name, None)
    return _find(), Order(st.session_state[_field("sort")]), bool(st.session_state[_field("up")])


def results(find: Find, order: Order, *, ascending: bool) -> None:
    """A page of them; what can be done with those that are chosen."""
    view = repr([_told(name) for name in _FIELDS])
    if st.session_state.get(_VIEW) != view:  # another view begins at its first page
        st.session_state[_VIEW], st.session_state[_CURSORS] = view, [None]
        st.session_state.pop(_PAGE, None)
    cursors: list[str | None] = st.session_state[_CURSORS]
    page = _held(cursors[-1])
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
        st.session_state[_PAGE] = (cursors[-1], page)
    if not page.sessions:
        _nothing(find)
        return
    chosen = _table(page)
    _actions(chosen)
    _pages(page, cursors)


def end_dialog() -> None:
    """Asks before the chosen sessions are ended; call it on every run of the page."""
    facts = dialogs.asked(_END)
    if facts is None:
        return
    runtime = bridge.runtime()
    names: tuple[str, ...] = facts["room_names"]
    dialogs.confirm(
        _END,
        title=f"End {fmt.count_text(len(names), 'session')}?",
        body="Their rooms are closed, and everybody in them is put out. That cannot be undone.",
        button="End them",
        on_confirm=lambda: bridge.write(
            lambda: runtime.actions.end_many(
                names, actor=bridge.ACTOR, reason="Ended by an operator."
            )
        ),
        done=f"{fmt.count_text(len(names), 'session')} ended.",
    )


# -- what is looked for


def _field(name: str) -> str:
    return f"{_KEY}.{name}"


def _seed() -> None:
    """The fields as the address names them, unless they hold something already."""
    told = st.query_params
    statuses = [one for one in told.get("status", "").split(",") if one in list(SessionStatus)]
    slower = told.get("slower", "")
    first: dict[str, Any] = {
        "q": told.get("q", "")[:TEXT_MOST],
        "status": [SessionStatus(one) for one in statuses],
        "agent": told.get("agent", ""),
        "user": told.get("user", ""),
        "verdict": _known(told.get("verdict", ""), _VERDICTS),
        "tag": told.get("tag", ""),
        "evidence": _known(told.get("evidence", ""), list(Certainty)),
        "since": _known(told.get("since", ""), _SINCE),
        "errors": told.get("errors") == "1",
        "asks": told.get("asks") == "1",
        "slower": float(slower) if slower.isdigit() and int(slower) <= 600_000 else None,
        "sort": Order(_known(told.get("sort", ""), list(Order)) or Order.STARTED),
        "up": told.get("up") == "1",
    }
    for name, value in first.items():
        st.session_state.setdefault(_field(name), value)


def _known(value: str, known: Any) -> str:
    return value if value in known else ""


def _told(name: str) -> str:
    """What the address says of a field; "" for what needs no word."""
    value = st.session_state[_field(name)]
    if name == "status":
        return ",".join(value)
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, float):
        return f"{value:.0f}"
    return "" if value is None or value == Order.STARTED else str(value)


def _filters(there: Mapping[str, tuple[str, ...]]) -> None:
    grid = st.grid(4, min_column_width=_FIELD_PX)
    grid.multiselect(
        "Status", list(SessionStatus), format_func=_STATUSES.__getitem__, key=_field("status")
    )
    _choice(grid, "Agent", "agent", there["agent_name"])
    grid.text_input("User", key=_field("user"), max_chars=200)
    grid.selectbox(
        "Created", list(_SINCE), format_func=_SINCE_WORDS.__getitem__, key=_field("since")
    )
    _choice(grid, "Verdict", "verdict", tuple(_VERDICTS), words=_VERDICTS)
    _choice(grid, "Tag", "tag", there["tag"])
    _choice(grid, "Evidence", "evidence", tuple(Certainty))
    grid.number_input(
        "Slowest answer over (ms)",
        min_value=0.0,
        max_value=600_000.0,
        step=100.0,
        format="%.0f",
        key=_field("slower"),
        placeholder="any",
    )
    grid.toggle("With errors", key=_field("errors"))
    grid.toggle("A question waits", key=_field("asks"))
    grid.button("Clear all", key=f"{_KEY}.clear", icon=":material/filter_alt_off:", on_click=_clear)


def _choice(
    grid: Any, label: str, name: str, known: tuple[str, ...], words: Mapping[str, str] | None = None
) -> None:
    held = st.session_state[_field(name)]
    options = [_ANY, *known, *([held] if held and held not in known else [])]
    grid.selectbox(
        label,
        options,
        format_func=lambda one: (words or {}).get(one, fmt.plain(one)) if one else "any",
        key=_field(name),
    )


def _clear() -> None:
    for name in _FIELDS:
        st.session_state.pop(_field(name), None)
        st.query_params.pop(name, None)


def _find() -> Find:
    held = {name: st.session_state[_field(name)] for name in _FIELDS}
    days = _SINCE[held["since"]]
    return Find(
        text=held["q"],
        statuses=tuple(held["status"]),
        agent_name=held["agent"] or None,
        user_id=held["user"].strip() or None,
        evidence=Certainty(held["evidence"]) if held["evidence"] else None,
        verdict=held["verdict"] or None,
        tag=held["tag"] or None,
        errors=held["errors"],
        asks=held["asks"],
        slower_than_ms=held["slower"],
        created_after=None if days is None else utc_now() - timedelta(days=days),
    )


# -- what was found


def _nothing(find: Find) -> None:
    if find == Find():
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
        action=lambda: st.button("Clear all", key=f"{_KEY}.clear.empty", on_click=_clear),
    )


def _held(cursor: str | None) -> FoundPage | None:
    """The page as it was drawn, while rows of it are chosen: rows must not move under a hand."""
    kept: tuple[str | None, FoundPage] | None = st.session_state.get(_PAGE)
    if kept is None or kept[0] != cursor:
        return None
    state = st.session_state.get(_table_key(kept[1]))
    return kept[1] if state is not None and state.selection.rows else None


def _table_key(page: FoundPage) -> str:
    """What is chosen belongs to these rows."""
    return f"{_KEY}.table.{hash(tuple(one.session.id for one in page.sessions))}"


def _table(page: FoundPage) -> list[Found]:
    rows = pd.DataFrame([_row(one) for one in page.sessions])
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
        },
    )
    picked = [index for index in event.selection.rows if index < len(page.sessions)]
    return [page.sessions[index] for index in picked]


def _row(found: Found) -> dict[str, Any]:
    session = found.session
    trouble = [
        fmt.count_text(found.errors, "error") if found.errors else "",
        fmt.count_text(found.interruptions, "interruption") if found.interruptions else "",
        "a question waits" if found.asks else "",
    ]
    return {
        "Started": viewer.moment(session.created_at),
        "User": fmt.plain(session.user_id) or fmt.ABSENT,
        "Agent": fmt.plain(session.agent_name) or fmt.ABSENT,
        "Status": _STATUSES[session.status],
        "Lasted": fmt.ABSENT if found.duration_s is None else fmt.duration(found.duration_s),
        "Turns": found.turns,
        "Median": _ms(found.answer_median_ms),
        "Worst": _ms(found.answer_worst_ms),
        "Trouble": ", ".join(one for one in trouble if one),
        "Verdict": _VERDICTS.get(found.verdict, ""),
        "Tags": fmt.plain(", ".join(found.tags)),
        "Known": found.evidence.value,
    }


def _ms(value: float | None) -> str:
    return fmt.ABSENT if value is None else fmt.latency(value / 1000)


def _actions(chosen: list[Found]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if not chosen:
            st.caption("Choose rows by their boxes: one to open it, several to end them.")
            return
        if len(chosen) == 1:
            nav.link(
                "session", "Open the session", icon=":material/forum:", id=chosen[0].session.id
            )
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
        st.caption(
            f"{fmt.count_text(len(chosen), 'session')} chosen; the list waits for you.",
            width="content",
        )


def _pages(page: FoundPage, cursors: list[str | None]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Previous page",
            key=f"{_KEY}.back",
            icon=":material/chevron_left:",
            disabled=len(cursors) < 2,
            on_click=_turn,
            args=(cursors[:-1],),
        )
        st.caption(f"Page {fmt.number(len(cursors))}", width="content")
        st.button(
            "Next page",
            key=f"{_KEY}.on",
            icon=":material/chevron_right:",
            disabled=page.next_cursor is None,
            on_click=_turn,
            args=([*cursors, page.next_cursor],),
        )


def _turn(cursors: list[str | None]) -> None:
    st.session_state[_CURSORS] = cursors
    st.session_state.pop(_PAGE, None)
