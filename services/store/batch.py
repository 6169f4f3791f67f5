"""One commit: the events of a batch, and the sessions and visits folded from them.

Not async: SQLite runs it on a thread of its own with one hop, PostgreSQL inside `run_sync`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, and_, case, func, or_, select, update

from services.events import Event, Kind, Provenance, Source
from services.ids import session_id_in
from services.store import tables as t
from services.store.agent_projections import apply_agent_events
from services.store.projections import fold, mark_of
from services.store.records import SessionRecord, Visit
from services.store.rows import (
    event_row,
    insert_new,
    session_record,
    session_row,
    upsert,
    visit_record,
    visit_row,
)
from services.store.session_index import keep_facts

_OF_AGENTS: Final = {Source.AGENT, Source.OBSERVER, Source.SYSTEM}
_OVER: Final = Kind.ROOM_FINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedEvent:
    """What a commit made of one event. `fresh` is False for one that was there already."""

    event: Event
    fresh: bool
    session: SessionRecord | None
    replayed: bool = False  # it happened before what is shown already: no live view shows it


def write_batch(connection: Connection, events: Sequence[Event]) -> tuple[CommittedEvent, ...]:
    """Write the events and what they make of sessions, inside the connection's transaction."""
    folding = _Folding.load(connection, events)
    for event in events:
        folding.take(event)
    fresh = folding.save(connection)
    written: list[CommittedEvent] = []
    for event, session in zip(events, folding.by_event, strict=True):
        written.append(CommittedEvent(event=event, fresh=event.id in fresh, session=session))
        fresh.discard(event.id)  # the same once more in this batch
    return tuple(written)


class _Folding:
    """One batch: the sessions and visits that it touches, before and after."""

    def __init__(self, known: set[str], sessions: list[SessionRecord], visits: list[Visit]) -> None:
        self._known = known  # ids of events that are written already
        self._by_id: dict[str, SessionRecord] = {session.id: session for session in sessions}
        self._before = dict(self._by_id)
        self._by_sid: dict[str, str] = {session.room_sid: session.id for session in sessions}
        self._visits: dict[tuple[str, str], Visit] = {
            (visit.session_id, visit.participant_sid): visit for visit in visits
        }
        self._changed: dict[str, None] = {}
        self._changed_visits: dict[tuple[str, str], None] = {}
        self._closing: dict[str, Event] = {}
        self._joined: set[str] = set()
        self._events: list[tuple[Event, str | None]] = []
        self.by_event: list[SessionRecord | None] = []

    @classmethod
    def load(cls, connection: Connection, events: Sequence[Event]) -> _Folding:
        written = select(t.events.c.id).where(t.events.c.id.in_({event.id for event in events}))
        known = set(connection.execute(written).scalars())
        ids = {_claimed_id(event) for event in events} - {None}
        sids = {event.room_sid for event in events} - {""}
        rows = connection.execute(
            select(t.sessions).where(or_(t.sessions.c.id.in_(ids), t.sessions.c.room_sid.in_(sids)))
        )
        sessions = [session_record(row) for row in rows.mappings()]
        participant_sids = {str(event.data.get("participant_sid", "")) for event in events} - {""}
        visits: list[Visit] = []
        if participant_sids and sessions:
            found = connection.execute(
                select(t.visits).where(
                    and_(
                        t.visits.c.session_id.in_([session.id for session in sessions]),
                        t.visits.c.participant_sid.in_(participant_sids),
                    )
                )
            )
            visits = [visit_record(row) for row in found.mappings()]
        return cls(known, sessions, visits)

    def take(self, event: Event) -> None:
        """Fold one event; one that is written already changes nothing."""
        session = self._session_of(event)
        if event.id in self._known:
            self.by_event.append(session)
            return
        self._known.add(event.id)
        visit = None
        participant_sid = str(event.data.get("participant_sid", ""))
        if session is not None:
            visit = self._visits.get((session.id, participant_sid))
        folded = fold(session, visit, self._without_forged_mark(event))
        self.by_event.append(folded.session)
        self._events.append((event, folded.session.id if folded.session else event.session_id))
        if folded.session is None:
            return
        after = folded.session
        self._by_id[after.id] = after
        if after.room_sid:
            self._by_sid[after.room_sid] = after.id
        self._changed[after.id] = None
        if folded.visit is not None and participant_sid:
            key = (after.id, participant_sid)
            self._visits[key] = folded.visit
            self._changed_visits[key] = None
            if event.kind is Kind.PARTICIPANT_JOINED:
                self._joined.add(after.id)
        if folded.closes_visits:
            self._closing[after.id] = event

    def _session_of(self, event: Event) -> SessionRecord | None:
        """By what the event claims, if it is about that session's room; else by the room's id."""
        claimed = self._by_id.get(_claimed_id(event) or "")
        if claimed is not None and (event.session_id or claimed.room_name == event.room_name):
            return claimed
        return self._by_id.get(self._by_sid.get(event.room_sid, "")) if event.room_sid else None

    def _without_forged_mark(self, event: Event) -> Event:
        """Whoever makes a room writes its metadata, and may have copied another room's."""
        mark = mark_of(event)
        owner = self._by_id.get(str(mark.get("session_id", "")))
        if owner is None or owner.room_name == event.room_name:
            return event
        return replace(event, data={k: v for k, v in event.data.items() if k != "switchboard"})

    def save(self, connection: Connection) -> set[str]:
        """Write all of it; gives the ids of the events that were not there before."""
        dialect = connection.dialect.name
        rows = [event_row(event, session_id) for event, session_id in self._events]
        if not rows:
            return set()
        kept = connection.execute(insert_new(dialect, t.events, "id"), rows)
        fresh = set(kept.scalars())
        apply_agent_events(
            connection,
            [
                replace(event, session_id=session_id)
                for event, session_id in self._events
                if event.id in fresh and (event.source in _OF_AGENTS or event.kind is _OVER)
            ],
        )
        if self._changed:
            sessions = [session_row(self._by_id[key]) for key in self._changed]
            connection.execute(upsert(dialect, t.sessions), sessions)
        if self._changed_visits:
            visits = [visit_row(self._visits[key]) for key in self._changed_visits]
            connection.execute(upsert(dialect, t.visits), visits)
        for session_id, event in self._closing.items():
            connection.execute(
                update(t.visits)
                .where(t.visits.c.session_id == session_id, t.visits.c.left_at.is_(None))
                .values(left_at=event.at, left_certainty=Provenance.INFERRED)
            )
        for session_id in self._joined:
            _raise_peak(connection, session_id)
        keep_facts(
            connection,
            self._before,
            {key: self._by_id[key] for key in self._changed},
            [
                replace(event, session_id=session_id)
                for event, session_id in self._events
                if event.id in fresh
            ],
        )
        return fresh


def _raise_peak(connection: Connection, session_id: str) -> None:
    inside = (
        select(func.count())
        .where(
            t.visits.c.session_id == session_id,
            t.visits.c.left_at.is_(None),
            t.visits.c.hidden == 0,
            t.visits.c.kind.not_in(("agent", "egress")),
        )
        .scalar_subquery()
    )
    peak: Any = t.sessions.c.people_peak
    connection.execute(
        update(t.sessions)
        .where(t.sessions.c.id == session_id)
        .values(people_peak=case((peak < inside, inside), else_=peak))
    )


def _claimed_id(event: Event) -> str | None:
    """The session that the event says it belongs to: by id, by metadata, by its room's name."""
    if event.session_id:
        return event.session_id
    ours = mark_of(event)
    if ours.get("session_id"):
        return str(ours["session_id"])
    return session_id_in(event.room_name)
