"""Observers of the sessions that somebody looks at and that no recorder tells of."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from services.agents.ingest import payload
from services.agents.session_feed import SESSION_PREFIX, Feeds
from services.agents.stream import Streams
from services.clock import Now
from services.errors import StoreUnavailableError, SwitchboardError
from services.events import Event, Kind, Source
from services.ids import OBSERVER_PREFIX, SessionId, new_event_id, new_identity
from services.live.hub import Hub
from services.livekit.observer import Observer
from services.livekit.service import LiveKitService
from services.livekit.target import LiveKitTarget
from services.livekit.tokens import Grants, TokenRequest
from services.rooms.views import RoomView
from services.rooms.watcher import Rooms
from services.store.store import Store
from switchboard_recorder.protocol import Live

log = logging.getLogger(__name__)

MOST: Final = 20
"""Rooms observed at once; each costs a connection to LiveKit."""
_TICK_S: Final = 0.5
_PATIENCE: Final = timedelta(seconds=3)  # a recorder that comes is better
_LINGER_S: Final = 15.0  # after the last who looked has gone
_AGAIN_S: Final = 20.0  # after it could not join
_TTL: Final = timedelta(hours=1)


@dataclass(slots=True)
class _Watch:
    view: RoomView
    session_id: SessionId
    agent: str
    looked_at_s: float
    observer: Observer | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class Observers:
    """Joins hidden where it is of use, and leaves when it is not; on the runtime's loop."""

    def __init__(
        self,
        livekit: LiveKitService,
        rooms: Rooms,
        store: Store,
        hub: Hub,
        streams: Streams,
        feeds: Feeds,
        target: LiveKitTarget,
        *,
        now: Now,
    ) -> None:
        self._livekit = livekit
        self._rooms = rooms
        self._store = store
        self._hub = hub
        self._streams = streams
        self._feeds = feeds
        self._target = target
        self._now = now
        self._watches: dict[SessionId, _Watch] = {}
        self._not_before_s: dict[SessionId, float] = {}
        self._aio_tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look twice a second at who is looked at, until cancelled."""
        try:
            while True:
                self._look()
                await asyncio.sleep(_TICK_S)
        finally:
            for watch in self._watches.values():
                watch.stop.set()
            if self._aio_tasks:
                await asyncio.wait(self._aio_tasks, timeout=5)

    def _look(self) -> None:
        topics = self._hub.topics_read(SESSION_PREFIX)
        if not topics and not self._watches:
            return
        now_s = time.monotonic()
        looked_at = {topic.removeprefix(SESSION_PREFIX) for topic in topics}
        views = {
            view.session.id: view
            for view in self._rooms.snapshot.rooms
            if view.session is not None
            and (view.session.id in looked_at or view.session.id in self._watches)
        }
        for session_id, watch in self._watches.items():
            if session_id in looked_at:
                watch.looked_at_s = now_s
            late = now_s - watch.looked_at_s > _LINGER_S
            if late or session_id not in views or self._streams.of_session(session_id) is not None:
                watch.stop.set()
        for session_id, view in views.items():
            if session_id in self._watches or len(self._watches) >= MOST:
                continue
            agent = self._silent_agent(session_id, view)
            if agent and self._not_before_s.get(session_id, 0.0) <= now_s:
                watch = _Watch(view=view, session_id=session_id, agent=agent, looked_at_s=now_s)
                self._watches[session_id] = watch
                aio_task = asyncio.get_running_loop().create_task(self._observe(watch))
                self._aio_tasks.add(aio_task)
                aio_task.add_done_callback(self._aio_tasks.discard)

    def _silent_agent(self, session_id: SessionId, view: RoomView) -> str:
        """The identity of an agent that is there for a while and has no recorder; "": none."""
        if self._streams.of_session(session_id) is not None:
            return ""
        most = view.room.max_participants
        if most and len(view.participants) >= most:
            return ""  # a place in it is worth more to somebody else
        long_ago = self._now() - _PATIENCE
        for participant in view.participants:
            joined = participant.joined_at
            if participant.is_agent and joined is not None and joined < long_ago:
                return participant.identity
        return ""

    async def _observe(self, watch: _Watch) -> None:
        identity = new_identity(OBSERVER_PREFIX)
        telling: asyncio.Queue[tuple[str, datetime, dict[str, Any]]] = asyncio.Queue(maxsize=2_000)
        observer = Observer(lambda kind, at, data: _put(telling, (kind, at, data)))
        try:
            token = self._livekit.generate_token(
                TokenRequest(
                    identity=identity,
                    room=watch.view.name,
                    name="Switchboard",
                    ttl=_TTL,
                    # data: an agent's session answers who asks
                    grants=Grants(
                        room_join=True, hidden=True, can_publish=False, can_publish_data=True
                    ),
                )
            )
            way = await observer.open(self._target.url, token.token, watch.agent)
            told = self._event(watch, Kind.OBSERVER_JOINED, self._now(), {"way": way.value})
            await self._keep(watch, told)
            writing = asyncio.create_task(self._write(watch, telling))
            try:
                await _first(watch.stop, observer.over)
            finally:
                writing.cancel()
            await self._keep(watch, self._event(watch, Kind.OBSERVER_LEFT, self._now(), {}))
        except SwitchboardError as exc:
            log.warning("a session is not observed", extra={"error": exc.code})
        finally:
            self._not_before_s[watch.session_id] = time.monotonic() + _AGAIN_S
            while len(self._not_before_s) > 10 * MOST:
                self._not_before_s.pop(next(iter(self._not_before_s)))
            self._watches.pop(watch.session_id, None)
            await observer.close()

    async def _write(
        self, watch: _Watch, telling: asyncio.Queue[tuple[str, datetime, dict[str, Any]]]
    ) -> None:
        while True:
            kind, at, data = await telling.get()
            if kind == Kind.TRANSCRIBED and not data["final"]:
                self._feeds.live(
                    watch.session_id, Live(kind=kind, at=at, data=payload(Kind(kind), data))
                )
                continue
            await self._keep(watch, self._event(watch, Kind(kind), at, payload(Kind(kind), data)))

    async def _keep(self, watch: _Watch, event: Event) -> None:
        try:
            await self._store.log.append(event)
        except StoreUnavailableError as exc:
            log.warning("what was observed is not written yet", extra={"error": exc.code})

    def _event(self, watch: _Watch, kind: Kind, at: datetime, data: dict[str, Any]) -> Event:
        view = watch.view
        event_id = new_event_id()
        if kind is Kind.MESSAGE:  # it comes again with the next one that observes
            event_id = f"obs_{watch.session_id}_{data['id']}"[:200]
            data = {**data, "agent_name": view.agent_name}
        return Event(
            kind=kind,
            at=at,
            received_at=self._now(),
            source=Source.OBSERVER,
            id=event_id,
            session_id=watch.session_id,
            room_name=view.name,
            room_sid=view.room.sid,
            identity=watch.agent,
            data=data,
        )


def _put(queue: asyncio.Queue[Any], item: object) -> None:
    if queue.full():  # the database is away for long: the newest counts
        queue.get_nowait()
    queue.put_nowait(item)


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
