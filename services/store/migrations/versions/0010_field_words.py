"""The field's words for event kinds and commands, in what is stored.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KINDS = {
    "agent_asked_again": "agent_redispatched",
    "agent_given_up": "agent_redispatch_exhausted",
    "job_left": "job_disconnected",
    "command_done": "command_completed",
    "state_saved": "checkpoint_saved",
    "recording_gap": "events_dropped",
    "agent_other": "unknown_agent_event",
}
_ACTIONS = {
    "resume": "answer_interrupt",
    "coach": "whisper",
    "go_on": "resume",
    "hand_over": "take_over",
    "edit_state": "update_state",
    "end": "end_session",
}
_BATCH = 1_000

_events = sa.table(
    "events", sa.column("seq", sa.BigInteger), sa.column("kind"), sa.column("data", sa.JSON)
)
_commands = sa.table("commands", sa.column("action"))
_jobs = sa.table("jobs", sa.column("stream_id"), sa.column("actions", sa.JSON))


def upgrade() -> None:
    _rename(_KINDS, _ACTIONS)


def downgrade() -> None:
    _rename({new: old for old, new in _KINDS.items()}, {n: o for o, n in _ACTIONS.items()})


def _rename(kinds: dict[str, str], actions: dict[str, str]) -> None:
    db = op.get_bind()
    for old, new in kinds.items():
        db.execute(_events.update().where(_events.c.kind == old).values(kind=new))
    db.execute(
        _commands.update().values(
            action=sa.case(
                *((_commands.c.action == old, new) for old, new in actions.items()),
                else_=_commands.c.action,
            )
        )
    )
    _rewrite(db, _jobs, _jobs.c.stream_id, _jobs.c.actions, lambda v: _renamed(v, actions))
    for kind, change in (
        ("command_sent", lambda v: _with_action(v, actions)),
        ("command_completed", lambda v: _with_action(v, actions)),
        ("job_connected", lambda v: _with_actions(v, actions)),
    ):
        _rewrite(db, _events, _events.c.seq, _events.c.data, change, _events.c.kind == kind)


def _rewrite(
    db: sa.Connection,
    table: sa.TableClause,
    key: sa.ColumnElement[Any],
    column: sa.ColumnElement[Any],
    change: Callable[[Any], Any],
    where: sa.ColumnElement[bool] | None = None,
) -> None:
    """Change a JSON column, some rows at a time, in the order of `key`."""
    rows = sa.select(key, column).order_by(key).limit(_BATCH)
    if where is not None:
        rows = rows.where(where)
    after: Any = None
    while found := db.execute(rows if after is None else rows.where(key > after)).all():
        after = found[-1][0]
        for key_of, value in found:
            if (new := change(value)) != value:
                db.execute(table.update().where(key == key_of).values({column.name: new}))


def _renamed(names: Any, actions: dict[str, str]) -> Any:
    return [actions.get(name, name) for name in names] if isinstance(names, list) else names


def _with_action(data: Any, actions: dict[str, str]) -> Any:
    if not isinstance(data, dict) or data.get("action") not in actions:
        return data
    return {**data, "action": actions[data["action"]]}


def _with_actions(data: Any, actions: dict[str, str]) -> Any:
    if not isinstance(data, dict) or "actions" not in data:
        return data
    return {**data, "actions": _renamed(data["actions"], actions)}
