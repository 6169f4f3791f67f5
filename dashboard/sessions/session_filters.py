"""Drawing what is looked for on the Sessions page, in which order and with which columns.

The fields come from the catalogue (`services/store/session_fields.py`). All of it stands in the
page's address, under the names that the API has: a link leads to the same view, and a saved view
is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import streamlit as st
from pydantic import TypeAdapter, ValidationError

from dashboard.analytics.facets import mark_words
from dashboard.ui import address, bridge, drafts, viewer
from dashboard.ui import format as fmt
from services.clock import utc_now
from services.store.records import SessionStatus
from services.store.session_fields import (
    DEFAULT_SORT,
    FIELDS,
    PARAMETERS,
    SORT_KEYS,
    SORTS,
    TEXT_MOST,
    Column,
    Op,
    SessionField,
    SessionFilter,
    SessionParameter,
)

KEY: Final = "sessions"
STATUSES: Final = {
    SessionStatus.CREATED: "waiting",
    SessionStatus.ACTIVE: "active",
    SessionStatus.ENDED: "ended",
    SessionStatus.EXPIRED: "expired",
    SessionStatus.FAILED: "failed",
}
VERDICTS: Final = {"pass": "pass", "fail": "fail", "unsure": "unsure", "none": "not reviewed"}
WORDS: Final[Mapping[str, Mapping[Any, str]]] = {"status": STATUSES, "verdict": VERDICTS}
"""Of fields whose values the page does not show as they are."""
ISSUES: Final = "issues"
"""A column of three fields: errors, interruptions, pending interrupts."""


def _columns(kind: Column) -> list[str]:
    names = [one.name for one in FIELDS.values() if one.column is kind]
    return sorted(names, key=lambda name: name != "created_at")  # the time first


_USUAL: Final = _columns(Column.SHOWN)
_USUAL.insert(_USUAL.index("latency_max_ms") + 1, ISSUES)
COLUMNS: Final = (*_USUAL, *_columns(Column.CHOOSABLE))
_READERS: Final = {one.name: TypeAdapter[Any](one.type) for one in PARAMETERS.values()}
_LINKED: Final = tuple(  # what a link can ask for, with no field of its own
    one.name
    for one in PARAMETERS.values()
    if one.op in {Op.AT_MOST, Op.BEFORE}
    or (one.op is Op.SEARCH and one.name != "q")
    or (one.field is not None and one.field.kind is datetime)
)
_DRAWN: Final = tuple(
    (one, one.field)
    for one in PARAMETERS.values()
    if one.name not in _LINKED and one.field is not None
)
_DAYS: Final = ("since", "from", "to")
_ADDRESS: Final = (*PARAMETERS, *_DAYS, "sort", "columns")
_ANY: Final = ""
_MOVES: Final = f"{KEY}.moves"
_FIRST: Final = f"{KEY}.first"  # what the address says, which each field holds at first
_FIELD_PX: Final = 170
_SINCE: Final = {"": None, "1d": 1, "7d": 7, "30d": 30, "90d": 90}
_SINCE_WORDS: Final = {
    "": "any time",
    "1d": "last 24 hours",
    "7d": "last 7 days",
    "30d": "last 30 days",
    "90d": "last 90 days",
}


def wanted() -> tuple[SessionFilter, str]:
    """What is looked for and its order, from the fields; the address follows them."""
    where = address.follow(KEY, _ADDRESS)
    if st.session_state.setdefault(_MOVES, where.moves) != where.moves:  # a link, or Back
        st.session_state[_MOVES] = where.moves
        drafts.sent(KEY)
    st.session_state[_FIRST] = _first(where.values)
    there = bridge.read(bridge.runtime().store.session_search.values)
    left, middle, right = st.columns([5, 2, 1], vertical_alignment="bottom")
    with left:
        st.text_input(
            "Search what was said and noted",
            _value("q"),
            key=_field("q"),
            max_chars=TEXT_MOST,
            placeholder="Words; or a session's id, or its room",
            help="All of the words in one text. Looked for in the newest 5,000 texts that have them.",
        )
    with middle:
        names = [one.name for one in SORT_KEYS]
        st.selectbox(
            "Sort by",
            names,
            names.index(_value("sort")),
            format_func=column_label,
            key=_field("sort"),
        )
    with right:
        st.toggle("Ascending", _value("ascending"), key=_field("ascending"))
    count = sum(bool(_word(name)) for name in (*(one.name for one, _ in _DRAWN), *_DAYS))
    label = f"Filters · {count}" if count else "Filters"
    with st.expander(label, icon=":material/filter_alt:", key=f"{KEY}.filters"):
        _draw_filters(there)
    _drill_down()
    address.write(KEY, _ADDRESS, view())
    return _filter(), _sort()


def view() -> dict[str, str]:
    """The view in the words of the page's address; only what is not usual."""
    return {name: word for name in _ADDRESS if (word := _word(name))}


def show(kept: Mapping[str, str]) -> None:
    """Take the fields from such an address; as a callback, before they are drawn."""
    drafts.sent(KEY)
    address.write(KEY, _ADDRESS, {name: kept[name] for name in _ADDRESS if name in kept})


def clear() -> None:
    """Let every field be as it is at first; as a callback."""
    show({})


def choose_columns() -> list[str]:
    """Draw which columns there are to be; gives their names in their order."""
    st.multiselect(
        "Columns",
        list(COLUMNS),
        _value("columns"),
        format_func=column_label,
        key=_field("columns"),
        placeholder="The usual ones",
        width="stretch",
    )
    return [name for name in COLUMNS if name in _value("columns")] or _USUAL


def column_label(name: str) -> str:
    """The heading of a column."""
    return "Issues" if name == ISSUES else FIELDS[name].label


def _field(name: str) -> str:
    """Another one after `clear`: the fields are then made anew, from the address."""
    return f"{drafts.draft_key(KEY)}.{name}"


def _value(name: str) -> Any:
    """What a field holds; before it is drawn, what the address says.

    A field is given that as its default: a state that is set from here could get lost.
    """
    return st.session_state.get(_field(name), st.session_state[_FIRST][name])


def _first(told: Mapping[str, str]) -> dict[str, Any]:
    """The fields' values as the address names them."""
    sort = told.get("sort", "")
    sort = sort if sort in SORTS else DEFAULT_SORT
    columns = [one for one in told.get("columns", "").split(",") if one in COLUMNS]
    return {
        **{one.name: _held(one, told.get(one.name, "")) for one in PARAMETERS.values()},
        "since": told.get("since", "") if told.get("since", "") in _SINCE else "",
        "from": _day(told.get("from", "")),
        "to": _day(told.get("to", "")),
        "sort": sort.removeprefix("-"),
        "ascending": not sort.startswith("-"),
        "columns": columns or _USUAL,
    }


def _held(of: SessionParameter, text: str) -> Any:
    """What the parameter's field holds for a text of the address; nothing for a wrong text."""
    if of.name in _LINKED:
        return "" if _read(of.name, text) is None else text
    if of.op is Op.ONE_OF and of.field is not None:
        return [one for one in of.field.values if one in text.split(",")]
    value = _read(of.name, text[:TEXT_MOST])
    if of.op is Op.HAS:
        return value is True
    if of.op is Op.AT_LEAST:
        return None if value is None else int(value)
    return "" if value is None else str(value)


def _read(name: str, text: str) -> Any:
    """The value of a parameter; None for a text that is none."""
    try:
        return _READERS[name].validate_python(text) if text else None
    except ValidationError:
        return None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _sort() -> str:
    return f"{'' if _value('ascending') else '-'}{_value('sort')}"


def _word(name: str) -> str:
    """What the address says of a field; "" for what needs no word."""
    if name == "sort":
        return "" if _sort() == DEFAULT_SORT else _sort()
    value = _value(name)
    match value:
        case list():
            return "" if value in (_USUAL, []) else ",".join(value)
        case bool():
            return "true" if value else ""
        case date():
            return value.isoformat()
        case _:
            return "" if value is None else str(value).strip()


def _draw_filters(there: Mapping[str, tuple[str, ...]]) -> None:
    grid = st.grid(4, min_column_width=_FIELD_PX)
    grid.selectbox(
        "Created",
        list(_SINCE),
        list(_SINCE).index(_value("since")),
        format_func=_SINCE_WORDS.__getitem__,
        key=_field("since"),
    )
    for label, name in (("Created from", "from"), ("Created until", "to")):
        grid.date_input(label, _value(name), key=_field(name), format="YYYY-MM-DD")
    for one, of in sorted(_DRAWN, key=lambda drawn: drawn[0].op is Op.HAS):  # toggles last
        _draw_filter(grid, one, of, there)
    grid.button("Clear all", key=f"{KEY}.clear", icon=":material/filter_alt_off:", on_click=clear)


def _draw_filter(
    grid: Any, one: SessionParameter, of: SessionField, there: Mapping[str, tuple[str, ...]]
) -> None:
    key, value = _field(one.name), _value(one.name)
    words = {_ANY: "any", of.none: "none", **WORDS.get(of.name, {})}

    def text(option: str) -> str:
        return words.get(option, fmt.plain(option))

    if one.op is Op.HAS:
        grid.toggle(f"Has {of.label.lower()}", value, key=key, help=of.description)
    elif one.op is Op.AT_LEAST:
        unit = f" ({of.unit})" if of.unit else ""
        grid.number_input(
            f"{of.label} ≥{unit}",
            value=value,
            min_value=0,
            max_value=int(of.most),
            step=of.step,
            key=key,
            placeholder="any",
            help=of.description,
        )
    elif one.op is Op.ONE_OF:
        grid.multiselect(of.label, list(of.values), value, format_func=text, key=key)
    elif of.values or of.suggested:
        known = of.values or (*there[one.name], *([of.none] if one.op is Op.EQUAL else []))
        options = [_ANY, *known, *([value] if value and value not in known else [])]
        grid.selectbox(of.label, options, options.index(value), format_func=text, key=key)
    else:
        grid.text_input(of.label, value, key=key, max_chars=TEXT_MOST, help=one.description)


def _drill_down() -> None:
    """What a link asked for that has no field, in words, and the way to be rid of it."""
    held = {name: _read(name, _value(name)) for name in _LINKED}
    if all(value is None for value in held.values()):
        return
    said = []
    if held["mark"]:
        said.append(f"that {mark_words(held['mark'], held['mark_over_ms'])}")
    after, before = held["created_after"], held["created_before"]
    if after and before:
        said.append(f"that began from {fmt.span(after, before, zone=viewer.zone_name())}")
    elif after or before:
        word = "from" if after else "before"
        said.append(f"that began {word} {viewer.moment(after or before)}")
    for name, value in held.items():
        of = PARAMETERS[name].field
        if PARAMETERS[name].op is Op.AT_MOST and of is not None and value is not None:
            said.append(f"with {of.label} ≤ {value:g} {of.unit}".rstrip())
    with st.container(horizontal=True, vertical_alignment="center", key=f"{KEY}.drill_down"):
        st.markdown(
            f":material/query_stats: Only those {fmt.md(', '.join(said))}.", width="content"
        )
        st.button(
            "Clear drill-down",
            key=f"{KEY}.drill_down.clear",
            icon=":material/close:",
            type="tertiary",
            on_click=_clear_drill_down,
        )


def _clear_drill_down() -> None:
    for name in _LINKED:
        st.session_state[_field(name)] = ""


def _filter() -> SessionFilter:
    held = {name: _value(name) for name in (*PARAMETERS, *_DAYS)}
    values = {name: _read(name, held[name]) for name in _LINKED}
    for one, _ in _DRAWN:
        value = held[one.name]
        values[one.name] = (value.strip() or None) if isinstance(value, str) else value
    days, until = _SINCE[held["since"]], held["to"]
    lately = None if days is None else utc_now() - timedelta(days=days)
    after = (lately, _midnight(held["from"]), values["created_after"])
    before = (_midnight(until + timedelta(days=1)) if until else None, values["created_before"])
    values["created_after"] = max(filter(None, after), default=None)
    values["created_before"] = min(filter(None, before), default=None)
    return SessionFilter({**values, "q": held["q"]})


def _midnight(day: date | None) -> datetime | None:
    """Where the viewer is."""
    if day is None:
        return None
    return datetime.combine(day, time(), tzinfo=fmt.zone_or_utc(st.context.timezone))
