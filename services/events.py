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
    AGENT = "agent"  # the agent's own recorder, over its job's socket
    OBSERVER = "observer"  # a hidden participant of ours, where no recorder tells


class Provenance(StrEnum):
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
    AGENT_DISPATCHED = "agent_dispatched"  # LiveKit holds the request for it: `data.dispatch_id`
    SESSION_FAILED = "session_failed"
    SESSION_ENDING = "session_ending"  # somebody or the reaper asked for the end
    SESSION_EXTENDED = "session_extended"  # `data.expires_at`: its time ends later now
    JOIN_DENIED = "join_denied"
    OPERATOR_ACTION = "operator_action"  # `data.action` names it, `data.outcome` how it went

    NOTE_ADDED = "note_added"  # a reviewer's: `data.note_id`, `pinned_at`, `text`, `tags`
    NOTE_REMOVED = "note_removed"  # `data.note_id`
    ASSIGNED = "assigned"  # `data.to`: who is to review it; "": nobody
    TAGGED = "tagged"  # `data.add`, `data.remove`: tags of the session itself
    REVIEWED = "reviewed"  # `data.verdict`, `remark`, `scores`

    # What an agent's recorder tells; `switchboard_recorder.protocol.EventKind` says what each holds.
    JOB_STARTED = "job_started"
    JOB_ENDED = "job_ended"
    GRAPH_DESCRIBED = "graph_described"
    RUN_STARTED = "run_started"
    RUN_FINISHED = "run_finished"
    RUN_FAILED = "run_failed"
    NODE_STARTED = "node_started"
    NODE_FINISHED = "node_finished"
    CHECKPOINT_SAVED = "checkpoint_saved"
    TOOL_STARTED = "tool_started"
    TOOL_FINISHED = "tool_finished"
    MODEL_FINISHED = "model_finished"
    INTERRUPT_RAISED = "interrupt_raised"
    INTERRUPT_RESUMED = "interrupt_resumed"
    CUSTOM = "custom"
    AGENT_STATE = "agent_state_changed"
    USER_STATE = "user_state_changed"
    TRANSCRIBED = "user_input_transcribed"
    MESSAGE = "conversation_item_added"
    USAGE = "session_usage_updated"
    AGENT_ERROR = "error"
    REPORT = "session_report"
    COMMAND_COMPLETED = "command_completed"
    EVENTS_DROPPED = "events_dropped"
    UNKNOWN_AGENT_EVENT = "unknown_agent_event"

    # What we know of an agent's job ourselves.
    JOB_CONNECTED = "job_connected"  # its socket opened: `data` is its hello
    JOB_DISCONNECTED = "job_disconnected"  # its socket closed: `data.clean`, `data.reason`
    COMMAND_SENT = "command_sent"  # an operator's: `data.command_id`, `action`, `args`
    AGENT_REDISPATCHED = (
        "agent_redispatched"  # a lost agent was dispatched again: `data.reason`, `tries`
    )
    REDISPATCH_EXHAUSTED = "agent_redispatch_exhausted"  # it was lost too often: `data.reason`
    OBSERVER_JOINED = "observer_joined"  # `data.way`: session | text, what it hears by
    OBSERVER_LEFT = "observer_left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `id` makes it unique: the same webhook twice is one event."""

    kind: Kind
    at: datetime
    received_at: datetime
    source: Source
    certainty: Provenance = Provenance.OBSERVED
    id: str = field(default_factory=new_event_id)
    session_id: str | None = None
    room_name: str = ""
    room_sid: str = ""
    identity: str = ""
    actor: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    """JSON values. Never a token, a secret or audio."""
