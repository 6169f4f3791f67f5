"""Who reviewed what; which version of an agent spoke; whom a session is assigned to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("version", "assignee"):
        op.add_column("found", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    assigned = sa.text("assignee <> ''")
    op.create_index(
        "ix_found_with_assignee",
        "found",
        ["assignee", "created_at", "session_id"],
        sqlite_where=assigned,
        postgresql_where=assigned,
    )
    judged = sa.text("verdict <> ''")
    op.create_index(
        "ix_found_judged",
        "found",
        ["created_at", "agent_name", "version", "verdict"],
        sqlite_where=judged,
        postgresql_where=judged,
    )
    reviews = op.create_table(
        "reviews",
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "author", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_at"), "reviews", ["at"])
    _fill(op.get_bind(), reviews)


def _fill(db: sa.Connection, reviews: sa.Table) -> None:
    """The newest verdict of each reviewer, from the events that are there."""
    events = sa.Table("events", sa.MetaData(), autoload_with=db)
    newest: dict[tuple[str, str], dict[str, object]] = {}
    for event in db.execute(
        sa.select(events).where(events.c.kind == "reviewed").order_by(events.c.seq)
    ).mappings():
        key = (event["session_id"], event["actor"][:200])
        newest[key] = {
            "session_id": key[0],
            "author": key[1],
            "at": event["at"],
            "verdict": str(event["data"].get("verdict", ""))[:16],
            "scores": event["data"].get("scores") or {},
        }
    if newest:
        db.execute(reviews.insert(), list(newest.values()))
