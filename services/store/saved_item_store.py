"""What people keep under a name: presets of test sessions, views of the list of sessions."""

from __future__ import annotations

from sqlalchemy import Table, delete, select

from services.store.agent_store import Connect
from services.store.records import SavedItem
from services.store.rows import clean, upsert


class SavedItemStore:
    """One table of it. Raises StoreUnavailableError where the database is away."""

    def __init__(self, reading: Connect, writing: Connect, table: Table) -> None:
        self._reading = reading
        self._writing = writing
        self._table = table

    async def save(self, kept: SavedItem) -> None:
        """Keep it under its name, in place of one that has it."""
        row = {
            "name": clean(kept.name),
            "options": clean(dict(kept.options)),
            "saved_by": clean(kept.saved_by),
            "saved_at": kept.saved_at,
        }
        async with self._writing() as db:
            await db.execute(upsert(db.dialect.name, self._table), [row])

    async def all(self, *, limit: int = 200) -> tuple[SavedItem, ...]:
        """By name."""
        async with self._reading() as db:
            rows = await db.execute(select(self._table).order_by(self._table.c.name).limit(limit))
            return tuple(SavedItem(**row) for row in rows.mappings())

    async def delete(self, name: str) -> None:
        """Delete it, if it is there."""
        async with self._writing() as db:
            await db.execute(delete(self._table).where(self._table.c.name == name))
