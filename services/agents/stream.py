"""Agents' streams: one WebSocket a job, its events taken once and in order, its end noticed.

Nothing here knows the web framework: `api/agents.py` carries the frames, on another loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from services.agents.ingest import ALTERED, FROM_AGENTS, event_of, facts_of, gap_for, payload
from services.agents.outbox import Outbox
from services.agents.session_feed import Feeds
from services.agents.stream_token import StreamClaims
from services.clock import Now
from services.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    StoreRejectedError,
    StoreUnavailableError,
    StreamGapError,
)
from services.events import Event, Kind, Provenance, Source
from services.ids import SessionId, session_id_in
from services.live.hub import Hub
from services.rooms.watcher import Rooms
from services.store.event_log import QUEUE_LIMIT
from services.store.records import SessionRecord
from services.store.store import Store
from switchboard_recorder.protocol import (
    BATCH,
    PROTOCOL,
    Ack,
    Bye,
    Events,
    Hello,
    Live,
    Welcome,
)

log = logging.getLogger(__name__)

TOPIC: Final = "agents"
STREAMS: Final = 2_000
_ROOM_WAIT_S: Final = 5.0  # a room that others made: our first poll or webhook adopts it
_LOOK_S: Final = 0.1
_AGAIN_S: Final = 0.5
_NAMES: Final = 1_000

_REASON: Final = 500
CROWDED: Final = QUEUE_LIMIT // 2
"""More events than these waiting for the database: agents', which their jobs keep, wait outside."""
LIVE_A_SECOND: Final = 50.0
LIVE_AT_ONCE: Final = 100.0

OnConnected = Callable[["Stream"], Awaitable[None]]
OnLost = Callable[["Stream"], None]


@dataclass(slots=True)
class Stream:
    """One job's stream while its socket is open."""

    hello: Hello
    session_id: SessionId
    room_sid: str
    outbox: Outbox
    acked: int = 0
    said_bye: bool = False
    replaced: bool = False  # by a newer socket of the same job
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    _live_left: float = LIVE_AT_ONCE
    _live_at_s: float = 0.0

    def may_show(self) -> bool:
        """Whether one more message that is not kept fits into this second."""
        now_s = time.monotonic()
        left = self._live_left + (now_s - self._live_at_s) * LIVE_A_SECOND
        self._live_left, self._live_at_s = min(left, LIVE_AT_ONCE), now_s
        if self._live_left < 1:
            return False
        self._live_left -= 1
        return True


class Streams:
    """The open streams; on the runtime's loop. `open_streams` may be read on any thread."""

    def __init__(self, store: Store, rooms: Rooms, hub: Hub, feeds: Feeds, *, now: Now) -> None:
        self._store = store
        self._rooms = rooms
        self._hub = hub
        self._feeds = feeds
        self._now = now
        self._open: dict[str, Stream] = {}
        self._connected: list[OnConnected] = []
        self._lost: list[OnLost] = []
        self.seen_agents: set[str] = set()  # names of agents that connected since our start
        self.altered = 0  # events of which something did not fit its bounds
        self.closing = False  # we are stopping: sockets that close now say nothing of their jobs
        hub.provide(TOPIC, dict)

    def on_connected(self, listener: OnConnected) -> None:
        """Call `listener` when a job's stream has opened."""
        self._connected.append(listener)

    def on_lost(self, listener: OnLost) -> None:
        """Call `listener` when a stream has closed without a good-bye."""
        self._lost.append(listener)

    @property
    def open_streams(self) -> tuple[Stream, ...]:
        """Every connected job's stream, in the order of opening."""
        return tuple(stream for stream in self._open.values() if not stream.hello.late)

    def of_session(self, session_id: str) -> Stream | None:
        """The stream of a session's agent; of several, the one that opened last."""
        found = [s for s in self.open_streams if s.session_id == session_id]
        return found[-1] if found else None

    def is_open(self, stream_id: str) -> bool:
        """Whether a job is connected by this stream."""
        found = self._open.get(stream_id)
        return found is not None and not found.hello.late

    def close_all(self) -> None:
        """Close every socket; the jobs connect again to whoever comes next."""
        self.closing = True
        for stream in self._open.values():
            stream.outbox.close()

    async def open(self, claims: StreamClaims, hello: Hello, outbox: Outbox) -> Stream:
        """Take up a job's stream; the welcome is in its outbox.

        Raises:
            PermissionDeniedError: the hello does not fit the token, or names another room's session.
            NotFoundError: no session is known for its room.
            ConflictError: too many streams, or the job of a late one lives.
            StoreUnavailableError: try again.
        """
        session = await self._admitted(claims, hello)
        before = self._open.get(hello.stream_id)
        stream = Stream(hello, session.id, (session.room_sid or hello.room_sid)[:64], outbox)
        self._open[hello.stream_id] = stream
        try:
            if before is not None:  # the same job: its newer socket takes over
                before.replaced = True
                before.outbox.close()
                async with before.taking:  # what it was about to commit is safe before we say so
                    pass
            stream.acked = await self._store.agents.last_seq(hello.stream_id)
            await self._tell(stream, Kind.JOB_CONNECTED, facts_of(hello))
            outbox.push(Welcome(protocol=PROTOCOL, session_id=session.id, acked=stream.acked))
            if not hello.late:
                if len(self.seen_agents) < _NAMES:
                    self.seen_agents.add(hello.agent_name)
                for listener in self._connected:
                    await listener(stream)
        except BaseException:
            self._drop(stream)
            if not hello.late:  # there is such a job; it is lost if it does not try again
                self._say_lost(stream)
            raise
        self._hub.touch(TOPIC)
        return stream

    async def take(self, stream: Stream, message: Events) -> None:
        """Commit a batch, which shows it; then acknowledge it.

        What was acknowledged before is passed over. While the database is away the batch waits,
        and with it the job, which keeps what comes after.

        Raises:
            StreamGapError: events are missing before these.
            InvalidInputError: more of them than a frame may hold.
        """
        if len(message.events) > BATCH:
            raise InvalidInputError(f"A frame holds at most {BATCH} events.")
        async with stream.taking:
            if stream.replaced:
                return  # its job sends them again on its newer socket
            fresh = [record for record in message.events if record.seq > stream.acked]
            if [r.seq for r in fresh] != list(
                range(stream.acked + 1, stream.acked + 1 + len(fresh))
            ):
                raise StreamGapError(f"The last event that is safe is number {stream.acked}.")
            if fresh:
                now = self._now()
                events = [
                    event_of(
                        stream.hello,
                        record,
                        session_id=stream.session_id,
                        room_sid=stream.room_sid,
                        received_at=now,
                    )
                    for record in fresh
                ]
                self.altered += sum(ALTERED in event.data for event in events)
                await self._commit(events, replayed=stream.hello.late)
                stream.acked = fresh[-1].seq
            stream.outbox.push(Ack(seq=stream.acked))

    async def live(self, stream: Stream, message: Live) -> None:
        """Show what is not kept; of too much the rest is passed over."""
        if message.kind in FROM_AGENTS and not stream.hello.late and stream.may_show():
            data = payload(Kind(message.kind), message.data)
            self._feeds.live(stream.session_id, replace(message, data=data))

    async def bye(self, stream: Stream, message: Bye) -> None:
        """The job has ended in good order, and everything of it is here.

        Raises:
            StreamGapError: not everything is.
        """
        if message.last_seq > stream.acked:
            raise StreamGapError(f"The last event that is safe is number {stream.acked}.")
        stream.said_bye = True
        if not stream.hello.late:
            facts = {"clean": True, "reason": message.reason[:_REASON]}
            await self._tell(
                stream, Kind.JOB_DISCONNECTED, facts | {"stream_id": stream.hello.stream_id}
            )
        stream.outbox.push(Ack(seq=stream.acked))

    async def closed(self, stream: Stream, *, by_us: bool = False) -> None:
        """The socket is gone. Without a good-bye the job is lost, unless it connects again.

        `by_us`: we are stopping, and the job will find whoever comes next.
        """
        stream.gone.set()
        self._drop(stream)
        over = stream.said_bye or stream.replaced or stream.hello.late
        if over or by_us or self.closing:
            return
        facts = {"stream_id": stream.hello.stream_id, "clean": False, "reason": "socket closed"}
        try:
            await self._tell(stream, Kind.JOB_DISCONNECTED, facts)
        except StoreUnavailableError as exc:
            log.warning("a lost job was not written down yet", extra={"error": exc.code})
        self._say_lost(stream)

    # -- inside

    async def _admitted(self, claims: StreamClaims, hello: Hello) -> SessionRecord:
        """The session of a stream that may be opened."""
        if hello.stream_id != claims.stream_id or hello.room_name != claims.room_name:
            raise PermissionDeniedError("The hello does not fit its token.")
        if len(self._open) >= STREAMS and hello.stream_id not in self._open:
            raise ConflictError("Too many agents are connected.", hint="Start another dashboard.")
        session = await self._session_of(hello)
        if hello.session_id and hello.session_id != session.id:
            raise PermissionDeniedError("The hello names the session of another room.")
        if hello.late and self.is_open(hello.stream_id):
            raise ConflictError("The job of this stream is connected itself.")
        return session

    def _drop(self, stream: Stream) -> None:
        if self._open.get(stream.hello.stream_id) is stream:
            del self._open[stream.hello.stream_id]
        self._hub.touch(TOPIC)

    def _say_lost(self, stream: Stream) -> None:
        for listener in self._lost:
            listener(stream)

    async def _commit(self, events: list[Event], *, replayed: bool) -> None:
        """Committed when it returns. One that no database takes is replaced by a gap."""
        while True:
            if self._store.log.waiting > CROWDED:  # others' events come first
                await asyncio.sleep(_AGAIN_S)
                continue
            try:
                await self._store.log.append(*events, patient=True, replayed=replayed)
            except StoreRejectedError:
                if len(events) == 1 and events[0].kind is Kind.EVENTS_DROPPED:
                    raise
                for event in events:
                    await self._commit_one(event, replayed=replayed)
                return
            except StoreUnavailableError as exc:
                log.warning("an agent's events wait", extra={"error": exc.code})
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    async def _commit_one(self, event: Event, *, replayed: bool) -> None:
        try:
            await self._store.log.append(event, patient=True, replayed=replayed)
        except StoreRejectedError:
            await self._commit([gap_for(event, "The database refused it.")], replayed=replayed)

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

    async def _tell(self, stream: Stream, kind: Kind, data: dict[str, Any]) -> None:
        now, hello = self._now(), stream.hello
        event = Event(
            kind=kind,
            at=now,
            received_at=now,
            source=Source.SYSTEM,
            certainty=Provenance.OBSERVED,
            session_id=stream.session_id,
            room_name=hello.room_name,
            room_sid=stream.room_sid,
            identity=hello.identity,
            data=data,
        )
        await self._store.log.append(event)
