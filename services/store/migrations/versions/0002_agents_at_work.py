"""Agents at work: jobs, interrupts, commands, turns."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "commands",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("args", sa.JSON(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("interrupt_id", sa.String(length=80), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
    )
    with op.batch_alter_table("commands", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_commands_session_id_issued_at"),
            ["session_id", "issued_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_commands_status_expires_at"), ["status", "expires_at"], unique=False
        )

    op.create_table(
        "interrupts",
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("interrupt_id", sa.String(length=80), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("command_id", sa.String(length=40), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("session_id", "interrupt_id", name=op.f("pk_interrupts")),
    )
    with op.batch_alter_table("interrupts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_interrupts_status_asked_at"), ["status", "asked_at"], unique=False
        )

    op.create_table(
        "jobs",
        sa.Column("stream_id", sa.String(length=80), nullable=False),
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("room_name", sa.Text(), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("dispatch_id", sa.String(length=64), nullable=False),
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("recorder", sa.String(length=32), nullable=False),
        sa.Column("actions", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_reason", sa.Text(), nullable=False),
        sa.Column("last_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", name=op.f("pk_jobs")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_jobs_session_id_connected_at"),
            ["session_id", "connected_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_jobs_status_connected_at"), ["status", "connected_at"], unique=False
        )

    op.create_table(
        "turns",
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_text", sa.Text(), nullable=False),
        sa.Column("agent_text", sa.Text(), nullable=False),
        sa.Column("interrupted", sa.Integer(), nullable=False),
        sa.Column("transcription_ms", sa.Float(), nullable=True),
        sa.Column("end_of_turn_ms", sa.Float(), nullable=True),
        sa.Column("graph_ms", sa.Float(), nullable=True),
        sa.Column("speech_ms", sa.Float(), nullable=True),
        sa.Column("answer_ms", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("session_id", "number", name=op.f("pk_turns")),
    )
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_turns_agent_name_started_at"), ["agent_name", "started_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_turns_started_at"), ["started_at"], unique=False)
