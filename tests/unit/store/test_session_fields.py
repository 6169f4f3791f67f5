"""One catalogue gives the search, the API, the page and the exports the same fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from pydantic import ValidationError

from api.voice_models import ExportQuery, ListedSession, SessionQuery
from dashboard.sessions.session_filters import COLUMNS, ISSUES, WORDS, column_label
from services.events import Provenance
from services.exports import sessions_table
from services.store import tables as t
from services.store.records import SessionStatus
from services.store.session_fields import (
    FIELDS,
    INDEXED,
    PARAMETERS,
    SORTS,
    Op,
    SessionFilter,
    Source,
)

_VALUES: Final[dict[Op, Any]] = {
    Op.EQUAL: "x & y",
    Op.ONE_OF: [SessionStatus.ENDED, SessionStatus.FAILED],
    Op.HAS: True,
    Op.MEMBER: "odd, <b>",
    Op.AT_LEAST: 3,
    Op.AT_MOST: 1500,
    Op.SEARCH: "7",
}
_ODD: Final = {
    "verdict": "none",
    "provenance": Provenance.INFERRED,
    "created_after": datetime(2026, 1, 1, 9, tzinfo=UTC),
    "created_before": datetime(2026, 1, 2, tzinfo=UTC),
    "mark_over_ms": 1.5,
}


def test_a_filter_of_an_unknown_name_is_an_error_and_never_finds_everything() -> None:
    with pytest.raises(TypeError, match="user"):
        SessionFilter.where(user="nate")
    with pytest.raises(ValidationError, match="agent_id"):
        SessionQuery.model_validate({"agent_id": "echo"})


def test_what_asks_for_nothing_is_not_in_a_filter_but_zero_and_empty_are() -> None:
    unset = SessionFilter.where(user_id=None, errors=False, status=(), q="  ")
    assert unset == SessionFilter()
    asked = {"user_id": "", "max_turns": 0}
    assert SessionFilter.where(**asked).values == asked
    assert unset.and_where(errors=True) == SessionFilter.where(errors=True)


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_filter_goes_through_an_address_and_comes_back(name: str) -> None:
    value = _ODD.get(name, _VALUES.get(PARAMETERS[name].op))
    asked = SessionFilter.where(**{name: value})
    assert SessionQuery.model_validate(asked.query()).filter() == asked


def test_the_api_describes_every_filter_and_every_field() -> None:
    for query in (SessionQuery, ExportQuery):
        known = query.model_json_schema()["properties"]
        assert {name: known[name]["description"] for name in PARAMETERS} == {
            name: one.description for name, one in PARAMETERS.items()
        }
        assert known["sort"]["enum"] == list(SORTS)
    given = ListedSession.model_json_schema(mode="serialization")
    assert set(given["required"]) == {*FIELDS, "dashboard_url"}
    assert given["properties"]["turns"]["type"] == "integer"
    assert given["properties"]["created_at"]["format"] == "date-time"
    assert all(given["properties"][name]["description"] for name in FIELDS)


def test_the_columns_of_exports_keep_their_order() -> None:
    assert sessions_table.COLUMNS == (
        "session_id", "room_name", "user_id", "agent_name", "status", "origin", "created_at",
        "started_at", "ended_at", "end_reason", "duration_s", "turns", "latency_p50_ms",
        "latency_max_ms", "interruptions", "interrupts_pending", "errors", "verdict", "tags",
        "provenance", "participants_peak", "version", "assignee",
    )  # fmt: skip


def test_the_page_has_a_heading_for_each_column_and_a_word_for_each_value() -> None:
    labels = [column_label(name) for name in COLUMNS]
    assert COLUMNS[0] == "created_at"
    assert set(COLUMNS) - {ISSUES} <= set(FIELDS)
    assert all(labels)
    assert len(labels) == len(set(labels))
    for name, words in WORDS.items():
        assert set(words) == set(FIELDS[name].values)


def test_what_is_filtered_or_sorted_by_has_an_index() -> None:
    indexes = {str(one.name): [c.name for c in one.columns] for one in t.found.indexes}
    firsts = {columns[0] for name, columns in indexes.items() if "with" not in name}
    for one in FIELDS.values():
        if one.match is None or one.source is Source.TAGS:
            continue
        assert one in INDEXED
        assert f"ix_found_with_{one.name}" in indexes if one.sparse else one.name in firsts
