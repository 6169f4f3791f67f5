"""Where LangGraph keeps threads: SQLite in the data folder, or PostgreSQL by `DATABASE_URL`."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psycopg
from langgraph.checkpoint.base import BaseCheckpointSaver

from services.errors import StoreUnavailableError
from services.settings import Settings

_FORGET_S: Final = 30.0


@asynccontextmanager
async def open_checkpointer(settings: Settings) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """A checkpointer with its tables made. Keep the block open as long as it is used.

    Several processes may use the same file or database at once.
    """
    if _on_postgres(settings):
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

        async with AsyncPostgresSaver.from_conn_string(
            _for_psycopg(settings.database_url.get_secret_value())
        ) as postgres:
            await postgres.setup()
            yield postgres
        return
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    settings.switchboard_data_dir.mkdir(parents=True, exist_ok=True)
    async with AsyncSqliteSaver.from_conn_string(str(_file_of(settings))) as sqlite:
        await sqlite.conn.execute("PRAGMA busy_timeout=5000")
        await sqlite.conn.execute("PRAGMA synchronous=NORMAL")
        await sqlite.setup()
        yield sqlite


def _on_postgres(settings: Settings) -> bool:
    url = settings.database_url.get_secret_value()
    return bool(url) and not url.startswith("sqlite")


def _file_of(settings: Settings) -> Path:
    return settings.switchboard_data_dir / "checkpoints.db"


def _for_psycopg(url: str) -> str:
    """SQLAlchemy's `postgresql+asyncpg://` and the old `postgres://` as psycopg takes them."""
    scheme, _, rest = url.partition("://")
    return f"postgresql://{rest}" if scheme.startswith("postgres") else url


async def forget_threads(settings: Settings, thread_ids: Sequence[str]) -> None:
    """Delete these threads with all of their checkpoints; those that are not there are no matter.

    Raises:
        StoreUnavailableError: where they are kept cannot be reached.
    """
    in_file = not _on_postgres(settings)
    if in_file and not _file_of(settings).is_file():
        return  # no graph ever ran on this machine
    try:
        async with asyncio.timeout(_FORGET_S), open_checkpointer(settings) as saver:
            for thread_id in thread_ids:
                await saver.adelete_thread(thread_id)
    except (OSError, TimeoutError, sqlite3.Error, psycopg.Error) as exc:
        raise StoreUnavailableError(
            f"The graph's threads could not be deleted ({type(exc).__name__}).",
            hint="Check the database of the checkpoints, then try again.",
        ) from exc
