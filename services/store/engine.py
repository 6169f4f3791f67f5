"""The database engine: SQLite with WAL by default, PostgreSQL by `DATABASE_URL`; migrations."""

from __future__ import annotations

import asyncio
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.errors import ConfigError
from services.settings import Settings

MIGRATIONS: Final = Path(__file__).with_name("migrations")
CONNECT_ERRORS: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What SQLAlchemy 2.1.9 lets through as it is when asyncpg cannot connect."""
DATABASE_ERRORS: Final = (SQLAlchemyError, *CONNECT_ERRORS)


def database_url(settings: Settings) -> URL:
    """The SQLAlchemy URL with an async driver. `str()` of it hides the password.

    Raises:
        ConfigError: `DATABASE_URL` cannot be read.
    """
    if (path := settings.sqlite_path) is not None:
        return URL.create("sqlite+aiosqlite", database=str(path))
    try:
        url = make_url(settings.database_url.get_secret_value())
    except ArgumentError:
        raise ConfigError(
            "DATABASE_URL cannot be read.",
            hint="It looks like postgresql://user:password@host:5432/name.",
        ) from None  # the cause holds the password
    driver = "sqlite+aiosqlite" if url.get_backend_name() == "sqlite" else "postgresql+asyncpg"
    return url.set(drivername=driver)


def make_engine(url: URL, *, timeout_s: float) -> AsyncEngine:
    """An engine whose every call ends within about `timeout_s` seconds."""
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, pool_size=5, pool_timeout=timeout_s)
        event.listen(engine.sync_engine, "connect", partial(_prepare_sqlite, timeout_s))
        return engine
    return create_async_engine(
        url,
        pool_size=5,
        max_overflow=5,
        pool_timeout=timeout_s,
        pool_pre_ping=True,
        connect_args={"timeout": timeout_s, "command_timeout": timeout_s},
    )


def make_sqlite_writer(url: URL, *, timeout_s: float) -> Engine | None:
    """For SQLite an engine that is not async, for the writer's thread; None for others."""
    if url.get_backend_name() != "sqlite":
        return None
    engine = create_engine(url.set(drivername="sqlite"), pool_size=1, max_overflow=0)
    event.listen(engine, "connect", partial(_prepare_sqlite, timeout_s))
    return engine


def _prepare_sqlite(timeout_s: float, connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        f"busy_timeout={int(timeout_s * 1000)}",
        "synchronous=NORMAL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def migrate(url: URL) -> None:
    """Bring the database to the newest schema. Alembic is not async: it gets a thread."""
    await asyncio.to_thread(asyncio.run, _migrate(url))


async def _migrate(url: URL) -> None:
    engine = make_engine(url, timeout_s=60)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _upgrade(connection: Any) -> None:
    if connection.dialect.name == "postgresql":  # two dashboards may start at once
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7305011)")
    if MigrationContext.configure(connection).get_current_revision() == _newest():
        return  # a start on a database of today: without loading every migration
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@cache
def _newest() -> str | None:
    return ScriptDirectory.from_config(alembic_config()).get_current_head()
