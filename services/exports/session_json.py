"""The whole session as JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from services.agents.session_feed import event_row
from services.clock import rfc3339
from services.exports.reading import events_of
from services.store.records import SessionRecord
from services.store.store import Store

SCHEMA: Final = "switchboard.session/1"


async def as_json(store: Store, session: SessionRecord) -> AsyncIterator[str]:
    """One object; docs/exports.md names its fields."""
    head = {
        "schema": SCHEMA,
        "session": {
            "id": session.id,
            "room_name": session.room_name,
            "agent_name": session.agent_name,
            "user_id": session.user_id,
            "status": session.status.value,
            "created_at": rfc3339(session.created_at),
            "started_at": _moment(session.started_at),
            "ended_at": _moment(session.ended_at),
            "end_reason": session.end_reason,
        },
        "participants": [
            {
                "identity": visit.identity,
                "kind": visit.kind,
                "hidden": visit.hidden,
                "joined_at": _moment(visit.joined_at),
                "left_at": _moment(visit.left_at),
            }
            for visit in await store.visits(session.id)
        ],
        "turns": [
            {
                "number": turn.number,
                "started_at": rfc3339(turn.started_at),
                "caller": turn.user_text,
                "agent": turn.agent_text,
                "interrupted": turn.interrupted,
                "answer_ms": turn.answer_ms,
            }
            for turn in await store.agents.turns_of(session.id)
        ],
    }
    yield f'{json.dumps(head, ensure_ascii=False)[:-1]}, "events": ['
    before = ""
    async for event in events_of(store, session.id):
        row = {**event_row(event, whole=True), "certainty": event.certainty.value}
        yield f"{before}\n{json.dumps(row, ensure_ascii=False)}"
        before = ","
    yield "\n]}\n"


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None
