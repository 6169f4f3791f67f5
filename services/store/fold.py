"""Sessions and visits folded from events: pure, and the same for any order of arrival.

LiveKit's webhooks keep no order across resources and may come twice, late or never.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.events import Certainty, Event, Kind
from services.ids import SessionId, new_session_id
from services.store.records import Origin, SessionRecord, SessionStatus, Visit

_OPENS = {Kind.ROOM_STARTED, Kind.PARTICIPANT_JOINED, Kind.TRACK_PUBLISHED, Kind.SESSION_CREATED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What an event makes of its session (None: nothing to keep) and of one visit."""

    session: SessionRecord | None
    visit: Visit | None = None
    closes_visits: bool = False


def fold(session: SessionRecord | None, visit: Visit | None, event: Event) -> Folded:
    """The session and the visit after `event`. `visit` is the one of the event's participant."""
    if session is None:
        if event.kind not in _OPENS or not event.room_sid:
            return Folded(session=None)
        session = _new_session(event)
    session = replace(
        session,
        last_event_at=max(session.last_event_at, event.at),
        room_sid=session.room_sid or event.room_sid,
    )
    match event.kind:
        case Kind.SESSION_CREATED:
            return Folded(session=_created(session, event))
        case Kind.ROOM_STARTED:
            return Folded(session=_started_room(session, event))
        case Kind.PARTICIPANT_JOINED:
            visit = _joined(session.id, visit, event)
            return Folded(session=_first_person(session, visit, event), visit=visit)
        case Kind.PARTICIPANT_LEFT | Kind.PARTICIPANT_ABORTED:
            return Folded(session=session, visit=_left(session.id, visit, event))
        case Kind.SESSION_EXTENDED:
            later = datetime.fromisoformat(str(event.data["expires_at"]))
            return Folded(session=replace(session, expires_at=later))
        case Kind.SESSION_ENDING:
            reason = session.end_reason or str(event.data.get("reason", ""))
            data = {**session.data, "ending": True, "expired": bool(event.data.get("expired"))}
            return Folded(session=replace(session, end_reason=reason, data=data))
        case Kind.ROOM_FINISHED:
            return Folded(session=_ended(session, event), closes_visits=True)
        case _:
            return Folded(session=session)


def _new_session(event: Event) -> SessionRecord:
    """A session from the first that we hear of it; ours carry their id in the room's metadata."""
    ours: dict[str, Any] = event.data.get("switchboard") or {}
    session_id = event.session_id or ours.get("session_id")
    certainty = event.certainty if event.kind is Kind.ROOM_STARTED else Certainty.INCOMPLETE
    expires_at = ours.get("expires_at")
    return SessionRecord(
        id=SessionId(session_id) if session_id else new_session_id(),
        room_name=event.room_name,
        room_sid=event.room_sid,
        agent_name=str(ours.get("agent_id", "")),
        origin=Origin.API if session_id else Origin.ADOPTED,
        created_at=event.at,
        created_certainty=certainty,
        expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
        last_event_at=event.at,
    )


def _created(session: SessionRecord, event: Event) -> SessionRecord:
    facts = event.data
    expires_at = facts.get("expires_at")
    return replace(
        session,
        agent_name=facts.get("agent_name", session.agent_name),
        user_id=facts.get("user_id", session.user_id),
        identity=facts.get("identity", session.identity),
        dispatch_id=facts.get("dispatch_id", session.dispatch_id),
        origin=Origin(facts.get("origin", session.origin)),
        expires_at=datetime.fromisoformat(expires_at) if expires_at else session.expires_at,
        created_at=event.at,
        created_certainty=Certainty.OBSERVED,
    )


def _started_room(session: SessionRecord, event: Event) -> SessionRecord:
    better = (
        session.created_certainty is not Certainty.OBSERVED
        and event.certainty is Certainty.OBSERVED
        and not session.ours
    )
    if better:
        session = replace(session, created_at=event.at, created_certainty=Certainty.OBSERVED)
    return session


def _joined(session_id: SessionId, visit: Visit | None, event: Event) -> Visit:
    if visit is None:
        visit = _new_visit(session_id, event)
    elif visit.joined_certainty is Certainty.OBSERVED:
        return visit
    return replace(visit, joined_at=event.at, joined_certainty=event.certainty)


def _left(session_id: SessionId, visit: Visit | None, event: Event) -> Visit:
    if visit is None:
        visit = _new_visit(session_id, event)
    elif visit.left_certainty is Certainty.OBSERVED:
        return visit
    reason = str(event.data.get("disconnect_reason", ""))
    return replace(visit, left_at=event.at, left_certainty=event.certainty, leave_reason=reason)


def _new_visit(session_id: SessionId, event: Event) -> Visit:
    return Visit(
        session_id=session_id,
        participant_sid=str(event.data.get("participant_sid", "")),
        identity=event.identity,
        name=str(event.data.get("name", "")),
        kind=str(event.data.get("kind", "standard")),
        hidden=bool(event.data.get("hidden")),
    )


def _first_person(session: SessionRecord, visit: Visit, event: Event) -> SessionRecord:
    if not visit.is_person:
        return session
    if session.started_at is None or event.at < session.started_at:
        session = replace(session, started_at=event.at, started_certainty=event.certainty)
    if session.status is SessionStatus.CREATED:
        return replace(session, status=SessionStatus.ACTIVE)
    wrongly_ended = (
        session.ended_certainty is Certainty.INFERRED
        and session.ended_at is not None
        and event.at > session.ended_at
        and not session.data.get("ending")
    )
    if wrongly_ended:  # we had concluded the end from a list, and were mistaken
        return replace(
            session, status=SessionStatus.ACTIVE, ended_at=None, ended_certainty=None, end_reason=""
        )
    return session


def _ended(session: SessionRecord, event: Event) -> SessionRecord:
    if session.ended_certainty is Certainty.OBSERVED:
        return session
    if session.data.get("expired"):
        status = SessionStatus.EXPIRED
    elif event.data.get("lost"):
        status = SessionStatus.FAILED
    else:
        status = SessionStatus.ENDED
    return replace(
        session,
        status=status,
        ended_at=event.at,
        ended_certainty=event.certainty,
        end_reason=session.end_reason or str(event.data.get("reason", "")),
    )
