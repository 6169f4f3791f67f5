"""Two times or versions beside each other: every figure, and which of them differ."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from dashboard.analytics.facets import mark_words
from services.analytics.comparison import Better, Line, compare
from services.analytics.metrics import Figures
from services.analytics.session_metrics import Judged, count
from services.events import Event
from services.ids import SessionId
from services.store.agent_records import Turn
from services.store.records import SessionRecord, SessionStatus
from tests.support.past import calls

UNTIL = datetime(2026, 3, 1, 12, tzinfo=UTC)


def figures(version: str) -> Figures:
    """Of a believable past, as the store would sum it up; without what turns and reviews tell."""
    total: Counter[str] = Counter()
    for events in calls(sessions=300, until=UNTIL, days=10):
        if _version(events) == version:
            total.update(_counted(events))
    return Figures(total)


def _version(events: list[Event]) -> str:
    told = [one.data["versions"]["agent"] for one in events if "versions" in one.data]
    return str(told[0]) if told else ""


def _counted(events: list[Event]) -> Counter[str]:
    first, last = events[0], events[-1]
    session_id = SessionId(first.session_id or "")
    session = SessionRecord(
        id=session_id, room_name="r", room_sid="s", created_at=first.at, started_at=first.at,
        ended_at=last.at, last_event_at=last.at, status=SessionStatus.ENDED,
    )  # fmt: skip
    answers = [
        Turn(
            session_id=session_id,
            number=number,
            started_at=one.at,
            user_text="a",
            agent_text="b",
            speech_ms=one.data["metrics"]["tts_node_ttfb"],
            answer_ms=one.data["metrics"]["e2e_latency"],
        )
        for number, one in enumerate(events)
        if one.data.get("role") == "assistant"
    ]
    return Counter(count(session, events, answers, Judged()).counts)


@pytest.fixture(scope="module")
def lines() -> dict[str, Line]:
    found = compare(figures("2.1"), 24, figures("2.0"), 24)
    assert len({line.name for line in found}) == len(found)
    return {line.name: line for line in found}


def test_what_got_slower_is_told_and_what_did_not_is_chance(lines: dict[str, Line]) -> None:
    synthesis = lines["part|synthesis.median"]
    assert synthesis.difference is not None
    assert synthesis.difference.is_significant
    assert synthesis.difference.value > 50
    assert synthesis.better is Better.LESS
    unchanged = lines["node|hear.median"]
    assert unchanged.difference is not None
    assert not unchanged.difference.is_significant


def test_each_figure_leads_to_its_sessions(lines: dict[str, Line]) -> None:
    assert lines["node|tools|errors"].mark == "node|tools|errors"
    assert lines["abandoned"].mark == "outcome|abandoned"
    assert (lines["part|answer.p95"].mark, lines["part|answer.p95"].is_high) == (
        "part|answer",
        True,
    )
    assert lines["troubled"].errors
    assert lines["passed"].verdict == "pass"


def test_one_time_alone_has_figures_and_no_differences() -> None:
    found = compare(figures("2.0"), 24)
    assert all(line.before is None and line.difference is None for line in found)
    assert all(line.difference is None for line in compare(Figures({}), 24))


def test_a_node_that_fails_often_in_one_session_is_not_taken_for_many() -> None:
    def runs(failed: int, *, sessions: int) -> Figures:
        return Figures({"node|n|1": 400, "node|n|sessions": sessions, "node|n|errors": failed})

    def noise(sessions: int) -> bool:
        found = compare(runs(40, sessions=sessions), 1, runs(10, sessions=sessions), 1)
        (line,) = [one for one in found if one.name == "node|n|errors"]
        assert line.difference is not None
        return not line.difference.is_significant

    assert not noise(400)
    assert noise(4)


@pytest.mark.parametrize(
    ("mark", "over_ms", "words"),
    [
        ("node|route", None, "visited node route"),
        ("node|route", 1_500, "visited node route, with 1.50 s or more"),
        ("node|route|errors", None, "failed in node route"),
        ("edge|a|b", None, "took the edge a → b"),
        ("edge|a|b|errors", None, "failed after the edge a → b"),
        ("score|Polite?|yes", None, "have the scorecard answer yes to: Polite?"),
        ("part|answer", 2_000, "have a measured time for total latency, with 2.00 s or more"),
        ("part|other", None, "have a measured time for other"),
        ("duration", None, "have ended"),
        ("what|ever", None, "what|ever"),
        ("edge|a", None, "edge|a"),
    ],
)
def test_marks_in_words(mark: str, over_ms: float | None, words: str) -> None:
    assert mark_words(mark, over_ms) == words
