"""What happened: the one shape in which everything is written down, and where we know it from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.ids import new_event_id


class Source(StrEnum):
    """Who told us."""

    WEBHOOK = "webhook"
    POLL = "poll"  # seen in LiveKit's lists
    OPERATOR = "operator"  # a person on a page
    API = "api"
    SYSTEM = "system"  # we ourselves: the reaper, the deny list


class Certainty(StrEnum):
    """How well we know a fact."""

    OBSERVED = "observed"
    INFERRED = "inferred"  # concluded later from a list: it happened, but not exactly then
    INCOMPLETE = "incomplete"  # we came late or lost the thread: something is missing


class Kind(StrEnum):
    """Kinds of events. LiveKit's keep LiveKit's names (docs.livekit.io, webhooks)."""

    ROOM_STARTED = "room_started"
    ROOM_FINISHED = "room_finished"
    PARTICIPANT_JOINED = "participant_joined"
    PARTICIPANT_LEFT = "participant_left"
    PARTICIPANT_ABORTED = "participant_connection_aborted"
    TRACK_PUBLISHED = "track_published"
    TRACK_UNPUBLISHED = "track_unpublished"
    LIVEKIT_OTHER = "livekit_other"  # egress, ingress and whatever comes; `data.event` names it

    SESSION_CREATED = "session_created"
    SESSION_FAILED = "session_failed"
    SESSION_ENDING = "session_ending"  # somebody or the reaper asked for the end
    SESSION_EXTENDED = "session_extended"  # `data.expires_at`: its time ends later now
    JOIN_DENIED = "join_denied"
    OPERATOR_ACTION = "operator_action"  # `data.action` names it, `data.outcome` how it went


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `id` makes it unique: the same webhook twice is one event."""

    kind: Kind
    at: datetime
    received_at: datetime
    source: Source
    certainty: Certainty = Certainty.OBSERVED
    id: str = field(default_factory=new_event_id)
    session_id: str | None = None
    room_name: str = ""
    room_sid: str = ""
    identity: str = ""
    actor: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    """JSON values. Never a token, a secret or audio."""
