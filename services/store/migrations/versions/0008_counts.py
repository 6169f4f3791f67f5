"""Figures over many sessions: counts of each, summed up by hour and day; marks to find them by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_UTC = sa.DateTime(timezone=True)


def upgrade() -> None:
    counted = op.create_table(
        "counted",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.Column("turn", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counted")),
    )
    op.bulk_insert(counted, [{"id": 1, "seq": 0, "turn": 0}])
    op.create_table(
        "counts",
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("hour", _UTC, nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_counts")),
    )
    op.create_table(
        "rollups",
        sa.Column("period", sa.String(length=4), nullable=False),
        sa.Column("begins_at", _UTC, nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "period", "begins_at", "agent_name", "version", name=op.f("pk_rollups")
        ),
    )
    op.create_table(
        "marks",
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("created_at", _UTC, nullable=False),
        sa.Column("worst_ms", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "mark", name=op.f("pk_marks")),
    )
    op.create_index(
        op.f("ix_marks_mark_created_at_session_id"), "marks", ["mark", "created_at", "session_id"]
    )
    op.create_index(
        op.f("ix_marks_mark_worst_ms_session_id"), "marks", ["mark", "worst_ms", "session_id"]
    )
    op.create_index(
        op.f("ix_found_version_created_at_session_id"),
        "found",
        ["version", "created_at", "session_id"],
    )
