"""What happens in a running session, for whoever looks: the last events, and each new one."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from services.clock import rfc3339
from services.events import Event, Kind
from services.live.hub import Hub
from services.store.batch import CommittedEvent
from switchboard_recorder.protocol import Live

KEPT: Final = 200
KEPT_BYTES: Final = 1_000_000
"""So much of a session is at hand for who comes to look; the rest is in the database."""
VALUES_BYTES: Final = 32_000  # a state that is longer is fetched by who looks at it
SESSIONS: Final = 500


SESSION_PREFIX: Final = "session:"


def session_topic(session_id: str) -> str:
    """The hub's topic for one session's events."""
    return SESSION_PREFIX + session_id


def is_session_topic(topic: str) -> bool:
    """Whether the topic is one session's."""
    return topic.startswith(SESSION_PREFIX)


@dataclass(slots=True)
class _Kept:
    rows: deque[tuple[int, dict[str, Any]]] = field(default_factory=deque)  # with its size
    live: dict[str, dict[str, Any]] = field(default_factory=dict)
    size: int = 0

    def add(self, row: dict[str, Any]) -> None:
        size = len(json.dumps(row, ensure_ascii=False))
        self.rows.append((size, row))
        self.size += size
        while len(self.rows) > KEPT or (self.size > KEPT_BYTES and len(self.rows) > 1):
            self.size -= self.rows.popleft()[0]


class Feeds:
    """One feed a session; the oldest sessions' are forgotten, the database has it all."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._feeds: dict[str, _Kept] = {}

    def take(self, committed: CommittedEvent) -> None:
        """Show an event to whoever looks at its session; with the session's end the feed ends."""
        event, session = committed.event, committed.session
        if session is None or committed.replayed:
            return
        if event.session_id is None or event.session_id == session.id:
            row = event_row(event)
            self._of(session.id).add(row)
            self._hub.publish(session_topic(session.id), upsert={event.id: row})
        if not session.status.is_open:
            self.forget(session.id)

    def live(self, session_id: str, message: Live) -> None:
        """Show what is not kept: interim text and the like. A kind's newest takes its place."""
        row: dict[str, Any] = {
            "id": f"live:{message.kind}",
            "kind": message.kind,
            "at": rfc3339(message.at),
            "live": True,
            "data": message.data,
        }
        self._of(session_id).live[message.kind] = row
        self._hub.publish(session_topic(session_id), upsert={row["id"]: row})

    def forget(self, session_id: str) -> None:
        """The session is over."""
        if self._feeds.pop(session_id, None) is not None:
            self._hub.retire(session_topic(session_id))

    def _of(self, session_id: str) -> _Kept:
        found = self._feeds.get(session_id)
        if found is None:
            while len(self._feeds) >= SESSIONS:
                self.forget(next(iter(self._feeds)))
            found = self._feeds[session_id] = _Kept()
            self._hub.provide(
                session_topic(session_id),
                lambda: {"rows": [*(row for _, row in list(found.rows)), *found.live.values()]},
            )
        return found


def event_row(event: Event, *, whole: bool = False) -> dict[str, Any]:
    """An event as the session page reads it; a long state's values are left out, unless `whole`."""
    data = event.data
    if event.kind is Kind.CHECKPOINT_SAVED and not whole:
        values = data.get("values")
        if values is not None and len(json.dumps(values, ensure_ascii=False)) > VALUES_BYTES:
            data = {name: value for name, value in data.items() if name != "values"}
    return {
        "id": event.id,
        "kind": event.kind.value,
        "at": rfc3339(event.at),
        "source": event.source.value,
        "identity": event.identity,
        "actor": event.actor,
        "data": data,
    }
