"""The audit log and the API keys in the database. Made by `Store`, as its `access`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, insert, or_, select, update

from services.store import tables as t
from services.store.agent_store import Connect
from services.store.audit_records import ApiKeyRecord, AuditEntry, AuditPage, AuditQuery
from services.store.rows import clean

PAGE_LIMIT: Final = 1_000
KEYS_LIMIT: Final = 1_000


class AccessStore:
    """Raises StoreUnavailableError where the database is away."""

    def __init__(self, reading: Connect, writing: Connect) -> None:
        self._reading = reading
        self._writing = writing

    async def add_entries(self, entries: Sequence[AuditEntry]) -> None:
        """Append them."""
        async with self._writing() as db:
            await db.execute(insert(t.audit), [clean(asdict(entry)) for entry in entries])

    async def page(self, wanted: AuditQuery, *, cursor: str | None, limit: int = 100) -> AuditPage:
        """Entries, newest first, after the entry whose id is `cursor`."""
        limit = min(limit, PAGE_LIMIT)
        columns = t.audit.c
        query = select(t.audit).order_by(columns.id.desc()).limit(limit + 1)
        for column, value in (
            (columns.actor, wanted.actor),
            (columns.action, wanted.action),
            (columns.outcome, wanted.outcome),
        ):
            if value is not None:
                query = query.where(column == clean(value))
        if wanted.text:
            held = (columns.actor, columns.action, columns.target)
            text = clean(wanted.text)
            query = query.where(or_(*(one.icontains(text, autoescape=True) for one in held)))
        if wanted.since is not None:
            query = query.where(columns.at >= wanted.since)
        if wanted.until is not None:
            query = query.where(columns.at < wanted.until)
        if cursor is not None:
            query = query.where(columns.id < clean(cursor))
        async with self._reading() as db:
            rows = (await db.execute(query)).mappings().all()
        entries = tuple(AuditEntry(**row) for row in rows[:limit])
        more = len(rows) > limit
        return AuditPage(entries=entries, next_cursor=entries[-1].id if more else None)

    async def actions(self) -> tuple[str, ...]:
        """The actions that were ever taken, in alphabetical order."""
        query = select(t.audit.c.action).distinct().order_by(t.audit.c.action).limit(PAGE_LIMIT)
        async with self._reading() as db:
            return tuple((await db.execute(query)).scalars())

    # -- API keys

    async def add_key(self, key: ApiKeyRecord) -> None:
        """Keep a new key."""
        row = {**asdict(key), "scopes": list(key.scopes), "name": clean(key.name)}
        async with self._writing() as db:
            await db.execute(insert(t.api_keys).values(row))

    async def keys(self) -> tuple[ApiKeyRecord, ...]:
        """All keys, newest first, revoked and expired ones too."""
        query = select(t.api_keys).order_by(t.api_keys.c.id.desc()).limit(KEYS_LIMIT)
        async with self._reading() as db:
            return tuple(map(_key, (await db.execute(query)).mappings()))

    async def revoke_key(self, key_id: str, at: datetime) -> bool:
        """Revoke it; False: there is none of this id that was not revoked before."""
        columns = t.api_keys.c
        query = (
            update(t.api_keys)
            .where(columns.id == clean(key_id), columns.revoked_at.is_(None))
            .values(revoked_at=at)
        )
        async with self._writing() as db:
            return (await db.execute(query)).rowcount > 0

    async def keys_used(self, used: Mapping[str, datetime]) -> None:
        """Write down when each key, by its id, was used last."""
        query = (
            update(t.api_keys)
            .where(t.api_keys.c.id == bindparam("key_id"))
            .values(last_used_at=bindparam("used_at"))
        )
        rows = [{"key_id": key_id, "used_at": at} for key_id, at in used.items()]
        async with self._writing() as db:
            await db.execute(query, rows)


def _key(row: RowMapping) -> ApiKeyRecord:
    values: dict[str, Any] = dict(row)
    return ApiKeyRecord(**{**values, "scopes": tuple(values["scopes"])})
