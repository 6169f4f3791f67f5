"""What a viewer sees of an open room: an immutable view, its health, and its row in the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from services.clock import rfc3339
from services.errors import SwitchboardError
from services.livekit.models import Dispatch, Participant, Room
from services.store.records import SessionRecord

AGENT_GRACE: Final = timedelta(seconds=10)  # a cold worker needs up to 2.8 s; a busy one more
EXPIRES_SOON: Final = timedelta(minutes=5)


class Health(StrEnum):
    """How a room does, worst last; the words are part of the API."""

    OK = "ok"
    EMPTY = "empty"
    UNKNOWN = "unknown"
    ENDING = "ending"
    EXPIRING = "expiring"
    NO_AGENT = "no_agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomView:
    """One open room, as far as we know it."""

    room: Room
    seen_at: datetime  # when we first saw it; for rooms without a creation time
    session: SessionRecord | None = None
    participants: tuple[Participant, ...] = ()
    participants_known: bool = False  # False: only LiveKit's own count is known
    dispatches: tuple[Dispatch, ...] | None = None  # None: not asked; only for rooms looked at
    ending: bool = False

    @property
    def name(self) -> str:
        return self.room.name

    @property
    def people(self) -> int:
        if not self.participants_known:
            return self.room.num_participants
        return sum(participant.is_person for participant in self.participants)

    @property
    def agents(self) -> int:
        return sum(p.is_agent and not p.is_observer for p in self.participants)

    @property
    def observers(self) -> tuple[Participant, ...]:
        """Who listens in, unseen by the others."""
        return tuple(p for p in self.participants if p.is_observer)

    @property
    def publishers(self) -> int:
        if not self.participants_known:
            return self.room.num_publishers
        return sum(bool(participant.tracks) for participant in self.participants)

    @property
    def agent_name(self) -> str:
        """The agent that is there, else the one that was asked for, else ""."""
        for participant in self.participants:
            if participant.is_agent and participant.agent_name:
                return participant.agent_name
        return self.session.agent_name if self.session is not None else ""

    @property
    def agent_state(self) -> str:
        for participant in self.participants:
            if participant.is_agent and participant.agent_state:
                return participant.agent_state
        return ""

    @property
    def adopted(self) -> bool:
        """Made by others, or not yet known to be ours."""
        return self.session is None or not self.session.ours

    def health(self, now: datetime) -> tuple[Health, str]:
        """The word and a sentence."""
        if self.ending:
            return Health.ENDING, "The room is ending."
        expires_at = self.session.expires_at if self.session is not None else None
        if expires_at is not None and expires_at - now <= EXPIRES_SOON:
            left = max(0, round((expires_at - now).total_seconds()))
            return Health.EXPIRING, f"Ends in {left} s."
        if not self.participants_known:
            return Health.UNKNOWN, "Participants not loaded yet."
        if self.agents == 0 and now - (self.room.created_at or self.seen_at) > AGENT_GRACE:
            if self.agent_name:
                return Health.NO_AGENT, f"{self.agent_name} has not joined."
            if self.people:
                return Health.NO_AGENT, "Participants connected, but no agent."
        if self.people == 0:
            return Health.EMPTY, "No participants."
        return Health.OK, (
            "Participant and agent connected." if self.agents else "Participant connected."
        )

    def row(self, now: datetime) -> dict[str, Any]:
        """The row of the live table, as JSON values."""
        health, text = self.health(now)
        expires_at = self.session.expires_at if self.session is not None else None
        return {
            "name": self.name,
            "sid": self.room.sid,
            "agent": self.agent_name,
            "agent_state": self.agent_state,
            "people": self.people,
            "agents": self.agents,
            "publishers": self.publishers,
            "created_at": rfc3339(self.room.created_at or self.seen_at),
            "expires_at": rfc3339(expires_at) if expires_at is not None else None,
            "health": health.value,
            "health_text": text,
            "session_id": self.session.id if self.session is not None else None,
            "adopted": self.adopted,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomsSnapshot:
    """Every open room as last known. With `error`, the rows are from `taken_at` and may be old."""

    rooms: tuple[RoomView, ...] = ()
    taken_at: datetime | None = None  # the last answer of LiveKit; None: none yet
    error: SwitchboardError | None = None
    error_since: datetime | None = None

    def get(self, name: str) -> RoomView | None:
        """The open room of that name."""
        return next((view for view in self.rooms if view.name == name), None)

    @property
    def people(self) -> int:
        return sum(view.people for view in self.rooms)

    @property
    def agents(self) -> int:
        return sum(view.agents for view in self.rooms)

    def status(self) -> dict[str, Any]:
        """What the live table shows above its rows, as JSON values."""
        return {
            "checked_at": rfc3339(self.taken_at) if self.taken_at is not None else None,
            "error": self.error.message if self.error is not None else None,
            "error_hint": self.error.hint if self.error is not None else None,
        }
