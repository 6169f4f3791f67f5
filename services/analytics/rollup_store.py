"""The counts of sessions and their sums, kept up to the events some seconds later.

Nothing of it is written with the events, so it costs those nothing. Each session's counts stand
beside their sums: what is counted anew, or deleted, is first taken out of the sums, exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.analytics.graph_metrics import COUNTED
from services.analytics.rollups import day_of, replace_counts
from services.analytics.session_metrics import Counted, Judged, count
from services.events import Event, Kind
from services.loop.batches import one_by_one
from services.store import tables as t
from services.store.agent_records import Turn
from services.store.agent_rows import turn_record
from services.store.records import OPEN, Sample
from services.store.rows import session_record, stored_event
from services.store.store import Store

_WINDOW: Final = 2_000  # events that are looked through at once
_GROUP: Final = 20  # sessions that are counted in one transaction
_DAY: Final = timedelta(days=1)
_FAILED_MOST: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedUntil:
    """`turn` grows with every change of the counts. `behind`: events that wait to be counted."""

    turn: int
    behind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup:
    """What began in one hour or day, of one version of an agent. `counts` is JSON."""

    begins_at: datetime
    agent_name: str
    version: str
    counts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HourCount:
    """How many sessions began in that hour."""

    begins_at: datetime
    sessions: int


async def forget_sessions(db: AsyncConnection, session_ids: Sequence[str]) -> None:
    """Take sessions out of the sums: the store's `delete_hooks` call it before they are deleted."""
    await db.execute(update(t.counted).values(turn=t.counted.c.turn + 1))
    await replace_counts(db, session_ids, {}, frozenset())


class RollupStore:
    """The sums in the database. Raises StoreUnavailableError where that is away."""

    def __init__(self, store: Store) -> None:
        self._reading = store.reading
        self._writing = store.writing

    # -- counting

    async def catch_up(self, until: datetime) -> bool:
        """Count the sessions that events received until then tell of; gives whether there is more.

        `until` lies some seconds back: several dashboards may write, and what they commit does
        not become visible in the order of its numbers.
        """
        async with self._reading() as db:
            turn, begin = (await db.execute(select(t.counted.c.turn, t.counted.c.seq))).one()
            rows = await db.execute(
                select(t.events.c.seq, t.events.c.session_id, t.events.c.received_at)
                .where(t.events.c.seq > begin)
                .order_by(t.events.c.seq)
                .limit(_WINDOW)
            )
            reached, ids, number = begin, dict[str, None](), 0
            for number, (seq, session_id, received_at) in enumerate(rows, 1):
                if received_at > until:
                    number = 0
                    break
                reached = seq
                if session_id is not None:
                    ids[session_id] = None
        if reached == begin:
            return False
        wanted = tuple(ids)
        for start in range(0, max(1, len(wanted)), _GROUP):
            some = wanted[start : start + _GROUP]
            last = start + _GROUP >= len(wanted)
            after = await self._count(some, turn, reached if last else begin)
            if after is None:
                return True  # somebody else counts, too: look again
            turn = after
        return number == _WINDOW

    async def _count(self, session_ids: Sequence[str], turn: int, seq: int) -> int | None:
        """Count these anew; gives the new turn. None, and nothing is done: somebody was faster.

        One that goes on is counted once until it is over.
        """
        going_on = await self._counted_as_open(session_ids)
        session_ids = [one for one in session_ids if one not in going_on]
        counted, bare = await self._read(session_ids) if session_ids else ({}, frozenset[str]())
        after = turn + 1 if session_ids else turn
        async with self._writing() as db:
            mine = await db.execute(
                update(t.counted).where(t.counted.c.turn == turn).values(turn=after, seq=seq)
            )
            if not mine.rowcount:
                return None
            there = select(t.sessions.c.id).where(t.sessions.c.id.in_(session_ids))
            left = set((await db.execute(there)).scalars())
            await replace_counts(
                db, session_ids, {k: v for k, v in counted.items() if k in left}, bare
            )
        return after

    async def _counted_as_open(self, session_ids: Sequence[str]) -> frozenset[str]:
        query = (
            select(t.sessions.c.id)
            .join(t.counts, t.counts.c.session_id == t.sessions.c.id)
            .where(
                t.sessions.c.id.in_(session_ids),
                t.sessions.c.status.in_(OPEN),
                t.counts.c.is_open,
            )
        )
        async with self._reading() as db:
            return frozenset[str]((await db.execute(query)).scalars())

    async def _read(self, session_ids: Sequence[str]) -> tuple[dict[str, Counted], frozenset[str]]:
        """Their counts; and which of them have no events that could be counted."""
        async with self._reading() as db:
            rows = await db.execute(select(t.sessions).where(t.sessions.c.id.in_(session_ids)))
            sessions = [session_record(row) for row in rows.mappings()]
            over = [session.id for session in sessions if not session.status.is_open]
            events: dict[str, list[Event]] = {}
            happened = await db.execute(
                select(t.events)
                .where(t.events.c.session_id.in_(over), t.events.c.kind.in_(COUNTED))
                .order_by(t.events.c.session_id, t.events.c.seq)
            )
            async for row in one_by_one(happened.mappings()):
                events.setdefault(row["session_id"], []).append(stored_event(row).event)
            turns: dict[str, list[Turn]] = {}
            spoken = await db.execute(
                select(t.turns)
                .where(t.turns.c.session_id.in_(over))
                .order_by(t.turns.c.session_id, t.turns.c.number)
            )
            async for row in one_by_one(spoken.mappings()):
                turns.setdefault(row["session_id"], []).append(turn_record(row))
            judged = await _judged(db, session_ids)
        counted: dict[str, Counted] = {}
        async for session in one_by_one(sessions, portion=5):
            told = events.get(session.id, []), turns.get(session.id, ())
            counted[session.id] = count(session, *told, judged.get(session.id, Judged()))
        return counted, frozenset[str](over) - events.keys()

    # -- reading

    async def until(self) -> CountedUntil:
        """How far it is."""
        newest = select(func.coalesce(func.max(t.events.c.seq), 0)).scalar_subquery()
        async with self._reading() as db:
            turn, behind = (
                await db.execute(select(t.counted.c.turn, newest - t.counted.c.seq))
            ).one()
        return CountedUntil(turn=turn, behind=max(0, behind))

    async def rollups(
        self,
        begin: datetime,
        end: datetime,
        *,
        agent_name: str | None = None,
        version: str | None = None,
        hourly: bool = False,
    ) -> tuple[Rollup, ...]:
        """The sums that make up that time, from whole hours UTC on; oldest first.

        Whole days UTC come as one, and what is left of the others in hours; `hourly`: all does.
        """
        c = t.rollups.c
        first, last = _next_day(begin), day_of(end)
        if hourly or first >= last:
            within = and_(c.period == "hour", c.begins_at >= begin, c.begins_at < end)
        else:
            within = or_(
                and_(c.period == "day", c.begins_at >= first, c.begins_at < last),
                and_(c.period == "hour", c.begins_at >= begin, c.begins_at < first),
                and_(c.period == "hour", c.begins_at >= last, c.begins_at < end),
            )
        query = select(c.begins_at, c.agent_name, c.version, c.counts).where(
            within, *_of(agent_name, version)
        )
        async with self._reading() as db:
            rows = await db.execute(query.order_by(c.begins_at, c.agent_name, c.version))
            return tuple([Rollup(**row) async for row in one_by_one(rows.mappings())])

    async def hours(
        self,
        begin: datetime,
        end: datetime,
        *,
        agent_name: str | None = None,
        version: str | None = None,
    ) -> tuple[HourCount, ...]:
        """Each hour in which sessions began."""
        c = t.rollups.c
        query = (
            select(c.begins_at, func.sum(c.sessions).label("sessions"))
            .where(c.period == "hour", c.begins_at >= begin, c.begins_at < end)
            .where(*_of(agent_name, version))
            .group_by(c.begins_at)
            .having(func.sum(c.sessions) > 0)
            .order_by(c.begins_at)
        )
        async with self._reading() as db:
            rows = await db.execute(query)
            return tuple([HourCount(**row) async for row in one_by_one(rows.mappings())])

    async def busiest(self, begin: datetime, end: datetime) -> Sample | None:
        """The minute with the most sessions at once, of all agents; None: no minute is kept."""
        c = t.samples.c
        query = (
            select(t.samples)
            .where(c.minute >= begin, c.minute < end)
            .order_by(c.sessions.desc(), c.minute)
            .limit(1)
        )
        async with self._reading() as db:
            row = (await db.execute(query)).mappings().first()
        return None if row is None else Sample(**row)

    async def not_created(self, begin: datetime, end: datetime) -> Mapping[str, int]:
        """Why sessions could not be created, by our errors' codes, of the newest 1,000 at most."""
        c = t.events.c
        query = (
            select(c.data)
            .where(c.kind == Kind.SESSION_FAILED, c.received_at >= begin, c.received_at < end)
            .order_by(c.received_at.desc())
            .limit(_FAILED_MOST)
        )
        async with self._reading() as db:
            rows = (await db.execute(query)).scalars()
            return Counter(str(data.get("error", "")) for data in rows)


async def _judged(db: AsyncConnection, session_ids: Sequence[str]) -> dict[str, Judged]:
    c = t.found.c
    scores: dict[str, list[Mapping[str, Any]]] = {}
    reviews = select(t.reviews.c.session_id, t.reviews.c.scores)
    for session_id, given in await db.execute(
        reviews.where(t.reviews.c.session_id.in_(session_ids))
    ):
        scores.setdefault(session_id, []).append(given if isinstance(given, dict) else {})
    recorded = select(t.jobs.c.session_id).where(t.jobs.c.session_id.in_(session_ids))
    told = set((await db.execute(recorded)).scalars())
    rows = await db.execute(
        select(c.session_id, c.version, c.verdict, c.errors).where(c.session_id.in_(session_ids))
    )
    return {
        row.session_id: Judged(
            version=row.version,
            verdict=row.verdict,
            errors=row.errors,
            told=row.session_id in told,
            scores=scores.get(row.session_id, ()),
        )
        for row in rows
    }


def _of(agent_name: str | None, version: str | None) -> Iterable[Any]:
    c = t.rollups.c
    if agent_name is not None:
        yield c.agent_name == agent_name
    if version is not None:
        yield c.version == version


def _next_day(moment: datetime) -> datetime:
    day = day_of(moment)
    return day if day == moment else day + _DAY
