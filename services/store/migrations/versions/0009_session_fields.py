"""Session fields under the names that the API and the exports use, in tables and saved views."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_RENAMED: Final = {  # old: (new, columns of its index after itself)
    "evidence": ("provenance", ("created_at", "session_id")),
    "answer_median_ms": ("latency_p50_ms", ("session_id",)),
    "answer_worst_ms": ("latency_max_ms", ("session_id",)),
}
_PARAMETERS: Final = {
    "agent": "agent_name", "user": "user_id", "evidence": "provenance", "slower": "min_latency_max_ms",
    "median": "min_latency_p50_ms", "lasted": "min_duration_s", "turns": "min_turns",
    "interruptions": "min_interruptions", "asks": "interrupts_pending", "over": "mark_over_ms",
    "after": "created_after", "before": "created_before", "cols": "columns",
}  # fmt: skip
_COLUMNS: Final = {
    "Started": "created_at", "User": "user_id", "Agent": "agent_name", "Status": "status",
    "Lasted": "duration_s", "Turns": "turns", "Median": "latency_p50_ms", "Worst": "latency_max_ms",
    "Trouble": "issues", "Verdict": "verdict", "Tags": "tags", "Known": "provenance",
    "Ended because": "end_reason", "Version": "version", "Reviewer": "assignee", "Room": "room_name",
    "Session": "session_id",
}  # fmt: skip


def upgrade() -> None:
    for old, (new, others) in _RENAMED.items():
        op.drop_index(op.f(f"ix_found_{'_'.join((old, *others))}"), "found")
        op.execute(f"ALTER TABLE found RENAME COLUMN {old} TO {new}")
        op.create_index(op.f(f"ix_found_{'_'.join((new, *others))}"), "found", [new, *others])
    op.drop_index("ix_found_with_asks", "found")
    op.execute("ALTER TABLE found RENAME COLUMN asks TO interrupts_pending")
    some = sa.text("interrupts_pending > 0")
    op.create_index(
        "ix_found_with_interrupts_pending",
        "found",
        ["created_at", "session_id"],
        sqlite_where=some,
        postgresql_where=some,
    )
    if op.get_bind().dialect.name == "postgresql":  # for LIKE, whatever the collation
        op.execute("CREATE INDEX ix_found_prefix_room_name ON found (room_name text_pattern_ops)")
    views = sa.table("views", sa.column("name", sa.String), sa.column("options", sa.JSON))
    db = op.get_bind()
    for name, options in db.execute(sa.select(views.c.name, views.c.options)).all():
        db.execute(sa.update(views).where(views.c.name == name).values(options=_view(options)))


def _view(old: dict[str, Any]) -> dict[str, Any]:
    """A saved view under the new names."""
    new = {_PARAMETERS.get(name, name): value for name, value in old.items() if name != "up"}
    for name in ("errors", "interrupts_pending"):
        if name in new:
            new[name] = "true"
    sort = str(old.get("sort", "created_at"))
    names = {old_: new_ for old_, (new_, _) in _RENAMED.items()} | {"asks": "interrupts_pending"}
    if sort != "created_at" or old.get("up"):
        new["sort"] = ("" if old.get("up") else "-") + names.get(sort, sort)
    if "columns" in new:
        labels = str(new["columns"]).split(",")
        new["columns"] = ",".join(_COLUMNS[label] for label in labels if label in _COLUMNS)
    return new
