"""The store as the others see it: its event log, sessions and their history.

Every read ends within the store's timeout. Lists are bounded and go on by cursor.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.errors import NotFoundError, StoreUnavailableError
from services.events import Event, Kind
from services.ids import SessionId, is_session_id
from services.loop.batches import one_by_one
from services.redaction import Redaction, redaction_of
from services.settings import Settings
from services.store import tables as t
from services.store.access_store import AccessStore
from services.store.agent_store import AgentStore
from services.store.alert_store import AlertStore
from services.store.engine import (
    DATABASE_ERRORS,
    database_url,
    make_engine,
    make_sqlite_writer,
    migrate,
)
from services.store.event_log import EventLog
from services.store.records import (
    OPEN,
    Denial,
    Sample,
    SessionRecord,
    StoredEvent,
    StoreHealth,
    Visit,
)
from services.store.review_store import QualityStore
from services.store.rows import (
    clean,
    insert_new,
    session_record,
    stored_event,
    upsert,
    visit_record,
)
from services.store.saved_item_store import SavedItemStore
from services.store.session_search import SessionSearch

log = logging.getLogger(__name__)

_SETTLE_S: Final = 5.0  # a slow disk must not hide what was just written
_AWAY_S: Final = 0.25  # while the database takes nothing anyway
PAGE_LIMIT: Final = 500
REVIEW_KINDS: Final = (
    Kind.NOTE_ADDED,
    Kind.NOTE_REMOVED,
    Kind.TAGGED,
    Kind.ASSIGNED,
    Kind.REVIEWED,
)
"""What people thought of a session: kept for as long as the session."""


DeleteHook = Callable[[AsyncConnection, Sequence[str]], Awaitable[None]]
"""Takes the ids of sessions, first of all in the transaction that deletes them."""


@asynccontextmanager
async def open_store(
    settings: Settings, *, delete_hooks: Sequence[DeleteHook] = ()
) -> AsyncIterator[Store]:
    """The migrated database with its event log running; on leaving, what waits is written.

    Raises:
        ConfigError: `DATABASE_URL` or what is to be blanked cannot be read.
        StoreUnavailableError: the database cannot be reached or migrated.
    """
    url = database_url(settings)
    redaction = redaction_of(
        settings.switchboard_pii_redaction, settings.switchboard_pii_redaction_patterns_file
    )
    if (path := settings.sqlite_path) is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        await migrate(url)
    except DATABASE_ERRORS as exc:
        raise StoreUnavailableError(
            f"The database could not be opened ({type(exc).__name__}).",
            hint=f"Check that {url!r} exists and may be written.",  # repr hides the password
        ) from None
    engine = make_engine(url, timeout_s=settings.switchboard_store_timeout_s)
    sqlite = make_sqlite_writer(url, timeout_s=settings.switchboard_store_timeout_s)
    store = Store(
        engine,
        sqlite,
        timeout_s=settings.switchboard_store_timeout_s,
        redaction=redaction,
        delete_hooks=delete_hooks,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(store.log.run(), name="event log")
            try:
                yield store
            finally:
                store.log.close()
                _, late = await asyncio.wait(
                    {running}, timeout=settings.switchboard_store_timeout_s
                )
                if late:
                    log.error("events were not written", extra={"count": store.log.waiting})
                    running.cancel()
    finally:
        await store.give_back()
        await engine.dispose()
        if sqlite is not None:
            sqlite.dispose()


class Store:
    """Made by `open_store`; belongs to the loop that opened it."""

    def __init__(
        self,
        engine: AsyncEngine,
        sqlite: Engine | None,
        *,
        timeout_s: float,
        redaction: Redaction,
        delete_hooks: Sequence[DeleteHook] = (),
    ) -> None:
        self._delete_hooks = tuple(delete_hooks)
        self.redaction = redaction
        self._engine = engine
        self._timeout_s = timeout_s
        self._closed = False
        self._giving_back: set[asyncio.Task[None]] = set()
        self.log = EventLog(engine, sqlite, redaction=redaction, timeout_s=timeout_s)
        self.agents = AgentStore(self.reading, self.writing)
        self.session_search = SessionSearch(self.reading)
        self.quality = QualityStore(self.reading)
        self.alerts = AlertStore(self.reading, self.writing)
        self.alert_rules = SavedItemStore(self.reading, self.writing, t.alert_rules)
        self.access = AccessStore(self.reading, self.writing)
        self.presets = SavedItemStore(self.reading, self.writing, t.presets)
        self.views = SavedItemStore(self.reading, self.writing, t.views)
        self.retention_rules = SavedItemStore(self.reading, self.writing, t.retention_rules)

    async def latest_of(self, session_id: str, kinds: Sequence[Kind]) -> dict[Kind, StoredEvent]:
        """The newest event of each of these kinds in a session; kinds it had none of are absent."""
        found: dict[Kind, StoredEvent] = {}
        async with self.reading() as db:
            for kind in kinds:
                query = (
                    select(t.events)
                    .where(t.events.c.session_id == session_id, t.events.c.kind == kind)
                    .order_by(t.events.c.seq.desc())
                    .limit(1)
                )
                if (row := (await db.execute(query)).mappings().first()) is not None:
                    found[kind] = stored_event(row)
        return found

    # -- sessions

    async def session(self, session_id: str) -> SessionRecord:
        """The session of that id.

        Raises:
            NotFoundError: there is none.
        """
        row = None
        if is_session_id(session_id):
            async with self.reading() as db:
                found = await db.execute(select(t.sessions).where(t.sessions.c.id == session_id))
                row = found.mappings().first()
        if row is None:
            raise NotFoundError(
                f"There is no session {session_id!r}.",
                hint="Check the id; sessions are listed on the overview.",
            )
        return session_record(row)

    async def session_of_room(self, room_name: str) -> SessionRecord | None:
        """The newest session in a room of that name."""
        async with self.reading() as db:
            row = (
                (
                    await db.execute(
                        select(t.sessions)
                        .where(t.sessions.c.room_name == clean(room_name))
                        .order_by(t.sessions.c.created_at.desc())
                        .limit(1)
                    )
                )
                .mappings()
                .first()
            )
        return session_record(row) if row is not None else None

    async def open_sessions(self) -> tuple[SessionRecord, ...]:
        """Every session that has not ended (as many as there are open rooms)."""
        async with self.reading() as db:
            rows = await db.execute(select(t.sessions).where(t.sessions.c.status.in_(OPEN)))
            return tuple([session_record(row) async for row in one_by_one(rows.mappings())])

    async def visits(self, session_id: str, *, limit: int = PAGE_LIMIT) -> tuple[Visit, ...]:
        """Who was in the session's room, in the order of joining."""
        async with self.reading() as db:
            rows = await db.execute(
                select(t.visits)
                .where(t.visits.c.session_id == session_id)
                .order_by(t.visits.c.joined_at)
                .limit(limit)
            )
            return tuple(visit_record(row) for row in rows.mappings())

    # -- events

    async def events(
        self,
        *,
        session_id: str | None = None,
        after_seq: int = 0,
        kinds: Sequence[Kind] = (),
        limit: int = PAGE_LIMIT,
    ) -> tuple[StoredEvent, ...]:
        """Events in the order of writing, after `after_seq`: of one session or of all."""
        query = select(t.events).where(t.events.c.seq > after_seq).order_by(t.events.c.seq)
        if session_id is not None:
            query = query.where(t.events.c.session_id == session_id)
        if kinds:
            query = query.where(t.events.c.kind.in_(kinds))
        async with self.reading() as db:
            rows = await db.execute(query.limit(limit))
            return tuple(stored_event(row) for row in rows.mappings())

    async def latest_events(self, *, limit: int = 100) -> tuple[StoredEvent, ...]:
        """The events written last, newest first."""
        async with self.reading() as db:
            rows = await db.execute(select(t.events).order_by(t.events.c.seq.desc()).limit(limit))
            return tuple(stored_event(row) for row in rows.mappings())

    async def events_of_kind(
        self, kind: Kind, *, since: datetime, limit: int = 50
    ) -> tuple[Event, ...]:
        """The newest events of one kind received from `since` on, in the order of writing."""
        query = (
            select(t.events)
            .where(t.events.c.kind == kind, t.events.c.received_at >= since)
            .order_by(t.events.c.seq.desc())
            .limit(limit)
        )
        async with self.reading() as db:
            rows = (await db.execute(query)).mappings().all()
        return tuple(stored_event(row).event for row in reversed(rows))

    async def prune_events(self, before: datetime, *, limit: int = 10_000) -> int:
        """Delete events received before that moment, at most `limit`; sessions and reviews stay."""
        old = (
            select(t.events.c.seq)
            .where(t.events.c.received_at < before, t.events.c.kind.not_in(REVIEW_KINDS))
            .order_by(t.events.c.received_at)
            .limit(limit)
        )
        async with self.writing() as db:
            done = await db.execute(delete(t.events).where(t.events.c.seq.in_(old)))
            await _rewind_counting(db)
            return int(done.rowcount)

    async def erase(self, session_ids: Sequence[str]) -> None:
        """Delete sessions with everything that is kept of them, in one transaction."""
        of_session = (
            t.events, t.visits, t.jobs, t.interrupts, t.commands, t.turns, t.found, t.tags,
            t.texts, t.reviews, t.alerts, t.idempotency_keys,
        )  # fmt: skip
        async with self.writing() as db:
            for hook in self._delete_hooks:
                await hook(db, session_ids)
            for table in of_session:
                await db.execute(delete(table).where(table.c.session_id.in_(session_ids)))
            await db.execute(delete(t.sessions).where(t.sessions.c.id.in_(session_ids)))
            await _rewind_counting(db)

    # -- idempotency keys

    async def claim_key(
        self, key: str, request_digest: str, session_id: SessionId, now: datetime
    ) -> tuple[str, SessionId]:
        """Claim `key` for `session_id`; gives the digest and session of whoever claimed first."""
        row = {
            "key": key,
            "request_digest": request_digest,
            "session_id": session_id,
            "created_at": now,
        }
        async with self.writing() as db:
            await db.execute(insert_new(db.dialect.name, t.idempotency_keys, "key"), [row])
            keys = t.idempotency_keys.c
            found = await db.execute(
                select(keys.request_digest, keys.session_id).where(keys.key == key)
            )
            digest, owner = found.one()
        return digest, SessionId(owner)

    async def renew_key(self, key: str, failed: SessionId, session_id: SessionId) -> None:
        """Let `key` stand for `session_id` in place of a session that was not created."""
        keys = t.idempotency_keys
        async with self.writing() as db:
            await db.execute(
                update(keys)
                .where(keys.c.key == key, keys.c.session_id == failed)
                .values(session_id=session_id)
            )

    async def forget_keys(self, before: datetime) -> None:
        """Delete idempotency keys claimed before that moment."""
        async with self.writing() as db:
            old = t.idempotency_keys.c.created_at < before
            await db.execute(delete(t.idempotency_keys).where(old))

    # -- denials

    async def deny(self, denial: Denial) -> None:
        """Keep a participant (or everybody) out of a room until `until`."""
        row = {
            "room_name": denial.room_name,
            "identity": denial.identity,
            "until": denial.until,
            "reason": denial.reason,
        }
        async with self.writing() as db:
            await db.execute(upsert(db.dialect.name, t.denials), [row])

    async def allow(self, room_name: str, identity: str) -> None:
        """Take a denial back."""
        async with self.writing() as db:
            await db.execute(
                delete(t.denials).where(
                    t.denials.c.room_name == room_name, t.denials.c.identity == identity
                )
            )

    async def denials(self, now: datetime, *, room_name: str | None = None) -> tuple[Denial, ...]:
        """Those that hold now, of one room or of all."""
        query = select(t.denials).where(t.denials.c.until >= now)
        if room_name is not None:
            query = query.where(t.denials.c.room_name == clean(room_name))
        async with self.reading() as db:
            rows = await db.execute(query)
            return tuple(Denial(**row) for row in rows.mappings())

    async def forget_denials(self, now: datetime) -> None:
        """Delete those that no longer hold."""
        async with self.writing() as db:
            await db.execute(delete(t.denials).where(t.denials.c.until < now))

    # -- samples

    async def add_sample(self, sample: Sample, *, keep_from: datetime) -> None:
        """Write one minute's figures and delete those before `keep_from`."""
        row = {name: getattr(sample, name) for name in Sample.__dataclass_fields__}
        async with self.writing() as db:
            await db.execute(upsert(db.dialect.name, t.samples), [row])
            await db.execute(delete(t.samples).where(t.samples.c.minute < keep_from))

    async def samples(self, since: datetime) -> tuple[Sample, ...]:
        """The minutes from `since` on, oldest first. Minutes in which we were down are missing."""
        async with self.reading() as db:
            rows = await db.execute(
                select(t.samples).where(t.samples.c.minute >= since).order_by(t.samples.c.minute)
            )
            return tuple(Sample(**row) for row in rows.mappings())

    # -- health

    async def health(self) -> StoreHealth:
        """One round trip and the sizes."""
        begun = time.perf_counter()
        async with self.reading() as db:
            revision = (await db.execute(text("SELECT version_num FROM alembic_version"))).scalar()
            round_trip_ms = (time.perf_counter() - begun) * 1000
            newest = await db.execute(select(func.coalesce(func.max(t.events.c.seq), 0)))
            sessions = await db.execute(select(func.count()).select_from(t.sessions))
            size = await _size_bytes(db)
            return StoreHealth(
                dialect=db.dialect.name,
                revision=str(revision),
                round_trip_ms=round_trip_ms,
                events=int(newest.scalar_one()),
                sessions=int(sessions.scalar_one()),
                size_bytes=size,
                waiting=self.log.waiting,
                rejected=self.log.rejected,
                last_error=self.log.last_error,
            )

    # -- inside

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Reads see what was taken to be written before, unless the database is slow to take it."""
        patience_s = _AWAY_S if self.log.last_error else _SETTLE_S
        await self.log.settled(timeout_s=patience_s)
        async with self._translated(), self._connected() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        async with self._translated(), self._connected() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """A connection that goes back to the pool also when the caller is cancelled.

        SQLAlchemy 2.1.9 forgets one that is being opened then, while aiosqlite's thread opens
        it all the same, and closes one that was open in a task that nobody waits for.
        """
        if self._closed:
            raise StoreUnavailableError("The database is closed.", hint="Switchboard is stopping.")
        connection = self._engine.connect()
        opening = asyncio.ensure_future(connection.start())
        try:
            _ = await asyncio.shield(opening)
        except asyncio.CancelledError:
            _ = self._keep(_close_when_open(opening, connection))
            raise
        try:
            yield connection
        finally:
            await asyncio.shield(self._keep(connection.close()))

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        aio_task = asyncio.get_running_loop().create_task(work)
        self._giving_back.add(aio_task)
        aio_task.add_done_callback(self._giving_back.discard)
        return aio_task

    async def give_back(self) -> None:
        """Take no more calls, and return when every connection is back in the pool."""
        self._closed = True
        if self._giving_back:
            await asyncio.wait(self._giving_back, timeout=self._timeout_s)

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except DATABASE_ERRORS as exc:
            raise StoreUnavailableError(
                f"The database did not answer ({type(exc).__name__}).",
                hint="Check its disk and connection; the System page shows more.",
            ) from exc


async def _close_when_open(
    opening: asyncio.Future[AsyncConnection], connection: AsyncConnection
) -> None:
    try:
        _ = await opening
    except DATABASE_ERRORS:
        return  # there is nothing to give back
    await connection.close()


async def _size_bytes(db: AsyncConnection) -> int | None:
    if db.dialect.name == "sqlite":
        query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    else:
        query = "SELECT pg_database_size(current_database())"
    size: Any = (await db.execute(text(query))).scalar()
    return int(size) if size is not None else None


async def _rewind_counting(db: AsyncConnection) -> None:
    """After events were deleted: SQLite gives the numbers of the last ones away again."""
    newest = select(func.coalesce(func.max(t.events.c.seq), 0)).scalar_subquery()
    await db.execute(update(t.counted).where(t.counted.c.seq > newest).values(seq=newest))
