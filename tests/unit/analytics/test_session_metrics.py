"""A session in counts: outcomes, times, the ways through its graph, whatever the events' order."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.analytics import histogram
from services.analytics.session_metrics import Counted, Judged, Outcome, count
from services.analytics.tally import Tally
from services.events import Event, Kind, Source
from services.ids import new_session_id
from services.store.agent_records import Turn
from services.store.records import SessionRecord, SessionStatus

T0 = datetime(2026, 3, 1, 12, 50, tzinfo=UTC)
ID = new_session_id()
EDGES = [("__start__", "route"), ("route", "plan"), ("route", "talk"), ("plan", "approve"),
         ("approve", "create"), ("create", "talk"), ("talk", "__end__")]  # fmt: skip


def session(**given: Any) -> SessionRecord:
    known: dict[str, Any] = {
        "status": SessionStatus.ENDED,
        "started_at": T0,
        "ended_at": T0 + timedelta(minutes=4),
        "agent_name": "pm-agent",
    }
    return SessionRecord(
        id=ID, room_name="r", room_sid="RM_1", created_at=T0, last_event_at=T0, **known | given
    )


def event(kind: Kind, after_ms: float, **data: Any) -> Event:
    at = T0 + timedelta(milliseconds=after_ms)
    return Event(kind=kind, at=at, received_at=at, source=Source.AGENT, session_id=ID, data=data)


def turn(number: int, **given: Any) -> Turn:
    said = {"user_text": "Hello", "agent_text": "Hi"} | given
    return Turn(session_id=ID, number=number, started_at=T0, **said)


class Told:
    """What a recorder would tell of a graph that runs."""

    def __init__(self, edges: Sequence[tuple[str, str]] = EDGES) -> None:
        drawn = [{"source": source, "target": target} for source, target in edges]
        self.events = [event(Kind.GRAPH_DESCRIBED, 0, graph="g", nodes=[], edges=drawn)]
        self._at = 0.0
        self._tasks = 0

    def run(self, run: str, *steps: Sequence[str], cause: str = "message", **ends: Any) -> None:
        """Each step's nodes at once, of 10 ms; `name!` fails, `name?` asks, `name~` is cut off."""
        self._tell(Kind.RUN_STARTED, run=run, cause=cause)
        asked = []
        for number, nodes in enumerate(steps, 1):
            self._at += 2
            doing = []
            for name in nodes:
                self._tasks += 1
                bare = name.rstrip("!?~")
                ns, _, node = bare.rpartition("/")
                facts = {"run": run, "task": str(self._tasks), "node": node, "step": number}
                doing.append((name, facts | {"ns": f"{ns}:1" if ns else ""}))
                self._tell(Kind.NODE_STARTED, **doing[-1][1])
            self._at += 10
            for name, facts in doing:
                if asks := name.endswith("?"):
                    asked.append(name)
                self._tell(
                    Kind.NODE_FINISHED,
                    **facts,
                    ms=10,
                    error="ValueError: no" if name.endswith("!") else None,
                    interrupted=asks,
                    cancelled=name.endswith("~"),
                )
        self._at += 1
        self._tell(Kind.RUN_FINISHED, run=run, next=[], interrupts=asked, **ends)

    def _tell(self, kind: Kind, **data: Any) -> None:
        self.events.append(event(kind, self._at, **data))

    def count(self, *more: Event, **given: Any) -> Counted:
        return count(session(**given), [*self.events, *more], [turn(1)], Judged())


def number(counted: Counted, name: str) -> int:
    """Of a time: how often it was measured."""
    counts: Mapping[str, int] = counted.counts
    return sum(v for k, v in counts.items() if k.rpartition("|")[0] == name and k[-1].isdigit())


def edges(counted: Counted) -> dict[tuple[str, str], int]:
    names = {tuple(k.split("|")[1:3]) for k in counted.counts if k.startswith("edge|")}
    return {(a, b): number(counted, f"edge|{a}|{b}") for a, b in names}


@pytest.mark.parametrize(
    ("given", "turns", "told", "outcome"),
    [
        ({}, [turn(1)], True, Outcome.ANSWERED),
        ({}, [turn(1, agent_text="")], True, Outcome.ABANDONED),
        ({}, [turn(1, user_text="")], True, Outcome.ABANDONED),
        ({}, [], True, Outcome.ABANDONED),
        ({}, [], False, Outcome.UNTOLD),
        ({"started_at": None}, [], True, Outcome.NOBODY),
        ({"status": SessionStatus.FAILED}, [turn(1)], True, Outcome.FAILED),
        ({"status": SessionStatus.EXPIRED}, [turn(1)], True, Outcome.ANSWERED),
        ({"status": SessionStatus.ACTIVE, "ended_at": None}, [turn(1)], True, Outcome.OPEN),
    ],
)
def test_each_session_has_one_outcome(
    given: dict[str, Any], turns: list[Turn], told: bool, outcome: Outcome
) -> None:
    counted = count(session(**given), [], turns, Judged(told=told))
    found = [name for name in counted.counts if name.startswith("outcome|")]
    assert found == [f"outcome|{outcome}"]
    assert f"outcome|{outcome}" in counted.marks


def test_turns_are_counted_by_their_parts_each_without_the_one_before_it() -> None:
    turns = [
        turn(1, transcription_ms=100, end_of_turn_ms=350, graph_ms=40, speech_ms=200, answer_ms=600),
        turn(2, transcription_ms=None, end_of_turn_ms=300, answer_ms=900, interrupted=True),
        turn(3, transcription_ms=400, end_of_turn_ms=300),
    ]  # fmt: skip
    counted = count(session(), [], turns, Judged())
    told = counted.counts
    assert (told["turns"], told["interruptions"]) == (3, 1)
    assert told["part|turn detection|us"] == (250 + 300 + 0) * 1000
    assert told["part|answer|us"] == 1_500_000
    assert told["part|answer|sessions"] == 1
    assert counted.marks["part|answer"] == 900
    assert number(counted, "part|synthesis") == 1


def test_the_edges_are_those_that_were_taken() -> None:
    told = Told()
    told.run("a", ["route"], ["talk"])
    told.run("b", ["route"], ["talk"])
    told.run("c", ["route"], ["plan"], ["approve?"])
    told.run("d", ["approve"], ["create!"], cause="resume")
    counted = told.count()
    assert edges(counted) == {
        ("__start__", "route"): 3,
        ("route", "talk"): 2,
        ("talk", "__end__"): 2,
        ("route", "plan"): 1,
        ("plan", "approve"): 1,
        ("approve", "create"): 1,
    }
    assert counted.counts["node|create|errors"] == 1
    assert counted.counts["edge|approve|create|errors"] == 1
    assert counted.counts["node|approve|asked"] == 1
    assert number(counted, "node|approve") == 1
    assert counted.counts["edge|route|talk|us"] == 2 * 2_000
    assert counted.counts["path|route-talk"] == 2
    assert counted.marks["node|route"] == 10


def test_branches_that_run_at_once_both_lead_to_what_joins_them() -> None:
    told = Told([("__start__", "a"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])
    told.run("r", ["a"], ["b", "c"], ["d"])
    assert edges(told.count()) == {
        ("__start__", "a"): 1, ("a", "b"): 1, ("a", "c"): 1, ("b", "d"): 1, ("c", "d"): 1,
    }  # fmt: skip


def test_a_loop_is_counted_each_time() -> None:
    told = Told([("__start__", "ask"), ("ask", "check"), ("check", "ask"), ("check", "__end__")])
    told.run("r", ["ask"], ["check"], ["ask"], ["check"])
    assert edges(told.count()) == {
        ("__start__", "ask"): 1, ("ask", "check"): 2, ("check", "ask"): 1, ("check", "__end__"): 1,
    }  # fmt: skip


def test_without_a_drawing_the_step_before_leads() -> None:
    told = Told([])
    told.run("r", ["a"], ["b"])
    assert edges(told.count()) == {("__start__", "a"): 1, ("a", "b"): 1}


def test_a_subgraphs_nodes_have_its_name() -> None:
    told = Told([("__start__", "sub:in"), ("sub:in", "sub:out"), ("sub:out", "__end__")])
    told.run("r", ["sub/in"], ["sub/out"])
    assert number(told.count(), "node|sub:out") == 1
    assert edges(told.count())[("sub:in", "sub:out")] == 1


def test_what_was_cut_off_neither_lasted_nor_failed() -> None:
    told = Told()
    told.run("a", ["route"], ["talk~"])
    failed = [
        event(Kind.RUN_FAILED, 50, run="b", error="CancelledError", cancelled=True),
        event(Kind.RUN_FAILED, 51, run="c", error="ValueError: card 4111", cancelled=False),
        event(Kind.RUN_FAILED, 52, run="d", error="what | ever: x"),
        event(Kind.AGENT_ERROR, 53, source="STT", message="secret", recoverable=True),
        event(Kind.REDISPATCH_EXHAUSTED, 54, reason="r"),
    ]
    counted = told.count(*failed)
    causes = {k: v for k, v in counted.counts.items() if k.startswith("cause|")}
    assert causes == {
        "cause|graph: ValueError": 1, "cause|graph: error": 1, "cause|STT, went on": 1,
        "cause|agent lost": 1,
    }  # fmt: skip
    assert counted.counts["node|talk|cancelled"] == 1
    assert number(counted, "node|talk") == 0


def test_questions_wait_until_the_graph_has_its_answer() -> None:
    asked = [
        event(Kind.INTERRUPT_RAISED, 0, interrupt_id="1", node="approve"),
        event(Kind.INTERRUPT_RAISED, 500, interrupt_id="1", node="approve"),  # told again
        event(Kind.INTERRUPT_RESUMED, 3_000, interrupt_id="1"),
        event(Kind.INTERRUPT_RAISED, 4_000, interrupt_id="2", node="approve"),
        event(Kind.INTERRUPT_RESUMED, 5_000, interrupt_id="unknown"),
    ]
    counted = count(session(), asked, [], Judged())
    assert counted.counts["waited|approve|us"] == 3_000_000
    assert counted.counts["unanswered|approve"] == 1
    assert counted.marks["waited|approve"] == 3_000


def test_the_order_of_arrival_changes_nothing() -> None:
    told = Told()
    told.run("a", ["route"], ["plan"], ["approve?"])
    told.run("b", ["approve"], ["create"], ["talk"], cause="resume")
    usual = told.count()
    # of one moment, the order in which the agent told is the order
    moments: dict[datetime, list[Event]] = {}
    for one in told.events:
        moments.setdefault(one.at, []).append(one)
    groups = list(moments.values())
    random.Random(3).shuffle(groups)
    mixed = [one for group in groups for one in group]
    assert mixed != told.events
    assert count(session(), mixed, [turn(1)], Judged()) == usual


def test_time_is_counted_under_the_hours_in_which_it_passed() -> None:
    ends = T0 + timedelta(minutes=80)  # from 12:50 to 14:10
    counted = count(session(ended_at=ends), [], [], Judged())
    busy = {k: v for k, v in counted.counts.items() if k.startswith("busy|")}
    minute = 60 * 10**6
    assert busy == {"busy|0": 10 * minute, "busy|1": 60 * minute, "busy|2": 10 * minute}
    assert counted.hour == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_graph_that_makes_up_names_does_not_make_a_row_without_an_end() -> None:
    told = Told([])
    told.run("r", *([f"n{number}|x"] for number in range(400)))
    counted = told.count()
    assert len(counted.counts) < 2_000
    assert all(len(name.split("|")) <= 4 for name in counted.counts)


def test_scores_and_verdicts_are_counted() -> None:
    judged = Judged(verdict="pass", scores=[{"Polite?": "yes"}, {"Polite?": "no", "a|b": "yes"}])
    told = count(session(), [], [], judged).counts
    assert told["verdict|pass"] == 1
    assert (told["score|Polite?|yes"], told["score|Polite?|no"]) == (1, 1)
    assert told["score|a/b|yes"] == 1


@pytest.mark.parametrize("ms", [0, 0.004, 0.01, 0.3, 1, 12.5, 600, 59_999, 3.6e6, 9e7, 1e12])
def test_the_scale_holds_every_time_in_its_step(ms: float) -> None:
    step = histogram.step_of(ms)
    assert 0 <= step <= histogram.MOST
    assert histogram.begins_ms(step) <= ms * (1 + 1e-9)
    if step < histogram.MOST:
        assert ms < histogram.begins_ms(step + 1) * (1 + 1e-9)
        assert math.isclose(histogram.begins_ms(step + 1) / max(histogram.begins_ms(step), 1e-9), 1.1, rel_tol=0.01) or step == 0  # fmt: skip


@pytest.mark.parametrize("ms", [10**400, 1e308, 1e306, float("nan"), float("inf"), -1.0])
def test_an_absurd_time_stops_no_counting(ms: float) -> None:
    tally = Tally()
    tally.time("node|ask", 20.0)
    tally.time("node|ask", ms)
    assert tally.counts["node|ask|us"] <= 20_000 + 7 * 24 * 3600 * 1_000_000
    assert tally.counts["node|ask|sessions"] == 1
