"""What a job tells is made fit to be kept, and what still cannot be kept becomes a gap."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.agents.ingest import ALTERED, FROM_AGENTS, event_of, facts_of, plain
from services.agents.outbox import Outbox
from services.agents.session_feed import Feeds
from services.agents.stream import Stream, Streams
from services.clock import rfc3339, utc_now
from services.errors import StoreRejectedError
from services.events import Event, Kind
from services.ids import SessionId
from services.live.hub import Hub
from services.store.rows import cleaned
from switchboard_recorder.events import DEPTH, EventKind
from switchboard_recorder.protocol import Ack, Events, Hello, Record

AT = datetime(2026, 1, 1, tzinfo=UTC)
WEEK_MS = 604_800_000
HELLO = Hello(stream_id="str_a", room_name="room-a", agent_name="pm-agent")


def kept(kind: str, **data: Any) -> Event:
    return event_of_data(kind, data)


def event_of_data(kind: str, data: dict[Any, Any], at: datetime = AT) -> Event:
    record = Record(seq=3, kind=kind, at=at, data=data)
    session_id = SessionId("ses_a")
    return event_of(HELLO, record, session_id=session_id, room_sid="RM_a", received_at=AT)


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_that_a_recorder_tells_is_kept_as_what_it_is(kind: EventKind) -> None:
    assert Kind(kind.value) in FROM_AGENTS
    event = kept(kind.value, x=1)
    assert event.data["x"] == 1
    assert (event.kind.value, event.id) == (kind.value, "str_a:3")


@pytest.mark.parametrize(
    "kind", ["room_finished", "session_ended", "job_disconnected", "from_later"]
)
def test_what_is_unknown_or_not_an_agents_to_tell_is_kept_as_other(kind: str) -> None:
    event = kept(kind, x=1)
    assert event.kind is Kind.UNKNOWN_AGENT_EVENT
    assert event.data == {"kind": kind, "data": {"x": 1}}


def test_values_that_are_no_json_and_depths_without_end_are_cut() -> None:
    assert plain({"a": [float("nan"), float("inf"), 1.5]}) == {"a": [None, None, 1.5]}
    deep: Any = 1
    for _ in range(1_000):
        deep = {"in": deep}
    cut = kept("custom", data=deep).data["data"]
    for _ in range(DEPTH):
        cut = cut["in"]
    assert cut == "…"


def test_of_an_event_that_is_too_long_only_the_longest_fields_are_left_out() -> None:
    event = kept("tool_finished", tool="look_up", ms=3.5, output="é" * 5_000_000, args={"q": 1})
    assert event.data == {
        "tool": "look_up",
        "ms": 3.5,
        "args": {"q": 1},
        ALTERED: {"output": "10,000,010 bytes"},
    }


@pytest.mark.parametrize(
    ("kind", "sent", "taken", "altered"),
    [
        ("node_finished", {"ms": -5}, {"ms": 0}, {"ms": "-5"}),
        ("node_finished", {"ms": 1e308}, {"ms": WEEK_MS}, {"ms": "1e+308"}),
        ("node_finished", {"ms": 10**400}, {"ms": WEEK_MS}, {"ms": "int"}),
        ("node_finished", {"ms": float("nan"), "node": "a"}, {"node": "a"}, {"ms": "nan"}),
        ("node_finished", {"ms": float("inf"), "node": "a"}, {"node": "a"}, {"ms": "inf"}),
        ("node_finished", {"ms": "12", "node": "a"}, {"node": "a"}, {"ms": "12"}),
        ("node_finished", {"ms": True}, {}, {"ms": "True"}),
        ("node_finished", {"ms": [1]}, {}, {"ms": "list"}),
        ("node_finished", {"ms": 12.5, "step": 3.0}, {"ms": 12.5, "step": 3}, {}),
        ("node_finished", {"step": -7}, {"step": -1}, {"step": "-7"}),
        ("node_finished", {"step": 2.5}, {"step": 2}, {"step": "2.5"}),
        ("node_finished", {"error": None, "interrupted": None}, {"error": None}, {}),
        ("node_finished", {"interrupted": "yes"}, {}, {"interrupted": "yes"}),
        ("model_finished", {"ttft_ms": None, "tokens_in": 2**63}, {"ttft_ms": None, "tokens_in": 2**31 - 1}, {"tokens_in": "int"}),
        ("conversation_item_added", {"metrics": {"e2e_latency": -1, "llm_node_ttft": 40, "new": 7}}, {"metrics": {"llm_node_ttft": 40, "new": 7}, "agent_name": "pm-agent"}, {"metrics.e2e_latency": "-1"}),
        ("conversation_item_added", {"agent_name": "mallory"}, {"agent_name": "pm-agent"}, {}),
        ("command_completed", {"outcome": "perhaps", "command_id": "c"}, {"command_id": "c"}, {"outcome": "perhaps"}),
        ("graph_described", {"nodes": [{"id": "a", "kind": "star"}, "[9 more]", {"id": 7}]}, {"nodes": [{"id": "a"}, {}]}, {"nodes[0].kind": "star", "nodes[1]": "[9 more]", "nodes[2].id": "7"}),
        ("job_started", {"versions": {"a": "1", "b": None, "c": 2}}, {"versions": {"a": "1"}}, {"versions.c": "2"}),
        ("error", {"message": "x" * 20_001}, {"message": "x" * 19_999 + "…"}, {"message": "20,001 characters"}),
        ("custom", {"n": 3, "data": [2**63]}, {"n": 3, "data": [None]}, {}),
        ("custom", {7: 1, None: 2}, {"7": 1, "None": 2}, {}),
        ("custom", {"altered": {"forged": "yes"}}, {}, {}),
    ],
)  # fmt: skip
def test_a_field_that_does_not_fit_costs_no_more_than_itself_and_is_named(
    kind: str, sent: dict[str, Any], taken: dict[str, Any], altered: dict[str, str]
) -> None:
    data = dict(event_of_data(kind, sent).data)
    assert data.pop(ALTERED, {}) == altered
    assert data == taken
    assert type(data.get("step", 1)) is int


def test_what_is_changed_without_end_is_named_in_bounds() -> None:
    sent = {"triggers": [float(n) for n in range(5_000)], **{f"x{n}": n for n in range(5_000)}}
    data = event_of_data("node_started", sent).data
    assert (len(data), len(data[ALTERED]), data["triggers"]) == (102, 20, [])


@pytest.mark.parametrize(
    ("days", "kept_at"), [(-29, True), (-31, False), (0.04, True), (0.05, False), (4_000, False)]
)
def test_a_moment_that_cannot_be_is_that_of_arrival(days: float, kept_at: bool) -> None:
    at = AT + timedelta(days=days)
    event = event_of_data("custom", {}, at=at)
    assert event.at == (at if kept_at else AT)
    assert event.data == ({} if kept_at else {ALTERED: {"at": rfc3339(at)}})
    assert event.received_at == AT


def test_halves_of_characters_are_measured_and_left_to_the_log() -> None:
    event = event_of_data("error", {"message": "\ud800", "\udfff": "\udc00"})
    assert cleaned(event).data == {"message": "?", "?": "?"}


def test_a_hello_fits_its_columns() -> None:
    hello = Hello(stream_id="s" * 64, room_name="r", job_id="j" * 999, pid=2**40, late=True)
    facts = facts_of(hello)
    assert (len(facts["job_id"]), facts["pid"], facts["late"]) == (64, 2**31 - 1, True)
    assert facts["actions"] == []


class Refusing:
    """A log that refuses for good what is marked bad: the tables are wide enough for all we know."""

    def __init__(self) -> None:
        self.waiting = 0
        self.kept: list[Event] = []

    async def append(self, *events: Event, patient: bool, replayed: bool) -> None:
        assert patient
        assert not replayed
        if any(event.data.get("data") == "bad" for event in events):
            raise StoreRejectedError("The database rejected an event.")
        self.kept += events


async def test_an_event_that_the_database_refuses_becomes_a_gap_in_its_place() -> None:
    event_log = Refusing()
    hub = Hub(asyncio.get_running_loop(), str)
    store = SimpleNamespace(log=event_log)
    streams = Streams(store, None, hub, Feeds(hub), now=utc_now)  # type: ignore[arg-type]
    stream = Stream(HELLO, SessionId("ses_a"), "RM_a", Outbox())
    records = tuple(
        Record(seq=n, kind="custom", at=AT, data={"data": "bad" if n == 2 else "good"})
        for n in range(1, 4)
    )
    await streams.take(stream, Events(events=records))
    assert [event.id for event in event_log.kept] == ["str_a:1", "str_a:2", "str_a:3"]
    assert [event.kind for event in event_log.kept] == [
        Kind.CUSTOM,
        Kind.EVENTS_DROPPED,
        Kind.CUSTOM,
    ]
    assert event_log.kept[1].data["kind"] == "custom"
    assert await stream.outbox.next() == (Ack(seq=3),)
    hub.close()


def test_more_than_so_many_messages_a_second_are_not_shown() -> None:
    stream = Stream(HELLO, SessionId("ses_a"), "RM_a", outbox=None)  # type: ignore[arg-type]
    shown = sum(stream.may_show() for _ in range(1_000))
    assert 100 <= shown < 200


def test_an_agent_sends_what_the_protocol_names_and_nothing_else() -> None:
    assert {kind.value for kind in FROM_AGENTS} == {kind.value for kind in EventKind}


@pytest.mark.parametrize(
    "kind",
    ["note_added", "note_removed", "tagged", "reviewed", "assigned", "agent_dispatched"],
)
def test_an_agent_cannot_tell_what_is_ours_to_tell(kind: str) -> None:
    assert Kind(kind) not in FROM_AGENTS
