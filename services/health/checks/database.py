"""Checks of the database: it answers, has our schema, takes writes. Leaves nothing in it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from alembic.script import ScriptDirectory
from sqlalchemy import URL, insert, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.errors import ConfigError
from services.health.findings import Area, Check, Finding
from services.logs import Redact
from services.settings import Settings
from services.store import tables as t
from services.store.engine import alembic_config, database_url, make_engine

_SLOW_MS: Final = 100.0
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)  # a minute that no sample has

ANSWERS: Final = Check(
    code="database_answers",
    area=Area.DATABASE,
    name="Database",
    impact="History, sessions and the Idempotency-Key need it; the live view does not.",
)
SCHEMA: Final = Check(
    code="database_schema",
    area=Area.DATABASE,
    name="Database schema",
    impact="Another version's tables are not those that this version reads and writes.",
)
WRITABLE: Final = Check(
    code="database_writable",
    area=Area.DATABASE,
    name="Database writes",
    impact="What cannot be written waits in memory, and is lost when Switchboard ends.",
)
WAL: Final = Check(
    code="database_wal",
    area=Area.DATABASE,
    name="Write-ahead log",
    impact="Without it readers and the writer of SQLite wait for one another.",
)


async def examine(settings: Settings, *, lock_wait_s: float | None = None) -> tuple[Finding, ...]:
    """Open a connection of our own and try each thing in turn; the first failure ends it.

    `lock_wait_s`: how long another's lock on SQLite is waited for; most of the timeout by default,
    so that the finding says "locked" before the time is over.
    """
    try:
        url = database_url(settings)
    except ConfigError as exc:
        return (ANSWERS.problem(exc.message, exc.hint),)
    file = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
    if file is not None and not await asyncio.to_thread(file.exists):
        return (ANSWERS.unknown("There is no database file yet.", "The first start makes it."),)
    timeout_s = settings.switchboard_store_timeout_s
    return await _connected(url, timeout_s, 0.8 * timeout_s if lock_wait_s is None else lock_wait_s)


async def _connected(url: URL, timeout_s: float, lock_wait_s: float) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    asking = ANSWERS
    engine = make_engine(url, timeout_s=timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            async with engine.connect() as connection:
                if connection.dialect.name == "sqlite":
                    busy_ms = int(lock_wait_s * 1000)
                    await connection.exec_driver_sql(f"PRAGMA busy_timeout={busy_ms}")
                findings.append(await _answers(connection))
                asking = SCHEMA
                findings.append(await _schema(connection))
                asking = WRITABLE
                findings.append(await _writable(connection))
                if connection.dialect.name == "sqlite":
                    asking = WAL
                    findings.append(await _wal(connection))
    except (SQLAlchemyError, OSError, TimeoutError) as exc:
        findings.append(asking.problem(_said(exc, timeout_s), _fix(url)))
    finally:
        await engine.dispose()
    return tuple(findings)


async def _answers(connection: AsyncConnection) -> Finding:
    begun_s = time.perf_counter()
    await connection.execute(text("SELECT 1"))
    took_ms = (time.perf_counter() - begun_s) * 1000
    kind = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connection.dialect.name]
    version = ".".join(map(str, connection.dialect.server_version_info or ()))
    said = f"{kind} {version} answers in {took_ms:.1f} ms."
    if took_ms > _SLOW_MS:
        return ANSWERS.warning(said, "Look at the load of its machine and the way there.")
    return ANSWERS.ok(said)


async def _schema(connection: AsyncConnection) -> Finding:
    known = await asyncio.to_thread(_revisions)
    there = await connection.run_sync(lambda sync: sync.dialect.has_table(sync, "alembic_version"))
    revision = None
    if there:
        revision = (
            await connection.execute(text("SELECT version_num FROM alembic_version"))
        ).scalar()
    await connection.rollback()
    if revision == known[0]:
        return SCHEMA.ok(f"Revision {revision}, the newest.")
    if revision is None or revision in known:
        return SCHEMA.warning(
            f"It is at revision {revision or 'none'}; the newest is {known[0]}.",
            "Start Switchboard: it brings the schema up to date.",
        )
    return SCHEMA.problem(
        f"It is at revision {revision}, which this version does not know.",
        "A newer Switchboard made it: run that version, or restore a backup from before.",
    )


def _revisions() -> tuple[str, ...]:
    """Newest first."""
    script = ScriptDirectory.from_config(alembic_config())
    return tuple(one.revision for one in script.walk_revisions())


async def _writable(connection: AsyncConnection) -> Finding:
    row = {"minute": _LONG_AGO, "rooms": 0, "people": 0, "agents": 0, "sessions": 0}
    begun_s = time.perf_counter()
    try:
        await connection.execute(insert(t.samples).values(row))
    finally:
        await connection.rollback()
    took_ms = (time.perf_counter() - begun_s) * 1000
    return WRITABLE.ok(f"A row was written and taken back in {took_ms:.1f} ms.")


async def _wal(connection: AsyncConnection) -> Finding:
    """Asked by SQL: closing the file after reading its header would drop SQLite's own locks."""
    mode = (await connection.execute(text("PRAGMA journal_mode"))).scalar()
    await connection.rollback()
    if mode == "wal":
        return WAL.ok("It is on.")
    return WAL.warning(
        f"It is off: the journal mode is {mode}.",
        "A network file system does not allow it: keep the data folder on a local disk.",
    )


def _said(exc: BaseException, timeout_s: float) -> str:
    if isinstance(exc, TimeoutError):
        return f"No answer within {timeout_s:g} s."
    cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    lines = str(cause).splitlines()
    detail = Redact().clean(lines[0]) if lines else type(cause).__name__
    return f"It says: {detail.rstrip('.')}."


def _fix(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"Check that {url.database} may be written by the user that runs Switchboard."
    return f"Check that PostgreSQL runs at {url.host}:{url.port or 5432}, and user and password."
