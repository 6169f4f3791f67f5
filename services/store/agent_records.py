"""Rows of agents at work as frozen values: jobs, interrupts, commands, turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.ids import SessionId


class AgentJobStatus(StrEnum):
    """How a job's socket stands."""

    CONNECTED = "connected"
    LEFT = "left"  # it said good-bye
    LOST = "lost"  # its socket closed without a good-bye


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentJob:
    """One job of an agent, as its recorder's hello told. `stream_id` names it."""

    stream_id: str
    session_id: SessionId
    room_name: str
    job_id: str = ""
    dispatch_id: str = ""
    worker_id: str = ""
    agent_name: str = ""
    identity: str = ""
    host: str = ""
    pid: int = 0
    recorder: str = ""
    actions: tuple[str, ...] = ()
    status: AgentJobStatus = AgentJobStatus.CONNECTED
    connected_at: datetime
    left_at: datetime | None = None
    left_reason: str = ""
    last_seq: int = 0


class InterruptStatus(StrEnum):
    """`pending -> answered -> resumed`; back to pending when the answer did not reach the graph."""

    PENDING = "pending"
    ANSWERED = "answered"  # somebody's answer is on its way
    RESUMED = "resumed"  # the graph has it
    GONE = "gone"  # the graph no longer asks, or the session is over


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptRecord:
    """What a graph asks of a human. `value`: what it gave to `interrupt()`, as JSON.

    `user_id`: whom the agent talks to; "" where the session was not read along.
    """

    session_id: SessionId
    interrupt_id: str
    node: str = ""
    value: Any = None
    status: InterruptStatus = InterruptStatus.PENDING
    asked_at: datetime
    command_id: str | None = None
    answered_by: str = ""
    answered_at: datetime | None = None
    decision: Any = None
    user_id: str = ""

    @property
    def action(self) -> str:
        """What is to be done, in the form of agent-inbox; "" where the graph asks otherwise."""
        request = self.value.get("action_request") if isinstance(self.value, dict) else None
        action = request.get("action") if isinstance(request, dict) else None
        return action if isinstance(action, str) else ""


class CommandStatus(StrEnum):
    """`waiting -> sent -> done | refused | failed | expired`."""

    WAITING = "waiting"  # no job is connected; it is sent to the next one
    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        return self in {CommandStatus.WAITING, CommandStatus.SENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """What somebody asked of an agent, and how it went."""

    id: str
    session_id: SessionId
    action: str
    args: dict[str, Any] = field(default_factory=dict)
    actor: str = ""
    interrupt_id: str | None = None
    status: CommandStatus = CommandStatus.WAITING
    detail: str = ""
    issued_at: datetime
    expires_at: datetime
    sent_at: datetime | None = None
    done_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the caller said and what the agent answered. Times in ms, None where nobody told.

    From the end of the caller's speech: `transcription_ms` until its text was there,
    `end_of_turn_ms` until the turn was taken for over, then `graph_ms` to the first word of the
    answer, `speech_ms` to its first sound; `answer_ms` is all of it.
    """

    session_id: SessionId
    number: int
    agent_name: str = ""
    started_at: datetime
    answered_at: datetime | None = None
    user_text: str = ""
    agent_text: str = ""
    interrupted: bool = False
    transcription_ms: float | None = None
    end_of_turn_ms: float | None = None
    graph_ms: float | None = None
    speech_ms: float | None = None
    answer_ms: float | None = None
