"""The one writer: takes the events that wait, folds them and commits all of it together.

While the database is away (locked, full, unreachable) it tries again with back-off, so an
event is delayed and not lost. What no database would take is put aside and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.errors import StoreUnavailableError
from services.events import Certainty, Event, Kind
from services.ids import session_id_in
from services.store import tables as t
from services.store.fold import fold
from services.store.records import SessionRecord, Visit
from services.store.rows import (
    event_row,
    insert_new,
    session_record,
    session_row,
    upsert,
    visit_record,
    visit_row,
)

log = logging.getLogger(__name__)

BATCH: Final = 500
QUEUE_LIMIT: Final = 20_000
_RETRY_FIRST_S: Final = 0.1
_RETRY_MOST_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a commit made of one event. `fresh` is False for one that was there already."""

    event: Event
    fresh: bool
    session: SessionRecord | None


@dataclass(slots=True)
class _Waiting:
    events: tuple[Event, ...]
    done: asyncio.Future[tuple[Written, ...]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Writer:
    """Append events through `append`; `run` is its task and ends when cancelled or drained."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self.waiting = 0  # events not yet written
        self.rejected = 0  # events that the database will never take
        self.last_error = ""

    async def append(self, events: Sequence[Event]) -> tuple[Written, ...]:
        """Write the events; returns when they are committed, in the order given.

        The caller may stop waiting (a timeout, a cancelled page): they are written all the same.

        Raises:
            StoreUnavailableError: too many wait already, or we are closing, or they were rejected.
        """
        if self._closing or self.waiting + len(events) > QUEUE_LIMIT:
            raise StoreUnavailableError(
                "The database has not taken any event for a while.",
                hint="Check its disk and connection; the System page shows the last error.",
            )
        waiting = _Waiting(tuple(events))
        self.waiting += len(events)
        self._queue.append(waiting)
        self._wake.set()
        return await asyncio.shield(waiting.done)

    async def run(self) -> None:
        """Write until `close` was called and nothing waits."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = self._take()
                await self._write_until_done(batch)
            if self._closing:
                return

    def close(self) -> None:
        """Take no more; `run` ends after the last that waits."""
        self._closing = True
        self._wake.set()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].events) <= BATCH):
            waiting = self._queue.popleft()
            size += len(waiting.events)
            batch.append(waiting)
        return batch

    async def _write_until_done(self, batch: list[_Waiting]) -> None:
        pause_s = _RETRY_FIRST_S
        while True:
            try:
                written = await self._write([e for waiting in batch for e in waiting.events])
            except (SQLAlchemyError, OSError, TimeoutError) as exc:
                if not _is_away(exc):
                    await self._one_by_one(batch, exc)
                    return
                if not self.last_error:
                    log.warning("the database is away", extra={"error": type(exc).__name__})
                self.last_error = f"{type(exc).__name__}: {_first_line(exc)}"
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _RETRY_MOST_S)
                continue
            if self.last_error:
                log.warning("the database is back")
                self.last_error = ""
            self._settle(batch, written)
            return

    def _settle(self, batch: list[_Waiting], written: tuple[Written, ...]) -> None:
        start = 0
        for waiting in batch:
            end = start + len(waiting.events)
            self.waiting -= len(waiting.events)
            if not waiting.done.done():
                waiting.done.set_result(written[start:end])
            start = end

    async def _one_by_one(self, batch: list[_Waiting], exc: BaseException) -> None:
        if len(batch) > 1:  # one of them is bad: the others must not wait for it
            for waiting in batch:
                await self._write_until_done([waiting])
            return
        self.rejected += len(batch[0].events)
        self.waiting -= len(batch[0].events)
        log.error("the database rejected an event", extra={"error": _first_line(exc)})
        if not batch[0].done.done():
            batch[0].done.set_exception(
                StoreUnavailableError("The database rejected an event.", hint="See the log.")
            )
            batch[0].done.exception()  # nobody may be waiting any more

    async def _write(self, events: list[Event]) -> tuple[Written, ...]:
        async with self._engine.begin() as connection:
            folding = await _Folding.load(connection, events)
            for event in events:
                folding.take(event)
            fresh = await folding.save(connection)
        sessions = folding.by_event
        return tuple(
            Written(event=event, fresh=event.id in fresh, session=sessions[index])
            for index, event in enumerate(events)
        )


class _Folding:
    """One batch: the sessions and visits that it touches, before and after."""

    def __init__(self, sessions: list[SessionRecord], visits: list[Visit]) -> None:
        self._by_id: dict[str, SessionRecord] = {session.id: session for session in sessions}
        self._by_sid: dict[str, str] = {session.room_sid: session.id for session in sessions}
        self._visits: dict[tuple[str, str], Visit] = {
            (visit.session_id, visit.participant_sid): visit for visit in visits
        }
        self._changed: dict[str, None] = {}
        self._changed_visits: dict[tuple[str, str], None] = {}
        self._closing: dict[str, Event] = {}
        self._joined: set[str] = set()
        self._events: list[tuple[Event, str | None]] = []
        self.by_event: list[SessionRecord | None] = []

    @classmethod
    async def load(cls, connection: AsyncConnection, events: Sequence[Event]) -> _Folding:
        ids = {_claimed_id(event) for event in events} - {None}
        sids = {event.room_sid for event in events} - {""}
        rows = await connection.execute(
            select(t.sessions).where(or_(t.sessions.c.id.in_(ids), t.sessions.c.room_sid.in_(sids)))
        )
        sessions = [session_record(row) for row in rows.mappings()]
        participant_sids = {str(event.data.get("participant_sid", "")) for event in events} - {""}
        visits: list[Visit] = []
        if participant_sids and sessions:
            found = await connection.execute(
                select(t.visits).where(
                    and_(
                        t.visits.c.session_id.in_([session.id for session in sessions]),
                        t.visits.c.participant_sid.in_(participant_sids),
                    )
                )
            )
            visits = [visit_record(row) for row in found.mappings()]
        return cls(sessions, visits)

    def take(self, event: Event) -> None:
        session_id = self._by_sid.get(event.room_sid) if event.room_sid else None
        claimed = _claimed_id(event)
        session = self._by_id.get(claimed) if claimed else None
        if session is None and session_id is not None:
            session = self._by_id[session_id]
        visit = None
        participant_sid = str(event.data.get("participant_sid", ""))
        if session is not None:
            visit = self._visits.get((session.id, participant_sid))
        folded = fold(session, visit, event)
        self.by_event.append(folded.session)
        self._events.append((event, folded.session.id if folded.session else event.session_id))
        if folded.session is None:
            return
        after = folded.session
        self._by_id[after.id] = after
        if after.room_sid:
            self._by_sid[after.room_sid] = after.id
        self._changed[after.id] = None
        if folded.visit is not None and participant_sid:
            key = (after.id, participant_sid)
            self._visits[key] = folded.visit
            self._changed_visits[key] = None
            if event.kind is Kind.PARTICIPANT_JOINED:
                self._joined.add(after.id)
        if folded.closes_visits:
            self._closing[after.id] = event

    async def save(self, connection: AsyncConnection) -> set[str]:
        """Write all of it; gives the ids of the events that were not there before."""
        dialect = connection.dialect.name
        rows = [event_row(event, session_id) for event, session_id in self._events]
        kept = await connection.execute(insert_new(dialect, t.events, "id"), rows)
        fresh = set(kept.scalars())
        if self._changed:
            sessions = [session_row(self._by_id[key]) for key in self._changed]
            await connection.execute(upsert(dialect, t.sessions), sessions)
        if self._changed_visits:
            visits = [visit_row(self._visits[key]) for key in self._changed_visits]
            await connection.execute(upsert(dialect, t.visits), visits)
        for session_id, event in self._closing.items():
            await connection.execute(
                update(t.visits)
                .where(t.visits.c.session_id == session_id, t.visits.c.left_at.is_(None))
                .values(left_at=event.at, left_certainty=Certainty.INFERRED)
            )
        for session_id in self._joined:
            await _raise_peak(connection, session_id)
        return fresh


async def _raise_peak(connection: AsyncConnection, session_id: str) -> None:
    inside = (
        select(func.count())
        .where(
            t.visits.c.session_id == session_id,
            t.visits.c.left_at.is_(None),
            t.visits.c.hidden == 0,
            t.visits.c.kind.not_in(("agent", "egress")),
        )
        .scalar_subquery()
    )
    peak: Any = t.sessions.c.people_peak
    await connection.execute(
        update(t.sessions)
        .where(t.sessions.c.id == session_id)
        .values(people_peak=case((peak < inside, inside), else_=peak))
    )


def _claimed_id(event: Event) -> str | None:
    """The session that the event says it belongs to: by id, by metadata, by its room's name."""
    if event.session_id:
        return event.session_id
    ours = event.data.get("switchboard")
    if isinstance(ours, dict) and ours.get("session_id"):
        return str(ours["session_id"])
    return session_id_in(event.room_name)


def _is_away(exc: BaseException) -> bool:
    """Whether the same write may succeed later: the database is locked, full or unreachable."""
    if isinstance(exc, DBAPIError) and exc.connection_invalidated:
        return True
    passing = (OperationalError, InterfaceError, PoolTimeoutError, OSError, TimeoutError)
    return isinstance(exc, passing)


def _first_line(exc: BaseException) -> str:
    """What the driver said, without the statement and its values."""
    cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    return str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__
