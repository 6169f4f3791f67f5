"""Agents that die: noticed by their socket, their ghost removed, asked for again, bounded.

LiveKit needs 20 s to notice a job process that was killed, lists its dispatch as running for
ever, and sends no new job (measured, livekit-server 1.13.5). A dispatch that was made while the
only worker drained stays without a job as well.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.agents.stream import Stream, Streams
from services.clock import Now
from services.errors import NotFoundError, StoreUnavailableError, SwitchboardError
from services.events import Event, Kind, Source
from services.ids import SessionId
from services.livekit.service import LiveKitService
from services.loop.batches import one_by_one
from services.rooms.views import RoomView
from services.rooms.watcher import Rooms
from services.store.agent_records import AgentJob
from services.store.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryTiming:
    """Every wait, and how often we try."""

    grace_s: float = 1.5  # a job that is alive connects again within it
    after_start_s: float = 10.0  # likewise after our own start, or when the database was away
    no_job_s: float = 5.0  # a dispatch without a job, while a worker takes jobs
    look_s: float = 15.0  # a room whose dispatch has had its job is looked at again so late
    pause_s: float = 2.0  # before the second try, and twice as long before each further one
    tick_s: float = 1.0
    tries: int = 3
    within: timedelta = timedelta(minutes=10)


_NEVER: Final = datetime.min.replace(tzinfo=UTC)
DEFAULT_TIMING: Final = RecoveryTiming()


@dataclass(frozen=True, slots=True, kw_only=True)
class RedispatchExhausted:
    """A session whose agent was lost too often."""

    session_id: SessionId
    room_name: str
    agent_name: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class _Lost:
    stream_id: str
    room_name: str
    identity: str
    dispatch_id: str


@dataclass(slots=True)
class _Tries:
    at: deque[datetime] = field(default_factory=deque)
    last_s: float = float("-inf")
    agent_name: str = ""
    metadata: str | None = None  # of the dispatch that we took away, for the one in its place
    looked_s: float = float("-inf")


class Recovery:
    """Brings lost agents back; on the runtime's loop. `given_up` may be read on any thread."""

    def __init__(
        self,
        livekit: LiveKitService,
        rooms: Rooms,
        store: Store,
        streams: Streams,
        *,
        takes_jobs: Callable[[str], bool],
        now: Now,
        timing: RecoveryTiming = DEFAULT_TIMING,
    ) -> None:
        self._livekit = livekit
        self._rooms = rooms
        self._store = store
        self._streams = streams
        self._takes_jobs = takes_jobs
        self._now = now
        self._timing = timing
        self._tries: dict[str, _Tries] = {}
        self._owed: dict[str, _Lost] = {}  # lost while nobody else was in the room
        self._aio_tasks: set[asyncio.Task[None]] = set()
        self.given_up: dict[str, RedispatchExhausted] = {}
        streams.on_lost(self._lost)
        streams.on_connected(self._is_back)

    async def run(self) -> None:
        """Look for jobs lost while we were down, and for dispatches nobody took, until cancelled."""
        await self._look_for_left_behind()
        while True:
            await asyncio.sleep(self._timing.tick_s)
            async for view in one_by_one(self._rooms.snapshot.rooms, portion=500):
                if self._waits_for_a_job(view) and await self._nobody_took_it(view):
                    await self._ask_again(view.name, "No worker took the dispatch.")
                self._pay(view)
            here = {view.session.id for view in self._rooms.snapshot.rooms if view.session}
            for session_id in {*self._tries, *self._owed, *self.given_up} - here:
                self._forget(session_id)

    async def close(self) -> None:
        """Stop what is under way."""
        for aio_task in self._aio_tasks:
            aio_task.cancel()
        await asyncio.gather(*self._aio_tasks, return_exceptions=True)

    # -- lost sockets

    def _lost(self, stream: Stream) -> None:
        hello = stream.hello
        self._start(
            self._after_grace(hello.stream_id, hello.room_name, hello.identity, hello.dispatch_id)
        )

    async def _after_grace(
        self, stream_id: str, room_name: str, identity: str, dispatch_id: str
    ) -> None:
        away = not await self._lets_in()
        await asyncio.sleep(self._timing.grace_s)
        while not await self._lets_in():
            away = True
            await asyncio.sleep(self._timing.tick_s)
        if away:  # a job that lives could not connect meanwhile
            await asyncio.sleep(self._timing.after_start_s)
        await self._bring_back(stream_id, room_name, identity, dispatch_id)

    async def _lets_in(self) -> bool:
        """Whether the database is there: without it no job is let in."""
        if self._store.log.last_error:
            return False
        try:
            await self._store.agents.connected_jobs(limit=1)
        except StoreUnavailableError:
            return False
        return True

    async def _bring_back(
        self, stream_id: str, room_name: str, identity: str, dispatch_id: str
    ) -> None:
        view = self._rooms.snapshot.get(room_name)
        if self._streams.is_open(stream_id) or view is None or view.ending:
            return
        if view.session is not None and self._streams.of_session(view.session.id) is not None:
            return  # another job has taken its place
        session = view.session
        if session is None:
            return
        if not view.people:  # nobody is left to talk to; if somebody comes again, so does it
            self._owed[session.id] = _Lost(stream_id, room_name, identity, dispatch_id)
            return
        if (pause_s := self._pause_s(session.id)) > 0:
            await asyncio.sleep(pause_s)
        reason = "The agent's process is gone."
        while not self._back(stream_id, session.id):
            if await self._ask_again(room_name, reason, ghost=identity, dispatch_id=dispatch_id):
                return
            await asyncio.sleep(self._pause_s(session.id))

    def _pay(self, view: RoomView) -> None:
        session = view.session
        if session is not None and view.people and (lost := self._owed.pop(session.id, None)):
            self._start(
                self._bring_back(lost.stream_id, lost.room_name, lost.identity, lost.dispatch_id)
            )

    def _back(self, stream_id: str, session_id: SessionId) -> bool:
        return self._streams.is_open(stream_id) or self._streams.of_session(session_id) is not None

    def _pause_s(self, session_id: SessionId) -> float:
        """How long to wait before the next try: nothing before the first one."""
        tries = self._tries.get(session_id)
        made = len(tries.at) if tries is not None else 0
        return self._timing.pause_s * 2 ** (made - 1) if made else 0.0

    async def _is_back(self, stream: Stream) -> None:
        self.given_up.pop(stream.session_id, None)
        self._owed.pop(stream.session_id, None)

    async def _look_for_left_behind(self) -> None:
        """Jobs that were connected when we last stopped have some seconds to come back."""
        jobs = await self._connected_before()
        if not jobs:
            return
        await asyncio.sleep(self._timing.after_start_s)
        for job in jobs:
            if self._streams.is_open(job.stream_id):
                continue
            now = self._now()
            gone = Event(
                kind=Kind.JOB_DISCONNECTED,
                at=now,
                received_at=now,
                source=Source.SYSTEM,
                session_id=job.session_id,
                room_name=job.room_name,
                identity=job.identity,
                data={
                    "stream_id": job.stream_id,
                    "clean": False,
                    "reason": "It was gone when Switchboard started.",
                },
            )
            await self._write(gone)
            self._start(
                self._bring_back(job.stream_id, job.room_name, job.identity, job.dispatch_id)
            )

    async def _connected_before(self) -> tuple[AgentJob, ...]:
        while True:
            try:
                return await self._store.agents.connected_jobs()
            except StoreUnavailableError as exc:
                log.warning("jobs from before were not read yet", extra={"error": exc.code})
                await asyncio.sleep(self._timing.tick_s)

    # -- dispatches that nobody took

    def _waits_for_a_job(self, view: RoomView) -> bool:
        session = view.session
        if session is None or not session.ours or view.ending or view.agents:
            return False
        if not session.agent_name or not self._takes_jobs(session.agent_name):
            return False
        if self._streams.of_session(session.id) is not None or session.id in self.given_up:
            return False
        waited = self._now() - session.created_at
        if waited < timedelta(seconds=self._timing.no_job_s) or not view.participants_known:
            return False
        tries = self._tries.get(session.id)
        since_s = asyncio.get_running_loop().time() - (tries.last_s if tries else float("-inf"))
        if since_s < max(self._timing.no_job_s, self._pause_s(session.id)):
            return False
        return bool(view.people) or not session.started_at  # nobody left: let the room end

    async def _nobody_took_it(self, view: RoomView) -> bool:
        """Whether the agent was asked for and LiveKit gave nobody the job.

        An agent that came and went again (it said good-bye, or has no recorder) had its job.
        """
        session = view.session
        if session is None:
            return False
        tries = self._tries.setdefault(session.id, _Tries())
        now_s = asyncio.get_running_loop().time()
        if now_s - tries.looked_s < self._timing.look_s:
            return False
        try:
            found = await self._livekit.list_dispatches(view.name)
            before = await self._store.agents.jobs_of(session.id, limit=1)
        except SwitchboardError as exc:
            log.warning("dispatches were not looked at", extra={"error": exc.code})
            return False
        left = before[0].left_at or before[0].connected_at if before else _NEVER
        mine = [d for d in found if d.agent_name == session.agent_name]
        if any(d.jobs or (d.created_at or _NEVER) < left for d in mine):
            tries.looked_s = now_s
            return False
        return bool(mine) or tries.metadata is not None

    # -- asking again

    async def _ask_again(
        self, room_name: str, reason: str, *, ghost: str = "", dispatch_id: str = ""
    ) -> bool:
        """One try. False: it failed and may be tried again."""
        view = self._rooms.snapshot.get(room_name)
        session = view.session if view is not None else None
        if session is None or not self._may_try(session.id, room_name, session.agent_name, reason):
            return True
        tries = self._tries[session.id]
        removed = False
        deleted: list[str] = []
        try:
            old = await self._livekit.list_dispatches(room_name)
            if ghost:
                removed = await self._remove_ghost(room_name, ghost)
            mine = [d for d in old if d.id == dispatch_id] or [
                d for d in old if d.agent_name == session.agent_name
            ]
            if mine:
                tries.agent_name, tries.metadata = mine[0].agent_name, mine[0].metadata
            for dispatch in mine:
                await self._livekit.delete_dispatch(room_name, dispatch.id)
                deleted.append(dispatch.id)
            name = tries.agent_name or session.agent_name
            made = await self._livekit.create_dispatch(
                room_name,
                name,
                metadata=_resumed(tries.metadata or "", session.id, session.user_id),
            )
        except NotFoundError:
            return True  # the room has ended meanwhile
        except SwitchboardError as exc:
            log.warning("an agent was not redispatched", extra={"error": exc.code})
            return not exc.retryable
        facts = {
            "reason": reason,
            "tries": len(tries.at),
            "agent_name": name,
            "dispatch_id": made.id,
            "deleted_dispatches": deleted,
            "removed": ghost if removed else "",
        }
        await self._tell(Kind.AGENT_REDISPATCHED, room_name, session.id, facts)
        return True

    def _may_try(self, session_id: SessionId, room_name: str, agent_name: str, reason: str) -> bool:
        now, timing = self._now(), self._timing
        tries = self._tries.setdefault(session_id, _Tries())
        while tries.at and now - tries.at[0] > timing.within:
            tries.at.popleft()
        if len(tries.at) >= timing.tries:
            if session_id not in self.given_up:
                self.given_up[session_id] = RedispatchExhausted(
                    session_id=session_id,
                    room_name=room_name,
                    agent_name=agent_name,
                    at=now,
                    reason=reason,
                )
                facts = {"reason": reason, "tries": len(tries.at)}
                self._start(self._tell(Kind.REDISPATCH_EXHAUSTED, room_name, session_id, facts))
            return False
        tries.at.append(now)
        tries.last_s = asyncio.get_running_loop().time()
        return True

    async def _remove_ghost(self, room_name: str, identity: str) -> bool:
        try:
            await self._livekit.remove_participant(room_name, identity)
        except NotFoundError:
            return False  # LiveKit has noticed by itself
        return True

    def _forget(self, session_id: str) -> None:
        self.given_up.pop(session_id, None)
        self._tries.pop(session_id, None)
        self._owed.pop(session_id, None)

    async def _tell(
        self, kind: Kind, room_name: str, session_id: SessionId, data: dict[str, Any]
    ) -> None:
        now = self._now()
        await self._write(
            Event(
                kind=kind,
                at=now,
                received_at=now,
                source=Source.SYSTEM,
                session_id=session_id,
                room_name=room_name,
                data=data,
            )
        )
        self._rooms.look_again()

    async def _write(self, event: Event) -> None:
        try:
            await self._store.log.append(event)
        except StoreUnavailableError as exc:
            log.warning("the result of a redispatch is not stored yet", extra={"error": exc.code})

    def _start(self, work: Any) -> None:
        aio_task = asyncio.get_running_loop().create_task(work)
        self._aio_tasks.add(aio_task)
        aio_task.add_done_callback(self._ended)

    def _ended(self, aio_task: asyncio.Task[None]) -> None:
        self._aio_tasks.discard(aio_task)
        if not aio_task.cancelled() and (exc := aio_task.exception()) is not None:
            log.error("bringing an agent back failed", exc_info=exc)


def _resumed(before: str, session_id: SessionId, user_id: str) -> str:
    """The metadata of the dispatch before, and that it goes on."""
    try:
        told = json.loads(before or "{}")
    except ValueError:
        return before  # the agent's own matter
    if not isinstance(told, dict):
        return before
    return json.dumps({"session_id": session_id, "user_id": user_id, **told, "resumed": "true"})
