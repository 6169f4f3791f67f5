"""The overview: the status of each part, how much happens, what needs attention. One for all viewers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from services.agents.redispatch import Recovery, RedispatchExhausted
from services.clock import Now
from services.errors import StoreUnavailableError
from services.events import Event, Kind
from services.health.checks import parts
from services.health.findings import Finding
from services.live.hub import Hub
from services.livekit.embedded import EmbeddedServer
from services.processes.worker import WorkerProcess
from services.rooms.views import Health, RoomsSnapshot, RoomView
from services.rooms.watcher import Rooms
from services.store.agent_records import InterruptRecord
from services.store.records import Sample
from services.store.session_fields import SessionRow
from services.store.store import Store

TOPIC: Final = "overview"
LATEST: Final = 12
ATTENTION: Final = 40
_FRESH_S: Final = 0.25  # viewers who ask within this time share one answer
_SPACING_S: Final = 0.1  # while something changes all the time
_TREND: Final = timedelta(hours=1)


class Need(StrEnum):
    """What kind of attention is needed; each has a button that helps."""

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
    findings: tuple[Finding, ...]  # of the four parts
    rooms: int
    people: int
    agents: int
    sessions: int
    live_as_of: datetime | None  # the last answer of LiveKit
    trend: tuple[Sample, ...]  # of the last hour, oldest first
    attention: tuple[Attention, ...]
    attention_more: int  # so many did not fit
    latest: tuple[SessionRow, ...]
    store_error: StoreUnavailableError | None = None


class Overview:
    """Asks each part at most ten times a second, however many look."""

    def __init__(
        self,
        rooms: Rooms,
        store: Store,
        embedded: EmbeddedServer | None,
        hub: Hub,
        recovery: Recovery,
        worker: Callable[[], WorkerProcess | None],
        *,
        now: Now,
    ) -> None:
        self._rooms = rooms
        self._recovery = recovery
        self._worker = worker
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
        latest: tuple[SessionRow, ...] = ()
        failed: tuple[Event, ...] = ()
        asked: tuple[InterruptRecord, ...] = ()
        store_error = None
        try:
            trend = await self._store.samples(now - _TREND)
            latest = (await self._store.session_search.page(limit=LATEST)).sessions
            failed = await self._store.events_of_kind(Kind.SESSION_FAILED, since=now - _TREND)
            asked = await self._store.agents.pending_interrupts(limit=ATTENTION)
        except StoreUnavailableError as exc:
            store_error = exc
        findings = self._findings(snapshot, store_error)
        needs = [*self._of_parts(findings, snapshot), *self._of_interrupts(asked, snapshot)]
        needs += _of_failures(failed, latest)
        needs += [_of_given_up(one) for one in self._recovery.given_up.values()]
        given_up = {one.room_name for one in self._recovery.given_up.values()}
        needs += [
            need
            for view in snapshot.rooms
            if view.name not in given_up and (need := _of_room(view, now)) is not None
        ]
        return OverviewView(
            taken_at=now,
            findings=findings,
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

    def _findings(
        self, snapshot: RoomsSnapshot, store_error: StoreUnavailableError | None
    ) -> tuple[Finding, ...]:
        embedded, worker = self._embedded, self._worker()
        return (
            parts.livekit(
                snapshot,
                embedded.state if embedded is not None else None,
                now=self._now(),
                poll_ms=self._rooms.poll_ms,
            ),
            parts.webhooks(self._rooms.webhooks, rooms_open=bool(snapshot.rooms)),
            parts.workers(
                (),
                embedded.workers if embedded is not None else None,
                worker.state if worker is not None else None,
            ),
            parts.database(self._store.log, store_error),
        )

    # -- attention

    @staticmethod
    def _of_parts(findings: tuple[Finding, ...], snapshot: RoomsSnapshot) -> list[Attention]:
        found: list[Attention] = []
        for finding in findings:
            if finding.bad and (need := _NEED_OF.get(finding.code)) is not None:
                since = snapshot.error_since if need is Need.LIVEKIT else None
                found.append(Attention(need=need, text=finding.message, since=since))
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


_NEED_OF: Final = MappingProxyType(
    {parts.LIVEKIT.code: Need.LIVEKIT, parts.WEBHOOKS.code: Need.WEBHOOKS}
)


def _asks(one: InterruptRecord) -> str:
    return f"an answer to “{one.action}”" if one.action else "an answer"


def _of_given_up(one: RedispatchExhausted) -> Attention:
    return Attention(
        need=Need.GIVEN_UP,
        text=f"It was redispatched too often. {one.reason}",
        since=one.at,
        room_name=one.room_name,
        agent_name=one.agent_name,
        session_id=one.session_id,
    )


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


def _of_failures(failed: tuple[Event, ...], latest: tuple[SessionRow, ...]) -> list[Attention]:
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
