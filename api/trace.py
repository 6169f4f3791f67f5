"""A session for those who look inside: its events without what is heavy, and each saved state."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from api.deps import SharedRuntime
from services.agents.session_feed import event_row, session_topic
from services.clock import rfc3339
from services.errors import PermissionDeniedError
from services.events import Kind
from services.runtime import Runtime
from services.store.records import SessionRecord

router = APIRouter(prefix="/voice/session", include_in_schema=False)

MOST: Final = 2_500
Ticket = Annotated[str, Query(max_length=4096)]


@router.get("/{session_id}/trace")
async def trace(
    runtime: SharedRuntime,
    session_id: str,
    ticket: Ticket,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
) -> dict[str, Any]:
    """The session and its events in the order of writing; `last` is what `after` takes next."""
    _admit(runtime, session_id, ticket)
    session = await runtime.acall(lambda: runtime.store.session(session_id))
    found = await runtime.acall(
        lambda: runtime.store.agents.trace(session_id, after_seq=after, limit=limit)
    )
    return {
        "session": _session(session),
        "events": [event_row(one.event) for one in found],
        "last": found[-1].seq if found else after,
        "more": len(found) == limit,
        "at": rfc3339(runtime.now()),
    }


@router.get("/{session_id}/saved/{event_id}")
async def saved(
    runtime: SharedRuntime, session_id: str, event_id: str, ticket: Ticket
) -> dict[str, Any]:
    """One saved state, whole. `values` null: they were too long to be kept."""
    _admit(runtime, session_id, ticket)
    one = await runtime.acall(lambda: runtime.store.agents.event(session_id, event_id))
    values = one.event.data.get("values") if one.event.kind is Kind.CHECKPOINT_SAVED else None
    return {"id": one.event.id, "at": rfc3339(one.event.at), "values": values}


def _admit(runtime: Runtime, session_id: str, ticket: str) -> None:
    """The page's own ticket for the session's live topic opens these, too.

    Raises:
        BadSignatureError: the ticket is not ours, or out of date.
        PermissionDeniedError: it is for another session.
    """
    if session_topic(session_id) not in runtime.tickets.topics(ticket):
        raise PermissionDeniedError("The ticket is for another session.", hint="Reload the page.")


def _session(session: SessionRecord) -> dict[str, Any]:
    moments = {
        name: rfc3339(moment) if moment is not None else None
        for name, moment in (
            ("created_at", session.created_at),
            ("started_at", session.started_at),
            ("ended_at", session.ended_at),
            ("expires_at", session.expires_at),
        )
    }
    return {
        "id": session.id,
        "status": session.status.value,
        "open": session.status.is_open,
        "room_name": session.room_name,
        "agent_name": session.agent_name,
        "user_id": session.user_id,
        "identity": session.identity,
        **moments,
    }
