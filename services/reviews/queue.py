"""What is to be reviewed, by whom, how far reviewers agree, and how each version does."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from services.access.audit_log import AuditLog
from services.access.authorization import guarded, note
from services.access.permissions import Caller, Permission
from services.analytics.significance import wilson
from services.clock import Now
from services.errors import InvalidInputError
from services.events import Event, Kind, Source
from services.rooms.watcher import Rooms
from services.store.records import OVER
from services.store.review_store import PairCount, VersionCount
from services.store.session_fields import SessionFilter, SessionRow
from services.store.store import Store

AT_ONCE: Final = 200
OF_EACH: Final = 50
PART: Final = 0.05
"""Of all sessions, drawn by their id: who looks twice finds the same ones."""
OFTEN: Final = 3  # interruptions
NAME_MOST: Final = 200
_PASS: Final = "pass"  # noqa: S105 - a verdict


class Rule(StrEnum):
    """Why a session is worth a review."""

    SLOWEST = "slowest"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    RANDOM = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A session that nobody has judged, and why it is looked at."""

    session: SessionRow
    why: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of two reviewers: sessions that both judged, the part with the same verdict, Cohen's kappa.

    `kappa` is the agreement beyond what chance gives: 1 is always, 0 is chance; None where both
    always said the same one thing, or there is nothing to tell.
    """

    author: str
    other: str
    count: int
    same: float
    kappa: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionScore:
    """How a version of an agent did. `low` and `high` bound the pass rate (Wilson, 95 %)."""

    agent_name: str
    version: str
    first: datetime
    judged: int
    passed: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The part that passed."""
        return self.passed / self.judged


class Quality:
    """Use cases of reviewers; on the runtime's loop."""

    def __init__(self, store: Store, rooms: Rooms, audit: AuditLog, *, now: Now) -> None:
        self._store = store
        self._rooms = rooms
        self.audit = audit
        self._now = now

    async def queue(
        self, rules: Sequence[Rule] = tuple(Rule), *, days: int = 30
    ) -> tuple[Queued, ...]:
        """Sessions of the last days that are over and unreviewed, at most 50 a rule.

        Those with the most reasons first, then the newest.
        """
        why: dict[str, list[Rule]] = {}
        by_id: dict[str, SessionRow] = {}
        for rule in rules:
            for session in await self._of(rule, self._now() - timedelta(days=days)):
                by_id[session.session_id] = session
                why.setdefault(session.session_id, []).append(rule)
        queued = [Queued(session=by_id[key], why=tuple(rules)) for key, rules in why.items()]
        queued.sort(key=lambda one: one.session.created_at, reverse=True)
        queued.sort(key=lambda one: len(one.why), reverse=True)
        return tuple(queued)

    @guarded(Permission.REVIEW, target="session_ids")
    async def assign(self, session_ids: Sequence[str], to: str, *, actor: Caller) -> None:
        """Say who is to review sessions; "" takes that back.

        Raises:
            InvalidInputError: the name is too long, or more than 200 sessions.
            NotFoundError: one of the sessions is not there; none is assigned.
        """
        to = " ".join(to.split())
        if len(to) > NAME_MOST or len(session_ids) > AT_ONCE:
            raise InvalidInputError(
                f"Assign at most {AT_ONCE} sessions, to a name of at most {NAME_MOST} characters.",
                hint="Select fewer sessions or use a shorter name.",
            )
        note(after=to)
        sessions = [await self._store.session(session_id) for session_id in session_ids]
        now = self._now()
        for session in sessions:
            await self._rooms.take(
                Event(
                    kind=Kind.ASSIGNED,
                    at=now,
                    received_at=now,
                    source=Source.OPERATOR,
                    session_id=session.id,
                    room_name=session.room_name,
                    room_sid=session.room_sid,
                    actor=actor.name,
                    data={"to": to},
                )
            )

    async def agreement(self, *, days: int = 90) -> tuple[Agreement, ...]:
        """Of each two reviewers who judged the same sessions, those with the most first."""
        pairs = await self._store.quality.pairs(self._now() - timedelta(days=days))
        return agreements(pairs)

    async def trend(self, *, days: int = 90) -> tuple[VersionScore, ...]:
        """Of each version of each agent, the newest version first."""
        counts = await self._store.quality.versions(self._now() - timedelta(days=days))
        return scores(counts)

    async def _of(self, rule: Rule, since: datetime) -> tuple[SessionRow, ...]:
        unjudged = SessionFilter.where(status=OVER, verdict="none", created_after=since)
        page = self._store.session_search.page
        match rule:
            case Rule.SLOWEST:
                found = await page(unjudged, sort="-latency_max_ms", limit=OF_EACH)
                return found.sessions
            case Rule.FAILED:
                return (await page(unjudged.and_where(errors=True), limit=OF_EACH)).sessions
            case Rule.INTERRUPTED:
                found = await page(unjudged, sort="-interruptions", limit=OF_EACH)
                return tuple(one for one in found.sessions if one.interruptions >= OFTEN)
            case Rule.RANDOM:
                found = await page(unjudged, limit=500)
                drawn = [one for one in found.sessions if is_drawn(one.session_id)]
                return tuple(drawn[:OF_EACH])


def agreements(pairs: Iterable[PairCount]) -> tuple[Agreement, ...]:
    """Pure: what `Quality.agreement` gives."""
    by_pair: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    for one in pairs:
        cell = by_pair.setdefault((one.author, one.other), {})
        cell[(one.verdict, one.other_verdict)] = one.count
    found = []
    for (author, other), cells in by_pair.items():
        count = sum(cells.values())
        same = sum(n for (left, right), n in cells.items() if left == right) / count
        words = {word for cell in cells for word in cell}
        chance = sum(
            sum(n for (left, _), n in cells.items() if left == word)
            * sum(n for (_, right), n in cells.items() if right == word)
            for word in words
        ) / (count * count)
        kappa = None if math.isclose(chance, 1.0) else (same - chance) / (1 - chance)
        found.append(Agreement(author=author, other=other, count=count, same=same, kappa=kappa))
    return tuple(sorted(found, key=lambda one: one.count, reverse=True))


def scores(counts: Iterable[VersionCount]) -> tuple[VersionScore, ...]:
    """Pure: what `Quality.trend` gives."""
    by_version: dict[tuple[str, str], list[VersionCount]] = {}
    for one in counts:
        by_version.setdefault((one.agent_name, one.version), []).append(one)
    found = []
    for (agent_name, version), rows in by_version.items():
        judged = sum(row.count for row in rows)
        passed = sum(row.count for row in rows if row.verdict == _PASS)
        low, high = wilson(passed, judged)
        found.append(
            VersionScore(
                agent_name=agent_name,
                version=version,
                first=min(row.first for row in rows),
                judged=judged,
                passed=passed,
                low=low,
                high=high,
            )
        )
    return tuple(sorted(found, key=lambda one: one.first, reverse=True))


def is_drawn(session_id: str) -> bool:
    """Whether the session is of the random part."""
    digest = hashlib.sha256(session_id.encode()).digest()
    return int.from_bytes(digest[:4]) < PART * 2**32
