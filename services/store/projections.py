"""Sessions and visits folded from events: pure, and the same for any order of arrival.

LiveKit's webhooks keep no order across resources and may come twice, late or never.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.clock import rfc3339
from services.events import Event, Kind, Provenance, Source
from services.ids import DOCTOR_PREFIX, SessionId, new_session_id
from services.store.records import Origin, SessionRecord, SessionStatus, Visit

_SHOWS_LIFE = {Kind.ROOM_STARTED, Kind.PARTICIPANT_JOINED, Kind.TRACK_PUBLISHED}
_OPENS = _SHOWS_LIFE | {
    Kind.ROOM_FINISHED,
    Kind.PARTICIPANT_LEFT,
    Kind.PARTICIPANT_ABORTED,
    Kind.TRACK_UNPUBLISHED,
    Kind.SESSION_CREATED,
    Kind.SESSION_ENDING,
}
_OF_LIVEKIT = {Source.WEBHOOK, Source.POLL}
_RANK = (Provenance.OBSERVED, Provenance.INFERRED, Provenance.INCOMPLETE)  # best first


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What an event makes of its session (None: nothing to keep) and of one visit."""

    session: SessionRecord | None
    visit: Visit | None = None
    closes_visits: bool = False


def fold(session: SessionRecord | None, visit: Visit | None, event: Event) -> Folded:
    """The session and the visit after `event`. `visit` is the one of the event's participant."""
    if session is None:
        passing = event.room_name.startswith(DOCTOR_PREFIX)
        if event.kind not in _OPENS or not event.room_sid or passing:
            return Folded(session=None)
        session = _new_session(event)
    session = replace(
        session,
        last_event_at=max(session.last_event_at, event.at),
        room_sid=session.room_sid or event.room_sid,
    )
    if not session.identity:  # no SESSION_CREATED has told yet
        session = _began(session, event)
    session = _marked(session, event)
    if event.kind in _SHOWS_LIFE:
        session = _alive(session, event)
    return _folded(session, visit, event)


def _folded(session: SessionRecord, visit: Visit | None, event: Event) -> Folded:
    match event.kind:
        case Kind.SESSION_CREATED:
            return Folded(session=_created(session, event))
        case Kind.PARTICIPANT_JOINED:
            visit = _joined(session, visit, event)
            return Folded(session=_first_person(session, visit, event), visit=visit)
        case Kind.PARTICIPANT_LEFT | Kind.PARTICIPANT_ABORTED:
            return Folded(session=session, visit=_left(session.id, visit, event))
        case Kind.AGENT_DISPATCHED:
            dispatch_id = str(event.data.get("dispatch_id", ""))
            return Folded(session=replace(session, dispatch_id=dispatch_id))
        case Kind.SESSION_EXTENDED:
            return Folded(session=_extended(session, event))
        case Kind.SESSION_ENDING:
            return Folded(session=_ending(session, event))
        case Kind.ROOM_FINISHED:
            after = _ended(session, event)
            return Folded(session=after, closes_visits=not after.status.is_open)
        case _:
            return Folded(session=session)


def _new_session(event: Event) -> SessionRecord:
    """A session from the first that we hear of it; ours carry their id in the room's metadata."""
    session_id = event.session_id or mark_of(event).get("session_id")
    return SessionRecord(
        id=SessionId(session_id) if session_id else new_session_id(),
        room_name=event.room_name,
        room_sid=event.room_sid,
        origin=Origin.API if session_id else Origin.ADOPTED,
        created_at=event.at,
        created_certainty=_start_certainty(event),
        last_event_at=event.at,
    )


def _began(session: SessionRecord, event: Event) -> SessionRecord:
    """The start that we know best; among equals the earliest."""
    certainty = _start_certainty(event)
    known, told = _RANK.index(session.created_certainty), _RANK.index(certainty)
    if told > known or (told == known and event.at >= session.created_at):
        return session
    return replace(session, created_at=event.at, created_certainty=certainty)


def _start_certainty(event: Event) -> Provenance:
    return event.certainty if event.kind is Kind.ROOM_STARTED else Provenance.INCOMPLETE


def _marked(session: SessionRecord, event: Event) -> SessionRecord:
    """What the metadata of a room of ours says, where nothing better is known."""
    mark = mark_of(event)
    if not mark:
        return session
    return replace(
        session,
        agent_name=session.agent_name or str(mark.get("agent_id", "")),
        expires_at=session.expires_at or _moment(mark.get("expires_at")),
    )


def mark_of(event: Event) -> dict[str, Any]:
    """What we wrote into the room's metadata; only LiveKit tells what that holds."""
    mark = event.data.get("switchboard") if event.source in _OF_LIVEKIT else None
    return mark if isinstance(mark, dict) else {}


def _alive(session: SessionRecord, event: Event) -> SessionRecord:
    """Remember when the room was seen last; an end that we had concluded before was a mistake."""
    seen_at = _seen_at(event)
    before = _moment(session.data.get("seen_at"))
    if before is None or before < seen_at:
        session = replace(session, data={**session.data, "seen_at": rfc3339(seen_at)})
    if (
        session.ended_certainty is Provenance.INFERRED
        and session.ended_at is not None
        and seen_at > session.ended_at
        and not session.data.get("ending")
    ):
        return replace(
            session,
            status=SessionStatus.ACTIVE if session.started_at else SessionStatus.CREATED,
            room_sid=event.room_sid or session.room_sid,
            ended_at=None,
            ended_certainty=None,
            end_reason="",
        )
    return session


def _seen_at(event: Event) -> datetime:
    """A poll knows when something began, and that it still is when the poll was answered."""
    return event.received_at if event.source is Source.POLL else event.at


def _created(session: SessionRecord, event: Event) -> SessionRecord:
    facts = event.data
    expires_at = _moment(facts.get("expires_at"))
    if expires_at is None or "extended_at" in session.data:
        expires_at = session.expires_at
    return replace(
        session,
        agent_name=facts.get("agent_name", session.agent_name),
        user_id=facts.get("user_id", session.user_id),
        identity=facts.get("identity", session.identity),
        dispatch_id=facts.get("dispatch_id", session.dispatch_id),
        origin=Origin(facts.get("origin", session.origin)),
        expires_at=expires_at,
        created_at=event.at,
        created_certainty=Provenance.OBSERVED,
    )


def _extended(session: SessionRecord, event: Event) -> SessionRecord:
    """The latest extension holds."""
    before = _moment(session.data.get("extended_at"))
    if before is not None and before > event.at:
        return session
    return replace(
        session,
        expires_at=_moment(event.data.get("expires_at")),
        data={**session.data, "extended_at": rfc3339(event.at)},
    )


def _ending(session: SessionRecord, event: Event) -> SessionRecord:
    """Somebody asked for the end: the first who did says why."""
    before = _moment(session.data.get("ending_at"))
    if before is not None and before <= event.at:
        return session
    facts = {
        "ending": True,
        "ending_at": rfc3339(event.at),
        "expired": bool(event.data.get("expired")),
    }
    session = replace(
        session,
        end_reason=str(event.data.get("reason", "")) or session.end_reason,
        data={**session.data, **facts},
    )
    return session if session.status.is_open else replace(session, status=_final(session))


def _joined(session: SessionRecord, visit: Visit | None, event: Event) -> Visit:
    if visit is None:
        visit = _new_visit(session.id, event)
    if visit.joined_certainty is not Provenance.OBSERVED:
        visit = replace(visit, joined_at=event.at, joined_certainty=event.certainty)
    came_back = visit.left_certainty is Provenance.INFERRED and (
        visit.left_at is not None and visit.left_at < _seen_at(event)
    )
    if came_back and session.status.is_open:  # we had concluded that they left
        visit = replace(visit, left_at=None, left_certainty=None, leave_reason="")
    if visit.left_at is None and not session.status.is_open:
        left_at = max(event.at, session.ended_at or event.at)
        visit = replace(visit, left_at=left_at, left_certainty=Provenance.INFERRED)
    return visit


def _left(session_id: SessionId, visit: Visit | None, event: Event) -> Visit:
    if visit is None:
        visit = _new_visit(session_id, event)
    elif visit.left_certainty is Provenance.OBSERVED:
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
    return session


def _ended(session: SessionRecord, event: Event) -> SessionRecord:
    """The end that was observed first; else the last that we concluded."""
    if event.room_sid and event.room_sid != session.room_sid:
        return session  # a room that came back under the name; the session is in the other one
    observed = event.certainty is Provenance.OBSERVED
    if session.ended_at is not None:
        known = session.ended_certainty is Provenance.OBSERVED
        if known and (not observed or session.ended_at <= event.at):
            return session
        if not known and not observed and session.ended_at >= event.at:
            return session
    seen_at = _moment(session.data.get("seen_at"))
    if not observed and seen_at is not None and seen_at > event.at:
        return session  # it was seen after we had concluded that
    reason = str(event.data.get("reason", ""))
    session = replace(
        session,
        ended_at=event.at,
        ended_certainty=event.certainty,
        end_reason=(session.end_reason if session.data.get("ending") else "") or reason,
        data={**session.data, "lost": bool(event.data.get("lost"))},
    )
    return replace(session, status=_final(session))


def _final(session: SessionRecord) -> SessionStatus:
    if session.data.get("expired"):
        return SessionStatus.EXPIRED
    return SessionStatus.FAILED if session.data.get("lost") else SessionStatus.ENDED


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None
