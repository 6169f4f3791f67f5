"""What alert rules found, and how it was posted. Made by `Store`, as its `alerts`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from services.store import tables as t
from services.store.agent_store import Connect
from services.store.rows import clean

OPEN_MOST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """One thing that a rule found. `posted`: it was sent on; `post_error` "": and taken."""

    id: str
    rule: str
    key: str
    watch: str
    severity: str
    text: str
    session_id: str = ""
    room_name: str = ""
    began_at: datetime
    ended_at: datetime | None = None
    posted: bool = False
    post_tries: int = 0
    post_error: str = ""


class AlertStore:
    """Raises StoreUnavailableError where the database is away."""

    def __init__(self, reading: Connect, writing: Connect) -> None:
        self._reading = reading
        self._writing = writing

    async def add(self, record: AlertRecord) -> None:
        """Keep what has begun."""
        async with self._writing() as db:
            await db.execute(insert(t.alerts).values(clean(asdict(record))))

    async def end(self, alert_id: str, text: str, at: datetime) -> None:
        """It is over; `text` is how it was said last."""
        query = update(t.alerts).where(t.alerts.c.id == alert_id)
        async with self._writing() as db:
            await db.execute(query.values(ended_at=at, text=clean(text)))

    async def delivered(self, alert_id: str, tries: int, error: str) -> None:
        """How it was posted."""
        query = update(t.alerts).where(t.alerts.c.id == alert_id)
        async with self._writing() as db:
            await db.execute(query.values(posted=True, post_tries=tries, post_error=error))

    async def open(self) -> tuple[AlertRecord, ...]:
        """Those that have not ended, oldest first."""
        query = select(t.alerts).where(t.alerts.c.ended_at.is_(None)).order_by(t.alerts.c.id)
        async with self._reading() as db:
            rows = (await db.execute(query.limit(OPEN_MOST))).mappings()
            return tuple(AlertRecord(**row) for row in rows)

    async def newest(self, *, limit: int) -> tuple[AlertRecord, ...]:
        """Newest first."""
        query = select(t.alerts).order_by(t.alerts.c.id.desc()).limit(limit)
        async with self._reading() as db:
            return tuple(AlertRecord(**row) for row in (await db.execute(query)).mappings())

    async def forget(self, before: datetime) -> None:
        """Delete those that ended before that moment."""
        async with self._writing() as db:
            await db.execute(delete(t.alerts).where(t.alerts.c.ended_at < before))
