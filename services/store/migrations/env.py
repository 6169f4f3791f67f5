"""Alembic's entry: runs on the connection that `services.store.engine` hands in."""

from __future__ import annotations

from typing import Literal

from alembic import context

from services.store.tables import Utc, metadata


def _render(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our own types as SQLAlchemy's, so that a migration outlives our code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Utc) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=True,
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
