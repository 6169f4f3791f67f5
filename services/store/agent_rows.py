"""Between rows and records of agents at work."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import RowMapping

from services.ids import SessionId
from services.store.agent_records import (
    AgentJob,
    AgentJobStatus,
    CommandRecord,
    CommandStatus,
    InterruptRecord,
    InterruptStatus,
    Turn,
)
from services.store.rows import clean


def _named(row: RowMapping) -> dict[str, Any]:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["session_id"] = SessionId(values["session_id"])
    return values


def job_record(row: RowMapping) -> AgentJob:
    """The job of a row."""
    values = _named(row)
    status, actions = AgentJobStatus(values.pop("status")), tuple(values.pop("actions"))
    return AgentJob(**values, status=status, actions=actions)


def interrupt_record(row: RowMapping) -> InterruptRecord:
    """The interrupt of a row."""
    values = _named(row)
    return InterruptRecord(**values | {"status": InterruptStatus(values["status"])})


def command_record(row: RowMapping) -> CommandRecord:
    """The command of a row."""
    values = _named(row)
    return CommandRecord(**values | {"status": CommandStatus(values["status"])})


def command_row(command: CommandRecord) -> dict[str, Any]:
    """The row of a command."""
    row: dict[str, Any] = clean({f.name: getattr(command, f.name) for f in fields(command)})
    return row


def turn_record(row: RowMapping) -> Turn:
    """The turn of a row."""
    values = _named(row)
    return Turn(**values | {"interrupted": bool(values["interrupted"])})


def turn_row(turn: Turn) -> dict[str, Any]:
    """The row of a turn."""
    row: dict[str, Any] = clean({f.name: getattr(turn, f.name) for f in fields(turn)})
    return row | {"interrupted": int(turn.interrupted)}
