"""One event log: whoever writes an event, every subscriber is told of it, once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.access.audit_log import open_audit
from services.access.permissions import SYSTEM_PRINCIPAL
from services.agents.outbox import Outbox
from services.agents.redispatch import RecoveryTiming
from services.agents.service import AgentService
from services.agents.session_feed import session_topic
from services.agents.stream import Stream
from services.agents.stream_token import StreamClaims
from services.clock import rfc3339, utc_now
from services.errors import StoreUnavailableError
from services.events import Event, Kind, Source
from services.graphs import Graphs
from services.health.checks.dashboard import RoundTrip
from services.health.findings import Status
from services.ids import SessionId, new_session_id, room_name_for
from services.live.hub import Hub
from services.reviews.service import Reviews
from services.rooms.watcher import Rooms
from services.sessions.service import Sessions
from services.settings import Settings
from services.store.batch import CommittedEvent
from services.store.projections import fold
from services.store.store import Store, open_store
from switchboard_recorder.protocol import Action, Events, Hello, Record
from tests.support.sqlite_lock import locked
from tests.support.waiting import eventually

SID = "RM_1"


class NoLiveKit:
    """A LiveKit of which only rooms of the round trip are asked; each comes back as a webhook."""

    def __init__(self) -> None:
        self.rooms: Rooms | None = None
        self.undone: list[str] = []

    async def create_room(self, options: Any) -> None:
        assert self.rooms is not None
        await self.rooms.take_webhook(
            event(Kind.ROOM_STARTED, Source.WEBHOOK, room_name=options.name, room_sid="RM_trip")
        )

    def undo_room(self, name: str) -> None:
        self.undone.append(name)


@dataclass
class World:
    """The subscribers of a dashboard around one log, without a LiveKit."""

    store: Store
    hub: Hub
    rooms: Rooms
    sessions: Sessions
    work: AgentService
    reviews: Reviews
    trip: RoundTrip
    session_id: SessionId
    room_name: str
    told: list[CommittedEvent] = field(default_factory=list)

    def of_session(self, kind: Kind, source: Source, /, **data: Any) -> Event:
        where = {"room_name": self.room_name, "room_sid": SID, "session_id": self.session_id}
        return event(kind, source, **where, data=data)

    def feed(self) -> list[str]:
        """The kinds that whoever looks at the session is shown."""
        body = self.hub._topic(session_topic(self.session_id)).snapshot
        return [] if body is None else [row["kind"] for row in body()["rows"]]

    async def stream(self, stream_id: str = "str_1", *, late: bool = False) -> Stream:
        hello = Hello(stream_id=stream_id, room_name=self.room_name, actions=("say",), late=late)
        claims = StreamClaims(stream_id=stream_id, room_name=self.room_name)
        return await self.work.streams.open(claims, hello, Outbox())


def event(kind: Kind, source: Source, **given: Any) -> Event:
    now = utc_now()
    return Event(kind=kind, at=now, received_at=now, source=source, **given)


@asynccontextmanager
async def open_world(url: str, folder: Path, *, timeout_s: float = 5.0) -> AsyncIterator[World]:
    settings = Settings(
        database_url=SecretStr(url),
        switchboard_data_dir=folder,
        switchboard_store_timeout_s=timeout_s,
    )
    hub = Hub(asyncio.get_running_loop(), lambda: rfc3339(utc_now()))
    livekit = NoLiveKit()
    no = cast("Any", livekit)
    async with open_store(settings) as store, open_audit(store.access.add_entries) as audit:
        rooms = livekit.rooms = Rooms(no, store, hub, now=utc_now, poll_interval_s=60)
        session_id = new_session_id()
        world = World(
            store=store,
            hub=hub,
            rooms=rooms,
            work=AgentService(
                no, rooms, store, hub, no, None, audit, now=utc_now,
                worker=lambda: None, timing=RecoveryTiming(after_start_s=0, grace_s=0),
            ),
            sessions=Sessions(
                settings, no, rooms, no, store,
                Graphs(settings.switchboard_langgraph_json), audit, now=utc_now,
            ),
            reviews=Reviews(store, rooms, ("Well?",), audit, now=utc_now),
            trip=RoundTrip(store.log, no),
            session_id=session_id,
            room_name=room_name_for(session_id, "echo"),
        )  # fmt: skip
        store.log.subscribe(world.told.append)
        created = world.of_session(
            Kind.SESSION_CREATED, Source.API, agent_name="echo", user_id="ann", identity="ann-1"
        )
        session = fold(None, None, created).session
        assert session is not None
        rooms.take_soon(created, session)
        await eventually(lambda: len(world.told) == 1)
        yield world
        await world.sessions.close()
        hub.close()


@pytest_asyncio.fixture
async def world(sqlite_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A session in an open room, created by the API."""
    async with open_world(sqlite_url, tmp_path) as opened:
        yield opened


async def by_webhook(world: World) -> None:
    await world.rooms.take_webhook(
        world.of_session(Kind.PARTICIPANT_JOINED, Source.WEBHOOK, participant_sid="PA_1")
    )


async def by_poll(world: World) -> None:
    await world.rooms.write_down(world.of_session(Kind.ROOM_STARTED, Source.POLL))


async def by_extension(world: World) -> None:
    now = utc_now()
    by = event(Kind.SESSION_EXTENDED, Source.OPERATOR)
    ends = rfc3339(now + timedelta(hours=1))
    await world.rooms.take(world.of_session(by.kind, by.source, expires_at=ends))


async def by_reviewer(world: World) -> None:
    await world.reviews.add_note(
        world.session_id, pinned_at=utc_now(), text="Good", actor=SYSTEM_PRINCIPAL
    )


async def by_command(world: World) -> None:
    await world.work.commands.send(
        world.session_id, Action.SAY, {"text": "hi"}, actor=SYSTEM_PRINCIPAL, wait_s=0
    )


async def by_agent(world: World) -> None:
    stream = await world.stream()
    record = Record(seq=1, kind="interrupt_raised", at=utc_now(), data={"interrupt_id": "i1"})
    await world.work.streams.take(stream, Events(events=(record,)))


async def by_socket(world: World) -> None:
    await world.work.streams.closed(await world.stream())


async def by_recovery(world: World) -> None:
    """A job that was connected when we stopped, and does not come back."""
    connected = world.of_session(Kind.JOB_CONNECTED, Source.SYSTEM, stream_id="str_old")
    await world.store.log.append(connected)
    running = asyncio.create_task(world.work.recovery.run())
    await eventually(lambda: world.told[-1].event.kind is Kind.JOB_DISCONNECTED)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await world.work.recovery.close()


async def by_observer(world: World) -> None:
    watch = cast("Any", type("Watch", (), {"session_id": world.session_id}))
    told = world.of_session(Kind.MESSAGE, Source.OBSERVER, role="user", text="hello")
    await world.work.observers._keep(watch, told)


Write = Callable[[World], Awaitable[None]]
WRITERS: dict[Write, Kind] = {
    by_webhook: Kind.PARTICIPANT_JOINED,
    by_poll: Kind.ROOM_STARTED,
    by_extension: Kind.SESSION_EXTENDED,
    by_reviewer: Kind.NOTE_ADDED,
    by_command: Kind.COMMAND_SENT,
    by_agent: Kind.INTERRUPT_RAISED,
    by_socket: Kind.JOB_DISCONNECTED,
    by_recovery: Kind.JOB_DISCONNECTED,
    by_observer: Kind.MESSAGE,
}


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
async def test_what_anybody_writes_reaches_every_subscriber(world: World, write: Write) -> None:
    world.sessions._ends.clear()
    world.work.questions._look.clear()
    live = world.rooms._picture.live[world.room_name]
    live.session = None
    await write(world)
    kind = WRITERS[write]
    assert [one.event.kind for one in world.told].count(kind) == 1
    assert world.told[-1].event.kind is kind
    assert world.feed().count(kind) == 1  # the session's page
    assert world.session_id in world.sessions._ends  # the timers
    if write is not by_observer:
        assert live.session == world.told[-1].session or write is by_agent  # the live picture
    if kind in {Kind.COMMAND_SENT, Kind.INTERRUPT_RAISED}:
        assert world.work.questions._look.is_set()


async def test_a_command_that_waits_is_woken_by_the_agents_answer(world: World) -> None:
    stream = await world.stream()
    sending = asyncio.ensure_future(
        world.work.commands.send(
            world.session_id, Action.SAY, {"text": "hi"}, actor=SYSTEM_PRINCIPAL, wait_s=10
        )
    )
    await eventually(lambda: world.told[-1].event.kind is Kind.COMMAND_SENT)
    command_id = world.told[-1].event.data["command_id"]
    await asyncio.sleep(0)
    answer = {"command_id": command_id, "outcome": "done", "detail": ""}
    record = Record(seq=1, kind="command_completed", at=utc_now(), data=answer)
    await world.work.streams.take(stream, Events(events=(record,)))
    assert (await asyncio.wait_for(sending, 3)).status.value == "done"


async def test_the_round_trip_of_health_hears_its_webhook(world: World) -> None:
    finding = await world.trip.run(snippet="")
    assert finding.status is Status.OK


async def test_an_agents_state_is_in_the_picture_unless_it_is_delivered_late(
    world: World,
) -> None:
    joined = world.of_session(
        Kind.PARTICIPANT_JOINED, Source.WEBHOOK, participant_sid="PA_1", kind="agent"
    )
    await world.rooms.take(joined)

    def state() -> str | None:
        view = world.rooms.snapshot.get(world.room_name)
        return view.participants[0].agent_state if view is not None else None

    for n, (late, word) in enumerate([(False, "speaking"), (True, "thinking")]):
        stream = await world.stream(f"str_{n}", late=late)
        record = Record(seq=1, kind="agent_state_changed", at=utc_now(), data={"new": word})
        await world.work.streams.take(stream, Events(events=(record,)))
        assert state() == "speaking"
    assert [one.replayed for one in world.told if one.event.kind is Kind.AGENT_STATE] == [
        False,
        True,
    ]
    assert world.feed().count(Kind.AGENT_STATE) == 1


async def test_a_subscriber_that_fails_stops_neither_the_others_nor_the_writer(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    after: list[Kind] = []

    def fails(committed: CommittedEvent) -> None:
        raise ValueError("no")

    world.store.log.subscribe(fails)
    world.store.log.subscribe(lambda committed: after.append(committed.event.kind))
    (committed,) = await world.store.log.append(world.of_session(Kind.TAGGED, Source.OPERATOR))
    assert committed.fresh
    assert after == [Kind.TAGGED]
    assert "a subscriber of the event log failed" in caplog.text
    caplog.clear()


async def test_subscribers_are_told_in_the_order_of_the_log_and_once(world: World) -> None:
    events = [world.of_session(Kind.TAGGED, Source.OPERATOR, n=n) for n in range(300)]
    await asyncio.gather(
        world.store.log.append(*events[:200]),
        world.store.log.append(*events[:10]),  # the same once more
        world.store.log.append(*events[200:]),
    )
    told = [one.event.id for one in world.told if one.event.kind is Kind.TAGGED]
    assert told == [one.id for one in events]
    stored = await world.store.events(session_id=world.session_id, kinds=[Kind.TAGGED])
    assert [one.event.id for one in stored] == told


async def test_what_is_committed_while_we_stop_starts_nothing(world: World) -> None:
    await by_webhook(world)
    assert len(world.sessions._aio_tasks) == 1  # is who joined kept out?
    await world.sessions.close()
    await world.rooms.take(world.of_session(Kind.ROOM_STARTED, Source.WEBHOOK))
    assert not world.sessions._aio_tasks


async def test_a_slow_database_delays_subscribers_and_shows_rooms_at_once_and_once(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with open_world(sqlite_url, tmp_path, timeout_s=0.6) as world:
        track = {"sid": "TR_1", "kind": "audio", "source": "microphone", "muted": False, "name": ""}
        joined, published = (
            world.of_session(kind, Source.WEBHOOK, participant_sid="PA_1", **data)
            for kind, data in ((Kind.PARTICIPANT_JOINED, {}), (Kind.TRACK_PUBLISHED, {"track": track}))
        )  # fmt: skip
        with locked(tmp_path / "switchboard.db"):
            with pytest.raises(StoreUnavailableError):
                await world.rooms.take(joined, published)
            view = world.rooms.snapshot.get(world.room_name)
            assert view is not None
            assert [track.sid for track in view.participants[0].tracks] == ["TR_1"]
            assert len(world.told) == 1
            world.rooms._picture.live[world.room_name].participants.clear()  # they left meanwhile
        await eventually(lambda: len(world.told) == 3, within_s=5)
        assert world.rooms._picture.live[world.room_name].participants == {}  # not shown again
        assert world.rooms._early == {}
        assert world.feed()[-2:] == ["participant_joined", "track_published"]


async def test_whatever_an_agent_sends_is_kept_and_harms_no_other_event(world: World) -> None:
    ends = {"session_id": str(new_session_id()), "agent_id": "evil", "expires_at": "yesterday"}
    hostile: list[tuple[str, dict[str, Any]]] = [
        ("agent_dispatched", {"dispatch_id": "AD_evil"}),
        ("room_finished", {"reason": "no"}),
        ("custom", {"switchboard": ends}),
        ("custom", {"switchboard": "no object", "participant_sid": ["PA_1"]}),
        ("conversation_item_added", {"role": "user", "text": "hi", "metrics": {"e2e_latency": 1e308}}),
        ("conversation_item_added", {"role": ["user"], "text": {"no": "text"}, "metrics": []}),
        ("interrupt_raised", {"interrupt_id": "i" * 5_000, "value": float("nan")}),
        ("run_finished", {"interrupts": [{"id": 7}, None, 3.5]}),
        ("job_started", {"versions": {"agent": 10**400}, "pid": -1}),
        ("command_completed", {"command_id": None, "outcome": 5}),
        ("error", {"message": "\ud800\x00", "\udfff": 1}),
        ("run_failed", {"ms": float("-inf"), "error": "x" * 500_000}),
    ]  # fmt: skip
    records = tuple(
        Record(seq=n, kind=kind, at=utc_now() - timedelta(days=n * 1_000), data=data)
        for n, (kind, data) in enumerate(hostile, start=1)
    )
    before = await world.store.session(world.session_id)
    await world.work.streams.take(await world.stream(), Events(events=records))
    stored = await world.store.events(session_id=world.session_id)
    kinds = [one.event.kind.value for one in stored if one.event.source is Source.AGENT]
    assert kinds == [
        "unknown_agent_event",
        "unknown_agent_event",
        *[kind for kind, _ in hostile[2:]],
    ]
    assert world.store.log.rejected == 0
    after = await world.store.session(world.session_id)
    assert (after.dispatch_id, after.agent_name, after.expires_at, after.status) == (
        before.dispatch_id, before.agent_name, before.expires_at, before.status
    )  # fmt: skip
    assert world.work.streams.altered == len(hostile)
    turns = await world.store.agents.turns_of(world.session_id)
    assert [(turn.user_text, turn.answer_ms) for turn in turns] == [("hi", None)]
