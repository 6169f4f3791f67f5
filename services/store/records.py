"""Rows as frozen values: what the store gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from services.events import Event, Provenance
from services.ids import SessionId


class SessionStatus(StrEnum):
    """`created -> active -> ended | failed | expired`."""

    CREATED = "created"  # the room is open, no person was seen in it yet
    ACTIVE = "active"
    ENDED = "ended"
    FAILED = "failed"  # LiveKit lost the room
    EXPIRED = "expired"  # ended by us when its time was over

    @property
    def is_open(self) -> bool:
        return self in {SessionStatus.CREATED, SessionStatus.ACTIVE}


OPEN: Final = tuple(status for status in SessionStatus if status.is_open)
OVER: Final = tuple(status for status in SessionStatus if not status.is_open)


class Origin(StrEnum):
    """Who made the session's room."""

    API = "api"
    PAGE = "page"
    ADOPTED = "adopted"  # somebody else; we only watch


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One voice session: one row, one room, one LangGraph thread (of the same id)."""

    id: SessionId
    room_name: str
    room_sid: str
    agent_name: str = ""
    user_id: str = ""
    identity: str = ""
    status: SessionStatus = SessionStatus.CREATED
    origin: Origin = Origin.ADOPTED
    created_at: datetime
    created_certainty: Provenance = Provenance.OBSERVED
    started_at: datetime | None = None  # the first person joined
    started_certainty: Provenance | None = None
    ended_at: datetime | None = None
    ended_certainty: Provenance | None = None
    end_reason: str = ""
    expires_at: datetime | None = None
    last_event_at: datetime
    dispatch_id: str = ""
    people_peak: int = 0
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Made by us: its name is never used again, and it stays ended."""
        return self.origin is not Origin.ADOPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One stay of one participant in a session's room."""

    session_id: SessionId
    participant_sid: str
    identity: str
    name: str = ""
    kind: str = "standard"
    hidden: bool = False
    joined_at: datetime | None = None
    joined_certainty: Provenance | None = None
    left_at: datetime | None = None
    left_certainty: Provenance | None = None
    leave_reason: str = ""

    @property
    def is_person(self) -> bool:
        return not self.hidden and self.kind not in {"agent", "egress"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event with its place in the book: `seq` grows by time of writing."""

    seq: int
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Who may not come back into which room, until when. `identity` "": nobody may."""

    room_name: str
    identity: str
    until: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedItem:
    """What is kept under a name, for everybody. `options` is JSON."""

    name: str
    options: Mapping[str, Any]
    saved_by: str
    saved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How much there was in one minute."""

    minute: datetime
    rooms: int
    people: int
    agents: int
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """What the System page shows of the database. Times in milliseconds."""

    dialect: str
    revision: str
    round_trip_ms: float
    events: int
    sessions: int
    size_bytes: int | None
    waiting: int  # events not yet written
    rejected: int  # events that the database will never take
    last_error: str = ""
