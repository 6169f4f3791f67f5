"""Agents' streams: one WebSocket a job, its events taken once and in order, its end noticed.

Nothing here knows the web framework: `api/agents.py` carries the frames, on another loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from services.clock import Now
from services.errors import ConflictError, DeniedError, NotFoundError, StoreUnavailableError
from services.events import Certainty, Event, Kind, Source
from services.hub import Hub
from services.ids import SessionId, session_id_in
from services.jobs.feed import Feeds
from services.jobs.outbox import Outbox
from services.jobs.stream_token import StreamClaims
from services.rooms import Rooms
from services.store.records import SessionRecord
from services.store.store import Store
from switchboard_recorder.protocol import (
    PROTOCOL,
    Ack,
    Bye,
    Events,
    Hello,
    Live,
    Record,
    Welcome,
)

log = logging.getLogger(__name__)

TOPIC: Final = "agents"
STREAMS: Final = 2_000
_ROOM_WAIT_S: Final = 5.0  # a room that others made: our first poll or webhook adopts it
_LOOK_S: Final = 0.1
_AGAIN_S: Final = 0.5
_NAMES: Final = 1_000

OnJob = Callable[["Stream"], Awaitable[None]]


@dataclass(slots=True)
class Stream:
    """One job's stream while its socket is open."""

    hello: Hello
    session_id: SessionId
    room_sid: str
    outbox: Outbox
    acked: int
    said_bye: bool = False
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Streams:
    """The open streams; on the runtime's loop. `open_streams` may be read on any thread."""

    def __init__(self, store: Store, rooms: Rooms, hub: Hub, feeds: Feeds, *, now: Now) -> None:
        self._store = store
        self._rooms = rooms
        self._hub = hub
        self._feeds = feeds
        self._now = now
        self._open: dict[str, Stream] = {}
        self._connected: list[OnJob] = []
        self._lost: list[OnJob] = []
        self.seen_agents: set[str] = set()  # names of agents that connected since our start
        self.closing = False  # we are stopping: sockets that close now say nothing of their jobs
        hub.provide(TOPIC, dict)

    def on_connected(self, listener: OnJob) -> None:
        """Call `listener` when a job's stream has opened."""
        self._connected.append(listener)

    def on_lost(self, listener: OnJob) -> None:
        """Call `listener` when a stream has closed without a good-bye."""
        self._lost.append(listener)

    @property
    def open_streams(self) -> tuple[Stream, ...]:
        """Every open stream, in the order of opening."""
        return tuple(self._open.values())

    def of_session(self, session_id: str) -> Stream | None:
        """The stream of a session's agent; of several, the one that opened last."""
        found = [s for s in self._open.values() if s.session_id == session_id]
        return found[-1] if found else None

    def is_open(self, stream_id: str) -> bool:
        """Whether a job is connected by this stream."""
        return stream_id in self._open

    async def open(self, claims: StreamClaims, hello: Hello, outbox: Outbox) -> Stream:
        """Take up a job's stream; the welcome is in its outbox.

        Raises:
            DeniedError: the hello does not fit the token, or names another room's session.
            NotFoundError: no session is known for its room.
            ConflictError: too many streams.
            StoreUnavailableError: try again.
        """
        if hello.stream_id != claims.stream_id or hello.room_name != claims.room_name:
            raise DeniedError("The hello does not fit its token.")
        if len(self._open) >= STREAMS and hello.stream_id not in self._open:
            raise ConflictError("Too many agents are connected.", hint="Start another dashboard.")
        session = await self._session_of(hello)
        if hello.session_id and hello.session_id != session.id:
            raise DeniedError("The hello names the session of another room.")
        acked = await self._store.agents.last_seq(hello.stream_id)
        if (before := self._open.pop(hello.stream_id, None)) is not None:
            before.said_bye = True  # the same job: its newer socket takes over
            before.outbox.close()
        stream = Stream(hello, session.id, session.room_sid or hello.room_sid, outbox, acked)
        self._open[hello.stream_id] = stream
        if len(self.seen_agents) < _NAMES:
            self.seen_agents.add(hello.agent_name)
        await self._tell(stream, Kind.JOB_CONNECTED, _facts(hello))
        outbox.push(Welcome(protocol=PROTOCOL, session_id=session.id, acked=acked))
        for listener in self._connected:
            await listener(stream)
        self._hub.touch(TOPIC)
        return stream

    async def take(self, stream: Stream, message: Events) -> None:
        """Commit a batch; then acknowledge it and show it.

        What was acknowledged before is passed over; a gap is answered by a welcome, after which
        the job sends again from there. While the database is away the batch waits, and with it
        the job, which keeps what comes after.
        """
        async with stream.taking:
            fresh = [record for record in message.events if record.seq > stream.acked]
            if fresh and [r.seq for r in fresh] != list(
                range(stream.acked + 1, stream.acked + 1 + len(fresh))
            ):
                stream.outbox.push(Welcome(session_id=stream.session_id, acked=stream.acked))
                return
            if fresh:
                events = tuple(self._event(stream, record) for record in fresh)
                await self._commit(events)
                stream.acked = fresh[-1].seq
                self._show(stream, events)
            stream.outbox.push(Ack(seq=stream.acked))

    def live(self, stream: Stream, message: Live) -> None:
        """Show what is not kept."""
        self._feeds.live(stream.session_id, message)

    async def bye(self, stream: Stream, message: Bye) -> None:
        """The job has ended in good order, and everything of it is here."""
        stream.said_bye = True
        await self._tell(
            stream,
            Kind.JOB_LEFT,
            {"stream_id": stream.hello.stream_id, "clean": True, "reason": message.reason},
        )
        stream.outbox.push(Ack(seq=stream.acked))

    async def closed(self, stream: Stream, *, by_us: bool = False) -> None:
        """The socket is gone. Without a good-bye the job is lost, unless it connects again.

        `by_us`: we are stopping, and the job will find whoever comes next.
        """
        stream.gone.set()
        if self._open.get(stream.hello.stream_id) is stream:
            del self._open[stream.hello.stream_id]
        self._hub.touch(TOPIC)
        if stream.said_bye or by_us or self.closing:
            return
        facts = {"stream_id": stream.hello.stream_id, "clean": False, "reason": "socket closed"}
        try:
            await self._tell(stream, Kind.JOB_LEFT, facts)
        except StoreUnavailableError as exc:
            log.warning("a lost job was not written down yet", extra={"error": exc.code})
        for listener in self._lost:
            await listener(stream)

    # -- inside

    async def _commit(self, events: tuple[Event, ...]) -> None:
        while True:
            try:
                await self._store.append(*events)
            except StoreUnavailableError as exc:
                log.warning("an agent's events wait", extra={"error": exc.code})
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    async def _session_of(self, hello: Hello) -> SessionRecord:
        """By the id in the room's name, else the room's; a room just made is waited for."""
        ours = session_id_in(hello.room_name)
        deadline_s = asyncio.get_running_loop().time() + _ROOM_WAIT_S
        while True:
            try:
                if ours is not None:
                    return await self._store.session(ours)
            except NotFoundError:
                pass  # its row is written after the answer of the API: it comes
            found = await self._store.session_of_room(hello.room_name)
            if found is not None and (not hello.room_sid or found.room_sid == hello.room_sid):
                return found
            if asyncio.get_running_loop().time() > deadline_s:
                raise NotFoundError(
                    "No session is known for the stream's room.",
                    hint="Is the agent's LIVEKIT_URL the server that this dashboard watches?",
                )
            self._rooms.look_again()
            await asyncio.sleep(_LOOK_S)

    def _event(self, stream: Stream, record: Record) -> Event:
        hello, data = stream.hello, record.data
        try:
            kind = Kind(record.kind)
        except ValueError:
            kind, data = Kind.AGENT_OTHER, {"kind": record.kind[:100], "data": record.data}
        if kind not in _THEIRS:  # an agent tells of itself, not of rooms and sessions
            kind, data = Kind.AGENT_OTHER, {"kind": record.kind[:100], "data": record.data}
        if kind is Kind.MESSAGE:
            data = {**data, "agent_name": hello.agent_name}
        return Event(
            kind=kind,
            at=record.at,
            received_at=self._now(),
            source=Source.AGENT,
            id=f"{hello.stream_id}:{record.seq}",
            session_id=stream.session_id,
            room_name=hello.room_name,
            room_sid=stream.room_sid,
            identity=hello.identity,
            data=data,
        )

    def _show(self, stream: Stream, events: tuple[Event, ...]) -> None:
        self._feeds.publish(stream.session_id, events)
        for event in events:
            if event.kind is Kind.AGENT_STATE:
                word = str(event.data.get("new", ""))
                self._rooms.show_agent_state(event.room_name, event.identity, word)
            elif event.kind in _CHANGES:
                self._hub.touch("overview")
                self._hub.touch(TOPIC)

    async def _tell(self, stream: Stream, kind: Kind, data: dict[str, Any]) -> None:
        now, hello = self._now(), stream.hello
        event = Event(
            kind=kind,
            at=now,
            received_at=now,
            source=Source.SYSTEM,
            certainty=Certainty.OBSERVED,
            session_id=stream.session_id,
            room_name=hello.room_name,
            room_sid=stream.room_sid,
            identity=hello.identity,
            data=data,
        )
        await self._store.append(event)
        self._feeds.publish(stream.session_id, (event,))


_OURS: Final = {
    Kind.JOB_CONNECTED, Kind.JOB_LEFT, Kind.COMMAND_SENT, Kind.AGENT_AGAIN, Kind.AGENT_GIVEN_UP,
    Kind.SESSION_CREATED, Kind.SESSION_FAILED, Kind.SESSION_ENDING, Kind.SESSION_EXTENDED,
    Kind.JOIN_DENIED, Kind.OPERATOR_ACTION, Kind.ROOM_STARTED, Kind.ROOM_FINISHED,
    Kind.PARTICIPANT_JOINED, Kind.PARTICIPANT_LEFT, Kind.PARTICIPANT_ABORTED,
    Kind.TRACK_PUBLISHED, Kind.TRACK_UNPUBLISHED, Kind.LIVEKIT_OTHER,
}  # fmt: skip
_THEIRS: Final = set(Kind) - _OURS
_CHANGES: Final = {Kind.INTERRUPT_RAISED, Kind.INTERRUPT_RESUMED, Kind.COMMAND_DONE, Kind.MESSAGE}


def _facts(hello: Hello) -> dict[str, Any]:
    names = ("stream_id", "job_id", "dispatch_id", "worker_id", "agent_name", "host", "recorder")
    facts: dict[str, Any] = {name: getattr(hello, name)[:80] for name in names}
    return facts | {"pid": hello.pid, "actions": [a[:32] for a in hello.actions[:32]]}
