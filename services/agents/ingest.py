"""What a job tells, made fit to be kept: an `Event` of ours from its record. Pure.

Whoever holds the secret may send anything that is JSON; what no database or page could take is
cut here, so that one bad event never holds up those behind it.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, Final

from services.events import Event, Kind, Source
from services.ids import SessionId
from switchboard_recorder.protocol import EVENT_BYTES, EventKind, Hello, Record

DEPTH: Final = 40
_NAME: Final = 100
_HELLO_MOST: Final = {
    "stream_id": 64, "job_id": 64, "dispatch_id": 64, "worker_id": 64, "agent_name": 200,
    "host": 200, "recorder": 32,
}  # fmt: skip
_INT64: Final = 2**63
LONGEST_MS: Final = 7 * 24 * 3600 * 1000
_PID_MOST: Final = 2**31 - 1

FROM_AGENTS: Final = frozenset(Kind(kind.value) for kind in EventKind)
"""What a recorder may send: nothing else tells of an agent, all else is ours or LiveKit's to tell."""


def event_of(
    hello: Hello, record: Record, *, session_id: SessionId, room_sid: str, received_at: datetime
) -> Event:
    """The event of a record; its id is the same whenever the record is sent again."""
    kind, data = _theirs(record.kind), plain(record.data)
    if kind is Kind.UNKNOWN_AGENT_EVENT:
        data = {"kind": record.kind[:_NAME], "data": data}
    if (size := len(json.dumps(data, ensure_ascii=False).encode(errors="replace"))) > EVENT_BYTES:
        data = {"cut": True, "bytes": size}
    if kind is Kind.MESSAGE:
        data = {**data, "agent_name": hello.agent_name[:_NAME]}
    return _event(hello, record, kind, data, session_id, room_sid, received_at)


def gap_for(event: Event, reason: str) -> Event:
    """What is kept in place of an event that the database will not take."""
    return Event(
        kind=Kind.EVENTS_DROPPED,
        at=event.received_at,
        received_at=event.received_at,
        source=event.source,
        id=event.id,
        session_id=event.session_id,
        room_name=event.room_name,
        room_sid=event.room_sid,
        identity=event.identity,
        data={"count": 1, "reason": reason, "kind": event.kind.value},
    )


def facts_of(hello: Hello) -> dict[str, Any]:
    """What is kept of a hello, each no longer than its column."""
    facts: dict[str, Any] = {
        name: getattr(hello, name)[:most] for name, most in _HELLO_MOST.items()
    }
    actions = [action[:32] for action in hello.actions[:32]]
    pid = hello.pid if 0 <= hello.pid <= _PID_MOST else 0
    return facts | {"pid": pid, "actions": actions, "late": hello.late}


def plain(value: Any, depth: int = DEPTH) -> Any:
    """The same JSON value, no deeper than `depth`, with numbers that a database and sums can take.

    None for NaN, infinity (no JSON) and integers beyond 64 bits; times in ms within 0 to 7 days.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return None
    if isinstance(value, dict):
        if depth == 0:
            return "…"
        return {key: _bounded(key, plain(item, depth - 1)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth - 1) for item in value] if depth else "…"
    return value


def _bounded(key: str, value: Any) -> Any:
    is_time = key == "ms" or key.endswith("_ms")
    if is_time and isinstance(value, int | float) and not isinstance(value, bool):
        return min(max(value, 0), LONGEST_MS)
    return value


def _theirs(word: str) -> Kind:
    try:
        kind = Kind(word)
    except ValueError:
        return Kind.UNKNOWN_AGENT_EVENT
    return kind if kind in FROM_AGENTS else Kind.UNKNOWN_AGENT_EVENT


def _event(
    hello: Hello,
    record: Record,
    kind: Kind,
    data: dict[str, Any],
    session_id: SessionId,
    room_sid: str,
    received_at: datetime,
) -> Event:
    return Event(
        kind=kind,
        at=record.at,
        received_at=received_at,
        source=Source.AGENT,
        id=f"{hello.stream_id}:{record.seq}",
        session_id=session_id,
        room_name=hello.room_name,
        room_sid=room_sid,
        identity=hello.identity,
        data=data,
    )
