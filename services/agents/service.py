"""All of it about agents at work, as the runtime holds it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Final

from services.access.audit_log import AuditLog
from services.access.permissions import SYSTEM_PRINCIPAL
from services.agents import stream_token
from services.agents.commands import Commands
from services.agents.interrupts import Interrupts
from services.agents.observers import Observers
from services.agents.redispatch import DEFAULT_TIMING, Recovery, RecoveryTiming
from services.agents.session_feed import Feeds
from services.agents.stream import TOPIC, Streams
from services.agents.stream_token import StreamClaims
from services.clock import Now
from services.errors import SwitchboardError
from services.events import Kind
from services.live.hub import Hub
from services.livekit.embedded import EmbeddedServer
from services.livekit.service import LiveKitService
from services.livekit.target import LiveKitTarget
from services.processes.worker import WorkerProcess
from services.rooms.watcher import Rooms
from services.store.agent_records import Turn
from services.store.batch import CommittedEvent
from services.store.records import SessionRecord
from services.store.store import Store
from switchboard_recorder.protocol import Action

log = logging.getLogger(__name__)

FAREWELL_S: Final = 8.0
_HOUR: Final = timedelta(hours=1)
_CHANGES: Final = {
    Kind.INTERRUPT_RAISED, Kind.INTERRUPT_RESUMED, Kind.COMMAND_SENT, Kind.COMMAND_COMPLETED,
    Kind.MESSAGE, Kind.JOB_CONNECTED, Kind.JOB_DISCONNECTED, Kind.AGENT_REDISPATCHED, Kind.REDISPATCH_EXHAUSTED,
}  # fmt: skip
"""What the overview and the agents' page show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How fast an agent answered: count, and milliseconds from the end of speech to the answer."""

    count: int
    median_ms: float | None
    p95_ms: float | None
    points: tuple[tuple[datetime, float], ...]  # oldest first


NO_LATENCY: Final = Latency(count=0, median_ms=None, p95_ms=None, points=())


class AgentService:
    """Streams, commands and recovery. Made by the runtime."""

    def __init__(
        self,
        livekit: LiveKitService,
        rooms: Rooms,
        store: Store,
        hub: Hub,
        target: LiveKitTarget,
        embedded: EmbeddedServer | None,
        audit: AuditLog,
        *,
        worker: Callable[[], WorkerProcess | None],
        now: Now,
        timing: RecoveryTiming = DEFAULT_TIMING,
    ) -> None:
        self._target = target
        self._store = store
        self._hub = hub
        self._now = now
        self._embedded = embedded
        self._worker = worker
        self.questions = Interrupts(store, hub)
        self.feeds = Feeds(hub)
        self.streams = Streams(store, rooms, hub, self.feeds, now=now)
        self.commands = Commands(store, self.streams, self.questions, hub, audit, now=now)
        self.recovery = Recovery(
            livekit,
            rooms,
            store,
            self.streams,
            takes_jobs=self.takes_jobs,
            now=now,
            timing=timing,
        )
        self.observers = Observers(
            livekit, rooms, store, hub, self.streams, self.feeds, target, now=now
        )
        for subscriber in (self.feeds.take, self.questions.take, self.commands.take, self._touch):
            store.log.subscribe(subscriber)

    def takes_jobs(self, agent_name: str) -> bool:
        """Whether some worker is known to take jobs for that agent.

        An outside server tells of no worker: there, one that has sent the agent before counts.
        """
        if self._embedded is None and agent_name in self.streams.seen_agents:
            return True
        if self._embedded is not None and any(
            worker.agent_name == agent_name for worker in self._embedded.workers
        ):
            return True
        worker = self._worker()
        told = worker.state.told if worker is not None else None
        return told is not None and any(
            agent.name == agent_name and agent.worker_id for agent in told.agents
        )

    def admit(self, token: str) -> StreamClaims:
        """The claims of a stream's token. Pure: any thread. Raises BadSignatureError."""
        return stream_token.verify(token, self._target)

    async def farewell(self, session: SessionRecord) -> None:
        """Let a connected agent say good-bye before its session is ended; at most 8 s."""
        stream = self.streams.of_session(session.id)
        if stream is None or Action.END_SESSION.value not in stream.hello.actions:
            return
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.commands.send(
                    session.id,
                    Action.END_SESSION,
                    {"reason": "Its time was over."},
                    actor=SYSTEM_PRINCIPAL,
                    wait_s=2.0,
                )
                await stream.gone.wait()
        except TimeoutError:
            log.warning("an agent did not say good-bye in time")
        except SwitchboardError as exc:
            log.warning("an agent was not told to say good-bye", extra={"error": exc.code})

    async def latency(self, agent_name: str) -> Latency:
        """How fast the agent answered over the last hour."""
        turns = await self._store.agents.answers_since(
            self._now() - _HOUR, agent_names=(agent_name,)
        )
        return _latency(turns)

    async def run(self) -> None:
        """What goes on in the background, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.commands.run(), name="commands")
            tasks.create_task(self.recovery.run(), name="recovery")
            tasks.create_task(self.questions.run(), name="questions")
            tasks.create_task(self.observers.run(), name="observers")

    async def close(self) -> None:
        """Close every stream; the jobs connect again to whoever comes next."""
        self.streams.close_all()
        await self.recovery.close()

    def _touch(self, committed: CommittedEvent) -> None:
        if committed.event.kind in _CHANGES:
            self._hub.touch("overview")
            self._hub.touch(TOPIC)


def _latency(turns: tuple[Turn, ...]) -> Latency:
    points = [(t.started_at, t.answer_ms) for t in reversed(turns) if t.answer_ms is not None]
    times = sorted(ms for _, ms in points)
    if not times:
        return NO_LATENCY
    p95 = quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
    return Latency(
        count=len(times),
        median_ms=times[len(times) // 2],
        p95_ms=min(p95, times[-1]),
        points=tuple(points),
    )
