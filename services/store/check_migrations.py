"""`python -m services.store.check_migrations`: do the migrations give the tables of the code?"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import URL

from services.store.engine import make_engine, migrate
from services.store.tables import metadata


async def differences(url: URL) -> list[Any]:
    """What a migrated database at `url` differs in from `tables.py`; empty: nothing."""
    await migrate(url)
    engine = make_engine(url, timeout_s=30)
    try:
        async with engine.connect() as connection:
            return list(
                await connection.run_sync(
                    lambda sync: compare_metadata(
                        MigrationContext.configure(
                            sync, opts={"compare_type": True, "include_object": _known}
                        ),
                        metadata,
                    )
                )
            )
    finally:
        await engine.dispose()


def _known(_item: object, name: str | None, *_: object) -> bool:
    """The search's own tables and indexes: SQLAlchemy knows neither."""
    return not (name or "").startswith(("words", "ix_texts_words", "ix_found_prefix"))


def main() -> int:
    """Exit code 1 and the differences, if there are any."""
    with tempfile.TemporaryDirectory() as folder:
        url = URL.create("sqlite+aiosqlite", database=str(Path(folder) / "check.db"))
        found = asyncio.run(differences(url))
    for difference in found:
        sys.stdout.write(f"{difference}\n")
    sys.stdout.write("migrations and tables agree\n" if not found else "they differ\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
