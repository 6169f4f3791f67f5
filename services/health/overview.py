"""The overview: is all well, how much is going on, what needs attention. Made once for all viewers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from services.agents.redispatch import GivenUp
from services.agents.service import AgentWork
from services.clock import Now
from services.errors import StoreUnavailableError
from services.events import Event, Kind
from services.live.hub import Hub
from services.livekit.embedded import EmbeddedServer, Phase
from services.processes.worker import WorkerPhase
from services.rooms.views import Health, RoomsSnapshot, RoomView
from services.rooms.watcher import Rooms
from services.store.agent_records import InterruptRecord
from services.store.records import Sample, SessionRecord
from services.store.store import Store

TOPIC: Final = "overview"
LATEST: Final = 12
ATTENTION: Final = 40
_FRESH_S: Final = 0.25  # viewers who ask within this time share one answer
_SPACING_S: Final = 0.1  # while something changes all the time
_TREND: Final = timedelta(hours=1)
_MISSED_FEW: Final = 3


class Level(StrEnum):
    """How well a part does, best first."""

    OK = "ok"
    BUSY = "busy"  # on its way
    UNKNOWN = "unknown"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One part of the whole: a word, and a sentence about it."""

    name: str
    level: Level
    word: str
    text: str
    progress: float | None = None  # 0..1 while something is being built


class Need(StrEnum):
    """What kind of attention is needed; each has the button that mends it."""

    LIVEKIT = "livekit"  # restart or check the server
    WEBHOOKS = "webhooks"  # check the webhooks
    CREATION_FAILED = "creation_failed"  # try to create it again
    ANSWER = "answer"  # a graph waits for a human's answer: go there
    NO_AGENT = "no_agent"  # ask for the agent again
    GIVEN_UP = "given_up"  # the agent was lost too often: see why
    EXPIRING = "expiring"  # give it more time


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """One thing to look at. `text` may hold names that others chose."""

    need: Need
    text: str
    since: datetime | None = None
    room_name: str = ""
    agent_name: str = ""
    session_id: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewView:
    """All of it at `taken_at`. `store_error` says why history is missing."""

    taken_at: datetime
    conditions: tuple[Condition, ...]
    rooms: int
    people: int
    agents: int
    sessions: int
    live_as_of: datetime | None  # the last answer of LiveKit
    trend: tuple[Sample, ...]  # of the last hour, oldest first
    attention: tuple[Attention, ...]
    attention_more: int  # so many did not fit
    latest: tuple[SessionRecord, ...]
    store_error: StoreUnavailableError | None = None


class Overview:
    """Asks each part at most ten times a second, however many look."""

    def __init__(
        self,
        rooms: Rooms,
        store: Store,
        embedded: EmbeddedServer | None,
        hub: Hub,
        work: AgentWork,
        *,
        now: Now,
    ) -> None:
        self._rooms = rooms
        self._work = work
        self._store = store
        self._embedded = embedded
        self._hub = hub
        self._now = now
        self._lock = asyncio.Lock()
        self._last: OverviewView | None = None
        self._last_s = float("-inf")
        self._version = -1

    async def read(self) -> OverviewView:
        """The overview, never older than the last change that was told of, nor than 0.25 s.

        Never raises for a part that is away.
        """
        async with self._lock:
            age_s, version = time.monotonic() - self._last_s, self._hub.version(TOPIC)
            if self._last is None or age_s > _FRESH_S or version != self._version:
                await asyncio.sleep(_SPACING_S - age_s)
                self._version = self._hub.version(TOPIC)
                self._last = await self._read()
                self._last_s = time.monotonic()
            return self._last

    async def _read(self) -> OverviewView:
        now, snapshot = self._now(), self._rooms.snapshot
        trend: tuple[Sample, ...] = ()
        latest: tuple[SessionRecord, ...] = ()
        failed: tuple[Event, ...] = ()
        asked: tuple[InterruptRecord, ...] = ()
        store_error = None
        try:
            trend = await self._store.samples(now - _TREND)
            found = await self._store.found.page(limit=LATEST)
            latest = tuple(one.session for one in found.sessions)
            failed = await self._store.events_of_kind(Kind.SESSION_FAILED, since=now - _TREND)
            asked = await self._store.agents.pending_interrupts(limit=ATTENTION)
        except StoreUnavailableError as exc:
            store_error = exc
        needs = [*self._of_server(snapshot), *self._of_interrupts(asked, snapshot)]
        needs += _of_failures(failed, latest)
        needs += [_of_given_up(one) for one in self._work.recovery.given_up.values()]
        given_up = {one.room_name for one in self._work.recovery.given_up.values()}
        needs += [
            need
            for view in snapshot.rooms
            if view.name not in given_up and (need := _of_room(view, now)) is not None
        ]
        return OverviewView(
            taken_at=now,
            conditions=(
                self._livekit(snapshot),
                self._webhooks(snapshot),
                self._workers(),
                self._store_condition(store_error),
            ),
            rooms=len(snapshot.rooms),
            people=snapshot.people,
            agents=snapshot.agents,
            sessions=sum(view.session is not None for view in snapshot.rooms),
            live_as_of=snapshot.taken_at,
            trend=trend,
            attention=tuple(needs[:ATTENTION]),
            attention_more=max(0, len(needs) - ATTENTION),
            latest=latest,
            store_error=store_error,
        )

    # -- conditions

    def _livekit(self, snapshot: RoomsSnapshot) -> Condition:
        name = "LiveKit server"
        if self._embedded is not None and self._embedded.state.phase is not Phase.READY:
            state = self._embedded.state
            level = Level.ERROR if state.phase in {Phase.FAILED, Phase.STOPPED} else Level.BUSY
            return Condition(
                name=name,
                level=level,
                word=state.phase.value.capitalize(),
                text=state.message,
                progress=state.progress,
            )
        if snapshot.error is not None:
            return Condition(name=name, level=Level.ERROR, word="Away", text=snapshot.error.message)
        if snapshot.taken_at is None:
            return Condition(name=name, level=Level.BUSY, word="Asking", text="No answer yet.")
        text = f"Answers in {self._rooms.poll_ms:.0f} ms."
        return Condition(name=name, level=Level.OK, word="Running", text=text)

    def _webhooks(self, snapshot: RoomsSnapshot) -> Condition:
        name, seen = "Webhooks", self._rooms.webhooks
        if seen.refused and not seen.received:
            text = f"{seen.refused:,} came with a signature that is not of our key."
            return Condition(name=name, level=Level.ERROR, word="Refused", text=text)
        if not seen.received:
            if not snapshot.rooms:
                text = "The first room will show whether they arrive."
                return Condition(name=name, level=Level.UNKNOWN, word="None yet", text=text)
            text = "Rooms are open and none arrived; changes are found by asking, seconds later."
            return Condition(name=name, level=Level.WARNING, word="None", text=text)
        if seen.missed > _MISSED_FEW:
            text = f"{seen.missed:,} changes were found by asking, of which no webhook told."
            return Condition(name=name, level=Level.WARNING, word="Gaps", text=text)
        text = f"{seen.received:,} arrived, {seen.missed:,} missed."
        return Condition(name=name, level=Level.OK, word="Arriving", text=text)

    def _workers(self) -> Condition:
        name, own = "Agent workers", self._work.worker
        if own is not None and own.state.phase is not WorkerPhase.READY:
            state = own.state
            on_its_way = state.phase in {WorkerPhase.WAITING, WorkerPhase.STARTING}
            level = Level.BUSY if on_its_way else Level.ERROR
            word = state.phase.value.capitalize()
            return Condition(name=name, level=level, word=word, text=state.message)
        if self._embedded is None and own is not None:
            return Condition(name=name, level=Level.OK, word="Running", text=own.state.message)
        if self._embedded is None:
            text = "An outside LiveKit server tells nobody which workers have registered."
            return Condition(name=name, level=Level.UNKNOWN, word="Not known", text=text)
        workers = self._embedded.workers
        if not workers:
            text = "No worker has registered: agents that are asked for will not come."
            return Condition(name=name, level=Level.WARNING, word="None", text=text)
        names = sorted({worker.agent_name or "any agent" for worker in workers})
        text = f"For {', '.join(names[:4])}{' and more' if len(names) > 4 else ''}."
        return Condition(name=name, level=Level.OK, word=f"{len(workers)} registered", text=text)

    def _store_condition(self, error: StoreUnavailableError | None) -> Condition:
        name, writer = "Database", self._store.log
        if error is not None:
            return Condition(name=name, level=Level.ERROR, word="Away", text=error.message)
        if writer.last_error:
            text = f"{writer.waiting:,} events wait to be written. Last error: {writer.last_error}"
            return Condition(name=name, level=Level.ERROR, word="Not writing", text=text)
        if writer.rejected:
            text = f"{writer.rejected:,} events were rejected; the log says why."
            return Condition(name=name, level=Level.WARNING, word="Rejecting", text=text)
        return Condition(name=name, level=Level.OK, word="Writing", text="Everything is kept.")

    # -- attention

    def _of_server(self, snapshot: RoomsSnapshot) -> list[Attention]:
        found: list[Attention] = []
        failed = self._embedded is not None and self._embedded.state.phase is Phase.FAILED
        starting = self._embedded is not None and self._embedded.state.phase in _ON_ITS_WAY
        if failed or (snapshot.error is not None and not starting):
            text = snapshot.error.message if snapshot.error else "LiveKit does not run."
            found.append(Attention(need=Need.LIVEKIT, text=text, since=snapshot.error_since))
        webhooks = self._webhooks(snapshot)
        if webhooks.level in {Level.WARNING, Level.ERROR}:
            text = f"Webhooks: {webhooks.text}"
            found.append(Attention(need=Need.WEBHOOKS, text=text, since=None))
        return found

    @staticmethod
    def _of_interrupts(
        asked: tuple[InterruptRecord, ...], snapshot: RoomsSnapshot
    ) -> list[Attention]:
        by_session = {v.session.id: v for v in snapshot.rooms if v.session is not None}
        found: list[Attention] = []
        for one in asked:
            view = by_session.get(one.session_id)
            found.append(
                Attention(
                    need=Need.ANSWER,
                    text=f"Its graph waits at {one.node or 'a node'} for {_asks(one)}.",
                    since=one.asked_at,
                    room_name=view.name if view is not None else "",
                    agent_name=view.agent_name if view is not None else "",
                    session_id=one.session_id,
                )
            )
        return found


def _asks(one: InterruptRecord) -> str:
    return f"an answer to “{one.action}”" if one.action else "an answer"


def _of_given_up(one: GivenUp) -> Attention:
    return Attention(
        need=Need.GIVEN_UP,
        text=f"It was asked for again too often. {one.reason}",
        since=one.at,
        room_name=one.room_name,
        agent_name=one.agent_name,
        session_id=one.session_id,
    )


_ON_ITS_WAY: Final = {Phase.LOOKING, Phase.BUILDING, Phase.STARTING, Phase.RESTARTING}


def _of_room(view: RoomView, now: datetime) -> Attention | None:
    health, text = view.health(now)
    session_id = view.session.id if view.session is not None else ""
    if health is Health.NO_AGENT:
        return Attention(
            need=Need.NO_AGENT,
            text=text,
            since=view.room.created_at,
            room_name=view.name,
            agent_name=view.agent_name,
            session_id=session_id,
        )
    if health is Health.EXPIRING and view.session is not None:
        return Attention(
            need=Need.EXPIRING,
            text=text,
            since=view.session.expires_at,
            room_name=view.name,
            session_id=session_id,
        )
    return None


def _of_failures(failed: tuple[Event, ...], latest: tuple[SessionRecord, ...]) -> list[Attention]:
    """The newest failed creation of each caller and agent that was not made up for since."""
    found: dict[tuple[str, str], Attention] = {}
    for event in failed:
        user_id, agent_name = str(event.data.get("user_id")), str(event.data.get("agent_name"))
        later = any(
            session.created_at > event.at
            and (session.user_id, session.agent_name) == (user_id, agent_name)
            for session in latest
        )
        if not later:
            found[user_id, agent_name] = Attention(
                need=Need.CREATION_FAILED,
                text=str(event.data.get("message", "")),
                since=event.at,
                agent_name=agent_name,
                user_id=user_id,
            )
    return list(found.values())
