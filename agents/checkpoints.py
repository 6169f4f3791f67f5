"""Where LangGraph keeps threads: SQLite in the data folder, or PostgreSQL by `DATABASE_URL`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langgraph.checkpoint.base import BaseCheckpointSaver

from services.settings import Settings


@asynccontextmanager
async def open_checkpointer(settings: Settings) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """A checkpointer with its tables made. Keep the block open as long as it is used.

    Several processes may use the same file or database at once.
    """
    url = settings.database_url.get_secret_value()
    if url and not url.startswith("sqlite"):
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

        async with AsyncPostgresSaver.from_conn_string(_for_psycopg(url)) as postgres:
            await postgres.setup()
            yield postgres
        return
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    settings.switchboard_data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.switchboard_data_dir / "checkpoints.db"
    async with AsyncSqliteSaver.from_conn_string(str(path)) as sqlite:
        await sqlite.conn.execute("PRAGMA busy_timeout=5000")
        await sqlite.conn.execute("PRAGMA synchronous=NORMAL")
        await sqlite.setup()
        yield sqlite


def _for_psycopg(url: str) -> str:
    """SQLAlchemy's `postgresql+asyncpg://` and the old `postgres://` as psycopg takes them."""
    scheme, _, rest = url.partition("://")
    return f"postgresql://{rest}" if scheme.startswith("postgres") else url
