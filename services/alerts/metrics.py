"""What is the matter now: each watch's answer, from what the runtime knows already."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Final

from services.alerts.rules import AlertRule, Watch
from services.clock import Now
from services.health.checks import parts
from services.health.findings import Finding, Status
from services.livekit.embedded import EmbeddedServer
from services.processes.worker import WorkerProcess
from services.rooms.watcher import Rooms
from services.store.records import SessionStatus
from services.store.session_fields import SessionFilter
from services.store.store import Store

_ANSWERS: Final = timedelta(minutes=15)
_ANSWERS_LEAST: Final = 5  # fewer say nothing of a percentile
_ERRORS: Final = timedelta(hours=1)
_ERRORS_LEAST: Final = 5
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that a rule found. `key` is the same for as long as it is the same thing."""

    key: str
    text: str
    session_id: str = ""
    room_name: str = ""


class Watcher:
    """Asks; on the runtime's loop."""

    def __init__(
        self,
        rooms: Rooms,
        store: Store,
        embedded: EmbeddedServer | None,
        worker: Callable[[], WorkerProcess | None],
        *,
        now: Now,
    ) -> None:
        self._rooms = rooms
        self._store = store
        self._worker_process = worker
        self._embedded = embedded
        self._now = now
        self._no_worker_since: datetime | None = None
        self._asks: dict[Watch, Callable[[AlertRule], Awaitable[list[Problem]]]] = {
            Watch.AGENT_MISSING: self._agent_missing,
            Watch.LATENCY: self._latency,
            Watch.ERRORS: self._errors,
            Watch.INTERRUPT: self._interrupts,
            Watch.STUCK: self._stuck,
            Watch.WEBHOOKS: self._webhooks,
            Watch.WORKER: self._worker,
        }

    def look(self) -> None:
        """Note what only a series of looks tells; called regularly."""
        if self._worker_finding().status in {Status.OK, Status.UNKNOWN}:
            self._no_worker_since = None
        elif self._no_worker_since is None:
            self._no_worker_since = self._now()

    async def problems(self, rule: AlertRule) -> list[Problem]:
        """What the rule finds now, at most 100. Raises StoreUnavailableError."""
        return (await self._asks[rule.watch](rule))[:_SHOWN]

    async def _agent_missing(self, rule: AlertRule) -> list[Problem]:
        now, found = self._now(), []
        for view in self._rooms.snapshot.rooms:
            session = view.session
            if session is None or not session.agent_name or view.agents:
                continue
            if rule.agent_name not in (None, session.agent_name):
                continue
            waits_s = (now - session.created_at).total_seconds()
            if waits_s > rule.threshold:
                text = f"{session.agent_name} missing for {waits_s:.0f} s."
                found.append(_of(session.id, text, room_name=view.name))
        return found

    async def _latency(self, rule: AlertRule) -> list[Problem]:
        names = (rule.agent_name,) if rule.agent_name else ()
        turns = await self._store.agents.answers_since(
            self._now() - _ANSWERS, agent_names=names, limit=2_000
        )
        times = [turn.answer_ms for turn in turns if turn.answer_ms is not None]
        if len(times) < _ANSWERS_LEAST:
            return []
        p95 = quantiles(times, n=20, method="inclusive")[-1]
        if p95 <= rule.threshold:
            return []
        whose = rule.agent_name or "all agents"
        return [
            Problem(
                key="latency",
                text=f"p95 latency of {whose}: {p95:.0f} ms over {len(times)} turns.",
            )
        ]

    async def _errors(self, rule: AlertRule) -> list[Problem]:
        since = self._now() - _ERRORS
        page = await self._store.session_search.page(
            SessionFilter.where(created_after=since, agent_name=rule.agent_name), limit=500
        )
        begun = len(page.sessions)
        failed = [one for one in page.sessions if one.errors]
        if begun < _ERRORS_LEAST or 100 * len(failed) / begun <= rule.threshold:
            return []
        text = f"Errors in {len(failed)} of {begun} sessions of the last hour."
        return [Problem(key="errors", text=text, session_id=failed[0].session_id)]

    async def _interrupts(self, rule: AlertRule) -> list[Problem]:
        now, found = self._now(), []
        for one in await self._store.agents.pending_interrupts(limit=_SHOWN):
            waits_s = (now - one.asked_at).total_seconds()
            if waits_s > rule.threshold:
                text = f"Interrupt pending for {waits_s:.0f} s: {one.node or 'graph'}."
                found.append(
                    Problem(key=f"{one.session_id}:{one.interrupt_id}", text=text,
                            session_id=one.session_id)
                )  # fmt: skip
        return found

    async def _stuck(self, rule: AlertRule) -> list[Problem]:
        now, found = self._now(), []
        for view in self._rooms.snapshot.rooms:
            session = view.session
            if session is None or rule.agent_name not in (None, session.agent_name):
                continue
            age_s = (now - session.created_at).total_seconds()
            ends_s = (now - session.expires_at).total_seconds() if session.expires_at else 0.0
            if session.data.get("ending") and age_s > rule.threshold:
                found.append(_of(session.id, "End requested, but still open.", view.name))
            elif ends_s > rule.threshold:
                found.append(_of(session.id, f"Expired {ends_s:.0f} s ago, still open.", view.name))
            elif session.status is SessionStatus.CREATED and age_s > rule.threshold:
                found.append(_of(session.id, f"No participant for {age_s:.0f} s.", view.name))
        return found

    async def _webhooks(self, rule: AlertRule) -> list[Problem]:
        missed = self._rooms.webhooks.missed_lately
        if missed <= rule.threshold:
            return []
        return [
            Problem(key="webhooks", text=f"{missed} webhooks were missed in the last 10 minutes.")
        ]

    async def _worker(self, rule: AlertRule) -> list[Problem]:
        since = self._no_worker_since
        if since is None or (self._now() - since).total_seconds() <= rule.threshold:
            return []
        away_s = (self._now() - since).total_seconds()
        return [Problem(key="worker", text=f"For {away_s:.0f} s: {self._worker_finding().message}")]

    def _worker_finding(self) -> Finding:
        embedded, worker = self._embedded, self._worker_process()
        return parts.workers(
            (),
            embedded.workers if embedded is not None else None,
            worker.state if worker is not None else None,
        )


def _of(session_id: str, text: str, room_name: str) -> Problem:
    return Problem(key=session_id, text=text, session_id=session_id, room_name=room_name)
