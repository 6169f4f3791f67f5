"""What a job tells is made fit to be kept, and what still cannot be kept becomes a gap."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from services.agents.ingest import DEPTH, FROM_AGENTS, LONGEST_MS, event_of, facts_of, plain
from services.agents.outbox import Outbox
from services.agents.session_feed import Feeds
from services.agents.stream import Stream, Streams
from services.clock import utc_now
from services.errors import StoreRejectedError
from services.events import Event, Kind
from services.ids import SessionId
from services.live.hub import Hub
from switchboard_recorder.protocol import Ack, EventKind, Events, Hello, Record

AT = datetime(2026, 1, 1, tzinfo=UTC)
HELLO = Hello(stream_id="str_a", room_name="room-a", agent_name="pm-agent")


def kept(kind: str, **data: Any) -> Event:
    record = Record(seq=3, kind=kind, at=AT, data=data)
    session_id = SessionId("ses_a")
    return event_of(HELLO, record, session_id=session_id, room_sid="RM_a", received_at=AT)


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_that_a_recorder_tells_is_kept_as_what_it_is(kind: EventKind) -> None:
    assert Kind(kind.value) in FROM_AGENTS
    event = kept(kind.value, x=1)
    assert (event.kind.value, event.id) == (kind.value, "str_a:3")


@pytest.mark.parametrize("kind", ["room_finished", "session_ended", "job_left", "from_later"])
def test_what_is_unknown_or_not_an_agents_to_tell_is_kept_as_other(kind: str) -> None:
    event = kept(kind, x=1)
    assert event.kind is Kind.AGENT_OTHER
    assert event.data == {"kind": kind, "data": {"x": 1}}


def test_values_that_are_no_json_and_depths_without_end_are_cut() -> None:
    assert plain({"a": [float("nan"), float("inf"), 1.5]}) == {"a": [None, None, 1.5]}
    deep: Any = 1
    for _ in range(DEPTH + 5):
        deep = {"in": deep}
    cut = plain(deep)
    for _ in range(DEPTH):
        cut = cut["in"]
    assert cut == "…"


def test_an_event_longer_than_the_limit_is_named_and_not_kept_whole() -> None:
    event = kept("custom", text="é" * 100_000)
    assert event.data["cut"] is True
    assert event.data["bytes"] > 200_000


def test_a_hello_fits_its_columns() -> None:
    hello = Hello(stream_id="s" * 64, room_name="r", job_id="j" * 999, pid=2**40, late=True)
    facts = facts_of(hello)
    assert (len(facts["job_id"]), facts["pid"], facts["late"]) == (64, 0, True)


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
    assert [event.kind for event in event_log.kept] == [Kind.CUSTOM, Kind.GAP, Kind.CUSTOM]
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


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (10**400, None),
        (2**63, None),
        (-(2**63), 0),
        (1e308, LONGEST_MS),
        (1e306, LONGEST_MS),
        (-5, 0),
        (12.5, 12.5),
        (float("nan"), None),
        ("12", "12"),
        (True, True),
    ],
)
def test_a_time_is_bounded_wherever_it_stands(sent: object, kept: object) -> None:
    assert plain({"ms": sent, "deep": [{"ttft_ms": sent}]}) == {
        "ms": kept,
        "deep": [{"ttft_ms": kept}],
    }


def test_a_number_that_no_database_takes_is_left_out() -> None:
    assert plain({"state": [10**400, 2**63 - 1, -(2**63), 3]}) == {
        "state": [None, 2**63 - 1, -(2**63), 3]
    }
