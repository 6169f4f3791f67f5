"""Drawing what is looked for on the sessions page, in which order and with which columns.

All of it stands in the page's address: a link leads to the same view, and a kept view is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import streamlit as st

from dashboard.analytics.facets import mark_words
from dashboard.ui import address, bridge, drafts, viewer
from dashboard.ui import format as fmt
from services.clock import utc_now
from services.events import Provenance
from services.store.records import SessionStatus
from services.store.session_search import TEXT_MOST, Order, SessionFilter

KEY: Final = "sessions"
STATUSES: Final = {
    SessionStatus.CREATED: "waiting",
    SessionStatus.ACTIVE: "active",
    SessionStatus.ENDED: "ended",
    SessionStatus.EXPIRED: "expired",
    SessionStatus.FAILED: "failed",
}
VERDICTS: Final = {"pass": "works", "fail": "does not", "unsure": "unsure", "none": "none yet"}
COLUMNS: Final = (
    "Started", "User", "Agent", "Status", "Lasted", "Turns", "Median", "Worst", "Trouble",
    "Verdict", "Tags", "Known", "Ended because", "Version", "Reviewer", "Room", "Session",
)  # fmt: skip
_USUAL: Final = list(COLUMNS[:12])
_ANY: Final = ""
_MOVES: Final = f"{KEY}.moves"
UNTOLD: Final = "-"  # of an agent or a version: those that have none
_FIELD_PX: Final = 170
_LEAST: Final = {  # a figure's field: its words, the most that can be asked for, its step
    "slower": ("Slowest answer over (ms)", 600_000, 100),
    "median": ("Median answer from (ms)", 600_000, 100),
    "lasted": ("Lasted from (s)", 10_000_000, 60),
    "turns": ("Turns from", 1_000_000, 1),
    "interruptions": ("Interruptions from", 1_000_000, 1),
}
_NAME_MOST: Final = 500
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
    Order.ASKS: "most questions that wait",
    Order.ERRORS: "most errors",
    Order.AGENT: "agent",
    Order.VERSION: "version",
    Order.USER: "user",
    Order.ROOM: "room",
    Order.STATUS: "status",
    Order.VERDICT: "verdict",
    Order.EVIDENCE: "evidence",
}
_FILTERS: Final = (
    "status", "agent", "user", "verdict", "tag", "evidence", "since", "from", "to", "errors",
    "asks", "version", "slower", "median", "lasted", "turns", "interruptions",
)  # fmt: skip
_LED_BY: Final = ("mark", "over", "after", "before")  # what a figure's link says, with no field
_FIELDS: Final = ("q", *_FILTERS, *_LED_BY, "sort", "up", "cols")
_OVER_MOST_MS: Final = 1e9


def wanted() -> tuple[SessionFilter, Order, bool]:
    """What is looked for, from the fields; the address follows them."""
    where = address.follow(KEY, _FIELDS)
    if st.session_state.setdefault(_MOVES, where.moves) != where.moves:  # a link, or Back
        st.session_state[_MOVES] = where.moves
        drafts.sent(KEY)
    _seed(where.values)
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
    with st.expander(label, icon=":material/filter_alt:", key=f"{KEY}.filters"):
        _filters(there)
    _led_by()
    address.write(KEY, _FIELDS, view())
    return _find(), Order(st.session_state[_field("sort")]), bool(st.session_state[_field("up")])


def view() -> dict[str, str]:
    """The view in the words of the page's address; only what is not usual."""
    return {name: word for name in _FIELDS if (word := _word(name))}


def show(kept: Mapping[str, str]) -> None:
    """Take the fields from such an address; as a callback, before they are drawn."""
    drafts.sent(KEY)
    address.write(KEY, _FIELDS, {name: kept[name] for name in _FIELDS if name in kept})


def clear() -> None:
    """Let every field be as it is at first; as a callback."""
    show({})


def choose_columns() -> list[str]:
    """Draw which columns there are to be; gives them in their order."""
    st.multiselect(
        "Columns", list(COLUMNS), key=_field("cols"), placeholder="The usual ones", width="stretch"
    )
    chosen = st.session_state[_field("cols")]
    return [name for name in COLUMNS if name in chosen] or _USUAL


def api_query(find: SessionFilter, order: Order, *, ascending: bool) -> dict[str, str | list[str]]:
    """The same view as `GET /api/voice/sessions` takes it."""
    told: dict[str, Any] = {
        "q": find.text,
        "status": [status.value for status in find.statuses],
        "agent_id": find.agent_name,
        "user_id": find.user_id,
        "evidence": find.evidence.value if find.evidence else None,
        "verdict": find.verdict,
        "tag": find.tag,
        "asks": find.asks,
        "errors": find.errors,
        "slower_than_ms": find.slower_than_ms,
        "median_from_ms": find.median_from_ms,
        "duration_from_s": find.duration_from_s,
        "turns_from": find.turns_from,
        "interruptions_from": find.interruptions_from,
        "version": find.version,
        "mark": find.mark,
        "mark_over_ms": find.mark_over_ms,
        "created_after": find.created_after.isoformat() if find.created_after else None,
        "created_before": find.created_before.isoformat() if find.created_before else None,
        "sort": order.value,
        "ascending": ascending,
    }
    return {
        name: value
        if isinstance(value, list)
        else str(value).lower()
        if value is True
        else str(value)
        for name, value in told.items()
        if value
    }


def _field(name: str) -> str:
    """Another one after `clear`: the fields are then made anew, from the address."""
    return f"{drafts.draft_key(KEY)}.{name}"


def _seed(told: Mapping[str, str]) -> None:
    """The fields as the address names them, unless they hold something already."""
    statuses = [one for one in told.get("status", "").split(",") if one in list(SessionStatus)]
    first: dict[str, Any] = {
        "q": told.get("q", "")[:TEXT_MOST],
        "status": [SessionStatus(one) for one in statuses],
        "agent": told.get("agent", ""),
        "user": told.get("user", ""),
        "verdict": _known(told.get("verdict", ""), VERDICTS),
        "tag": told.get("tag", ""),
        "evidence": _known(told.get("evidence", ""), list(Provenance)),
        "since": _known(told.get("since", ""), _SINCE),
        "from": _day(told.get("from", "")),
        "to": _day(told.get("to", "")),
        "errors": told.get("errors") == "1",
        "asks": told.get("asks") == "1",
        **{name: _figure(told.get(name, ""), most) for name, (_, most, _) in _LEAST.items()},
        "version": told.get("version", "")[:_NAME_MOST],
        "mark": told.get("mark", "")[:_NAME_MOST],
        "over": told.get("over", "") if _number(told.get("over", "")) else "",
        "after": told.get("after", "") if _moment(told.get("after", "")) else "",
        "before": told.get("before", "") if _moment(told.get("before", "")) else "",
        "sort": Order(_known(told.get("sort", ""), list(Order)) or Order.STARTED),
        "up": told.get("up") == "1",
        "cols": [one for one in told.get("cols", "").split(",") if one in COLUMNS] or _USUAL,
    }
    for name, value in first.items():
        st.session_state.setdefault(_field(name), value)


def _known(value: str, known: Any) -> str:
    return value if value in known else ""


def _figure(text: str, most: int) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= most else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value <= _OVER_MOST_MS else None


def _moment(text: str) -> datetime | None:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return None
    return value if value.tzinfo and 1970 < value.year < 9999 else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _word(name: str) -> str:
    """What the address says of a field; "" for what needs no word."""
    value = st.session_state[_field(name)]
    match value:
        case list():
            return "" if value in (_USUAL, []) else ",".join(value)
        case bool():
            return "1" if value else ""
        case int():
            return str(value)
        case date():
            return value.isoformat()
        case _:
            return "" if value is None or value == Order.STARTED else str(value)


def _filters(there: Mapping[str, tuple[str, ...]]) -> None:
    grid = st.grid(4, min_column_width=_FIELD_PX)
    grid.multiselect(
        "Status", list(SessionStatus), format_func=STATUSES.__getitem__, key=_field("status")
    )
    _choice(grid, "Agent", "agent", there["agent_name"])
    grid.text_input("User", key=_field("user"), max_chars=200)
    grid.selectbox(
        "Created", list(_SINCE), format_func=_SINCE_WORDS.__getitem__, key=_field("since")
    )
    grid.date_input("Created from", value=None, key=_field("from"), format="YYYY-MM-DD")
    grid.date_input("Created until", value=None, key=_field("to"), format="YYYY-MM-DD")
    _choice(grid, "Verdict", "verdict", tuple(VERDICTS), words=VERDICTS)
    _choice(grid, "Tag", "tag", there["tag"])
    _choice(grid, "Evidence", "evidence", tuple(Provenance))
    grid.text_input("Version", key=_field("version"), max_chars=80)
    for name, (label, most, step) in _LEAST.items():
        grid.number_input(
            label,
            min_value=0,
            max_value=most,
            step=step,
            key=_field(name),
            placeholder="any",
        )
    grid.toggle("With errors", key=_field("errors"))
    grid.toggle("A question waits", key=_field("asks"))
    grid.button("Clear all", key=f"{KEY}.clear", icon=":material/filter_alt_off:", on_click=clear)


def _led_by() -> None:
    """What a figure's link asked for, in words, and the way to be rid of it."""
    held = {name: st.session_state[_field(name)] for name in _LED_BY}
    if not any(held.values()):
        return
    said = []
    if held["mark"]:
        said.append(f"that {mark_words(held['mark'], _number(held['over']))}")
    after, before = _moment(held["after"]), _moment(held["before"])
    if after and before:
        said.append(f"that began from {fmt.span(after, before, zone=viewer.zone_name())}")
    elif after or before:
        word = "from" if after else "before"
        said.append(f"that began {word} {viewer.moment(after or before)}")
    with st.container(horizontal=True, vertical_alignment="center", key=f"{KEY}.led"):
        st.markdown(
            f":material/query_stats: Only those {fmt.md(', '.join(said))}.", width="content"
        )
        st.button(
            "Show others, too",
            key=f"{KEY}.led.clear",
            icon=":material/close:",
            type="tertiary",
            on_click=_forget_led,
        )


def _forget_led() -> None:
    for name in _LED_BY:
        st.session_state[_field(name)] = ""


def _choice(
    grid: Any, label: str, name: str, known: tuple[str, ...], words: Mapping[str, str] | None = None
) -> None:
    held = st.session_state[_field(name)]
    options = [_ANY, *known, *([held] if held and held not in known else [])]
    grid.selectbox(
        label,
        options,
        format_func=lambda one: {_ANY: "any", UNTOLD: "none", **(words or {})}.get(
            one, fmt.plain(one)
        ),
        key=_field(name),
    )


def _find() -> SessionFilter:
    held = {name: st.session_state[_field(name)] for name in _FIELDS}
    days = _SINCE[held["since"]]
    begins = _midnight(held["from"])
    if days is not None:
        lately = utc_now() - timedelta(days=days)
        begins = lately if begins is None else max(begins, lately)
    until = held["to"]
    before = _midnight(until + timedelta(days=1)) if until else None
    return SessionFilter(
        text=held["q"],
        statuses=tuple(held["status"]),
        agent_name=_named(held["agent"]),
        user_id=held["user"].strip() or None,
        evidence=Provenance(held["evidence"]) if held["evidence"] else None,
        verdict=held["verdict"] or None,
        tag=held["tag"] or None,
        errors=held["errors"],
        asks=held["asks"],
        slower_than_ms=held["slower"],
        median_from_ms=held["median"],
        duration_from_s=held["lasted"],
        turns_from=held["turns"],
        interruptions_from=held["interruptions"],
        version=_named(held["version"].strip()),
        mark=held["mark"] or None,
        mark_over_ms=_number(held["over"]),
        created_after=max(filter(None, (begins, _moment(held["after"]))), default=None),
        created_before=min(filter(None, (before, _moment(held["before"]))), default=None),
    )


def _named(word: str) -> str | None:
    return None if not word else "" if word == UNTOLD else word


def _midnight(day: date | None) -> datetime | None:
    """Where the viewer is."""
    if day is None:
        return None
    return datetime.combine(day, time(), tzinfo=fmt.zone_or_utc(st.context.timezone))
