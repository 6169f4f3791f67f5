"""What sessions are found by, kept up to the events: figures, tags, the words that were said.

Runs in the events' transaction, after sessions and turns are written. Most events of an agent
change nothing here and cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from services.events import Event, Kind, Provenance
from services.store import tables as t
from services.store.agent_records import InterruptStatus
from services.store.records import SessionRecord
from services.store.rows import insert_pair_new, upsert

_ERRORS: Final = {Kind.RUN_FAILED, Kind.AGENT_ERROR, Kind.SESSION_FAILED, Kind.REDISPATCH_EXHAUSTED}
_ASKS: Final = {
    Kind.INTERRUPT_RAISED,
    Kind.INTERRUPT_RESUMED,
    Kind.RUN_FINISHED,
    Kind.COMMAND_COMPLETED,
    Kind.ROOM_FINISHED,
}
_SPEAK: Final = {"user", "assistant"}
_NOTES: Final = {Kind.NOTE_ADDED, Kind.NOTE_REMOVED}
_TAGS: Final = {*_NOTES, Kind.TAGGED}
_WORST_FIRST: Final = (Provenance.INCOMPLETE, Provenance.INFERRED, Provenance.OBSERVED)
_TEXT_MOST: Final = 20_000  # characters of one message that are searched
_TAG_MOST: Final = 40
_NAME_MOST: Final = 200
_VERSION_MOST: Final = 80


def keep_facts(
    connection: Connection,
    before: Mapping[str, SessionRecord],
    after: Mapping[str, SessionRecord],
    events: Iterable[Event],
) -> None:
    """Bring `found`, `tags` and `texts` up to `after` and to `events`, new ones with session ids.

    `before`: the sessions as they were; one that is missing there is new.
    """
    facts = _Facts(connection)
    for session_id, session in after.items():
        facts.session(before.get(session_id), session)
    for event in events:
        if event.session_id in after:
            facts.event(event.session_id or "", event)
    facts.save()


class _Facts:
    """One batch: what it changes."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self._changes: dict[str, dict[str, Any]] = {}
        self._said: set[str] = set()
        self._asked: set[str] = set()
        self._noted: set[str] = set()
        self._failed: dict[str, int] = {}
        self._texts: list[dict[str, Any]] = []

    def session(self, was: SessionRecord | None, session: SessionRecord) -> None:
        """What the session's own row tells."""
        now = _base(session)
        if was is None:
            new = insert_pair_new(self._db.dialect.name, t.found)
            if self._db.execute(new, {"session_id": session.id, **now}).rowcount:
                return
        elif _base(was) == now:
            return
        self._changes[session.id] = now

    def event(self, session_id: str, event: Event) -> None:
        """What is to be looked at anew because of it."""
        if event.kind in _ASKS:
            self._asked.add(session_id)
        if event.kind in _ERRORS and not event.data.get("cancelled"):  # a caller who broke in
            self._failed[session_id] = self._failed.get(session_id, 0) + 1
        elif event.kind is Kind.MESSAGE and event.data.get("role") in _SPEAK:
            self._said.add(session_id)
            self._texts += _text(event, event.id)
        elif event.kind in _NOTES:
            self._noted.add(session_id)
            self._texts += _noted(self._db, event)
        elif event.kind is Kind.TAGGED:
            self._noted.add(session_id)
        elif event.kind is Kind.ASSIGNED:
            self._change(session_id, {"assignee": str(event.data.get("to", ""))[:_NAME_MOST]})
        elif event.kind is Kind.JOB_STARTED:
            if (version := _version(event)) is not None:
                self._change(session_id, {"version": version})
        elif event.kind is Kind.REVIEWED:
            verdict = str(event.data.get("verdict", ""))[:16]
            self._change(session_id, {"verdict": verdict})
            review = {
                "session_id": session_id,
                "author": event.actor[:_NAME_MOST],
                "at": event.at,
                "verdict": verdict,
                "scores": event.data.get("scores") or {},
            }
            self._db.execute(upsert(self._db.dialect.name, t.reviews), [review])

    def save(self) -> None:
        """Write it."""
        if self._texts:
            self._db.execute(insert(t.texts), self._texts)
        for session_id, figures in _turns(self._db, self._said).items():
            self._change(session_id, figures)
        for session_id in self._asked:
            self._change(session_id, {"asks": _waiting(self._db, session_id)})
        for session_id, count in self._failed.items():
            self._change(session_id, {"errors": t.found.c.errors + count})
        for session_id, values in self._changes.items():
            self._db.execute(
                update(t.found).where(t.found.c.session_id == session_id).values(**values)
            )
        for session_id in self._noted:
            _tag(self._db, session_id)

    def _change(self, session_id: str, values: Mapping[str, Any]) -> None:
        self._changes.setdefault(session_id, {}).update(values)


def _base(session: SessionRecord) -> dict[str, Any]:
    known = {session.created_certainty, session.ended_certainty}
    began = session.started_at or session.created_at
    ended = session.ended_at
    return {
        "created_at": session.created_at,
        "status": session.status,
        "agent_name": session.agent_name,
        "user_id": session.user_id,
        "room_name": session.room_name,
        "evidence": next((c for c in _WORST_FIRST if c in known), Provenance.OBSERVED),
        "duration_s": None if ended is None else max(0.0, (ended - began).total_seconds()),
    }


def _version(event: Event) -> str | None:
    """What the agent says of itself (`SWITCHBOARD_AGENT_VERSION`); None: nothing."""
    told = event.data.get("versions")
    version = told.get("agent") if isinstance(told, dict) else None
    return version[:_VERSION_MOST] if isinstance(version, str) and version else None


def _turns(connection: Connection, session_ids: set[str]) -> dict[str, dict[str, Any]]:
    if not session_ids:
        return {}
    columns = t.turns.c
    rows = connection.execute(
        select(
            columns.session_id, columns.user_text != "", columns.interrupted, columns.answer_ms
        ).where(columns.session_id.in_(session_ids))
    )
    of: dict[str, list[tuple[bool, int, float | None]]] = {}
    for session_id, asked, interrupted, answer_ms in rows:
        of.setdefault(session_id, []).append((bool(asked), interrupted, answer_ms))
    figures = {}
    for session_id, turns in of.items():
        answers = [answer for _, _, answer in turns if answer is not None]
        figures[session_id] = {
            "turns": sum(asked for asked, _, _ in turns),
            "interruptions": sum(bool(interrupted) for _, interrupted, _ in turns),
            "answer_median_ms": median(answers) if answers else None,
            "answer_worst_ms": max(answers, default=None),
        }
    return figures


def _waiting(connection: Connection, session_id: str) -> int:
    return int(
        connection.execute(
            select(func.count())
            .select_from(t.interrupts)
            .where(
                t.interrupts.c.session_id == session_id,
                t.interrupts.c.status.in_((InterruptStatus.PENDING, InterruptStatus.ANSWERED)),
            )
        ).scalar_one()
    )


def _text(event: Event, source: str) -> list[dict[str, Any]]:
    text = event.data.get("text")
    if not isinstance(text, str) or not text.strip():
        return []
    return [{"session_id": event.session_id, "source": source, "text": text[:_TEXT_MOST]}]


def _noted(connection: Connection, event: Event) -> list[dict[str, Any]]:
    note_id = str(event.data.get("note_id", ""))[:80]
    if event.kind is Kind.NOTE_ADDED:
        return _text(event, note_id)
    connection.execute(
        delete(t.texts).where(t.texts.c.session_id == event.session_id, t.texts.c.source == note_id)
    )
    return []


def _tag(connection: Connection, session_id: str) -> None:
    """The tags of the notes that stand, and those of the session itself."""
    columns = t.events.c
    rows = connection.execute(
        select(columns.kind, columns.data)
        .where(columns.session_id == session_id, columns.kind.in_(_TAGS))
        .order_by(columns.seq)
    )
    notes: dict[str, Any] = {}
    own: set[str] = set()
    for kind, data in rows:
        note_id = str(data.get("note_id", ""))
        if kind == Kind.TAGGED:
            own = (own | set(data.get("add") or ())) - set(data.get("remove") or ())
        elif kind == Kind.NOTE_ADDED:
            notes[note_id] = data.get("tags") or ()
        else:
            notes.pop(note_id, None)
    connection.execute(delete(t.tags).where(t.tags.c.session_id == session_id))
    marks = {str(tag)[:_TAG_MOST] for tags in (*notes.values(), own) for tag in tags}
    if marks:
        rows_ = [{"session_id": session_id, "tag": mark} for mark in sorted(marks)]
        connection.execute(insert_pair_new(connection.dialect.name, t.tags), rows_)
