"""LiveKit's rooms, participants, tracks and dispatches as frozen values.

Built from protobuf here and nowhere else. Times are aware UTC; absent times are None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self, TypeVar

from livekit import api

from services.clock import from_unix_s
from services.ids import OBSERVER_PREFIX

_UNKNOWN: Final = "unknown"
E = TypeVar("E", bound=StrEnum)


def word(enum: Any, number: int) -> str:
    """The lower-case name of a protobuf enum's value; "unknown" for one from a newer server."""
    known: dict[int, str] = {value: name for name, value in enum.items()}
    return known.get(number, _UNKNOWN).lower()


def _among(values: type[E], text: str, otherwise: E) -> E:
    return next((value for value in values if value == text), otherwise)


class ParticipantKind(StrEnum):
    """LiveKit's participant kinds, in their lower-case wire names."""

    STANDARD = "standard"
    INGRESS = "ingress"
    EGRESS = "egress"
    SIP = "sip"
    AGENT = "agent"
    CONNECTOR = "connector"
    BRIDGE = "bridge"
    UNKNOWN = "unknown"


class ConnectionState(StrEnum):
    """LiveKit's participant states, in their lower-case wire names."""

    JOINING = "joining"
    JOINED = "joined"
    ACTIVE = "active"
    DISCONNECTED = "disconnected"


class JobStatus(StrEnum):
    """LiveKit's job states. Never trust RUNNING alone: it stays after a worker was killed."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A published track. `source` is LiveKit's: camera, microphone, screen_share, and so on."""

    sid: str
    name: str
    kind: str
    source: str
    muted: bool
    mime_type: str = ""
    width: int = 0
    height: int = 0

    @classmethod
    def from_proto(cls, proto: api.TrackInfo) -> Self:
        return cls(
            sid=proto.sid,
            name=proto.name,
            kind=word(api.TrackType, proto.type),
            source=word(api.TrackSource, proto.source),
            muted=proto.muted,
            mime_type=proto.mime_type,
            width=proto.width,
            height=proto.height,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """What a participant may do in its room now."""

    can_subscribe: bool
    can_publish: bool
    can_publish_data: bool
    can_publish_sources: tuple[str, ...] = ()
    hidden: bool = False
    recorder: bool = False
    can_update_metadata: bool = False
    can_subscribe_metrics: bool = False

    @classmethod
    def from_proto(cls, proto: api.ParticipantPermission) -> Self:
        return cls(
            can_subscribe=proto.can_subscribe,
            can_publish=proto.can_publish,
            can_publish_data=proto.can_publish_data,
            can_publish_sources=tuple(
                word(api.TrackSource, source) for source in proto.can_publish_sources
            ),
            hidden=proto.hidden,
            recorder=proto.recorder,
            can_update_metadata=proto.can_update_metadata,
            can_subscribe_metrics=proto.can_subscribe_metrics,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Anyone in a room: a caller, an agent, a hidden observer."""

    identity: str
    sid: str
    name: str = ""
    kind: ParticipantKind = ParticipantKind.STANDARD
    state: ConnectionState = ConnectionState.ACTIVE
    joined_at: datetime | None = None
    metadata: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    tracks: tuple[Track, ...] = ()
    permissions: Permissions | None = None
    is_publisher: bool = False
    region: str = ""

    @property
    def is_agent(self) -> bool:
        return self.kind is ParticipantKind.AGENT

    @property
    def is_observer(self) -> bool:
        """One of our own hidden observers: not counted, not shown among the people."""
        return self.identity.startswith(OBSERVER_PREFIX)

    @property
    def is_person(self) -> bool:
        """Counts as one of the people: neither agent, nor egress, nor hidden, nor ours."""
        hidden = self.permissions is not None and self.permissions.hidden
        machine = self.kind in {ParticipantKind.AGENT, ParticipantKind.EGRESS}
        return not (hidden or machine or self.is_observer)

    @property
    def agent_name(self) -> str:
        """The agent's name as livekit-agents publishes it, or ""."""
        return self.attributes.get("lk.agent.name", "")

    @property
    def agent_state(self) -> str:
        """LiveKit's agent state: initializing, listening, thinking, speaking; or ""."""
        return self.attributes.get("lk.agent.state", "")

    @classmethod
    def from_proto(cls, proto: api.ParticipantInfo) -> Self:
        kind = word(api.ParticipantInfo.Kind, proto.kind)
        state = word(api.ParticipantInfo.State, proto.state)
        joined_at = from_unix_s(
            proto.joined_at_ms / 1000 if proto.joined_at_ms else proto.joined_at
        )
        return cls(
            identity=proto.identity,
            sid=proto.sid,
            name=proto.name,
            kind=_among(ParticipantKind, kind, ParticipantKind.UNKNOWN),
            state=_among(ConnectionState, state, ConnectionState.ACTIVE),
            joined_at=joined_at,
            metadata=proto.metadata,
            attributes=dict(proto.attributes),
            tracks=tuple(Track.from_proto(track) for track in proto.tracks),
            permissions=(
                Permissions.from_proto(proto.permission) if proto.HasField("permission") else None
            ),
            is_publisher=proto.is_publisher,
            region=proto.region,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """An open room as LiveKit lists it. `num_participants` leaves out agents and hidden ones."""

    name: str
    sid: str
    created_at: datetime | None = None
    num_participants: int = 0
    num_publishers: int = 0
    max_participants: int = 0
    empty_timeout_s: int = 0
    departure_timeout_s: int = 0
    metadata: str = ""
    active_recording: bool = False

    @classmethod
    def from_proto(cls, proto: api.Room) -> Self:
        created_s = proto.creation_time_ms / 1000 if proto.creation_time_ms else proto.creation_time
        return cls(
            name=proto.name,
            sid=proto.sid,
            created_at=from_unix_s(created_s),
            num_participants=proto.num_participants,
            num_publishers=proto.num_publishers,
            max_participants=proto.max_participants,
            empty_timeout_s=proto.empty_timeout,
            departure_timeout_s=proto.departure_timeout,
            metadata=proto.metadata,
            active_recording=proto.active_recording,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of a dispatch by a worker."""

    id: str
    status: JobStatus
    error: str = ""
    worker_id: str = ""
    participant_identity: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def from_proto(cls, proto: api.Job) -> Self:
        status = word(api.JobStatus, proto.state.status).removeprefix("js_")
        return cls(
            id=proto.id,
            status=_among(JobStatus, status, JobStatus.UNKNOWN),
            error=proto.state.error,
            worker_id=proto.state.worker_id,
            participant_identity=proto.state.participant_identity,
            started_at=from_unix_s(proto.state.started_at / 1e9),
            ended_at=from_unix_s(proto.state.ended_at / 1e9),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """A request for an agent in a room, and the jobs that came of it (none: no worker took it)."""

    id: str
    agent_name: str
    room_name: str
    metadata: str = ""
    created_at: datetime | None = None
    jobs: tuple[Job, ...] = ()

    @classmethod
    def from_proto(cls, proto: api.AgentDispatch) -> Self:
        return cls(
            id=proto.id,
            agent_name=proto.agent_name,
            room_name=proto.room,
            metadata=proto.metadata,
            created_at=from_unix_s(proto.state.created_at / 1e9),
            jobs=tuple(Job.from_proto(job) for job in proto.state.jobs),
        )
