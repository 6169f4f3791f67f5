"""What people think of a session: notes pinned to moments, a scorecard, a verdict.

All of it is events, like everything that happens in a session: who and when is in each, and
nothing is overwritten. A removed note is one whose removal was written down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from services.access.audit_log import AuditLog
from services.access.authorization import guarded
from services.access.authorization import note as written_down
from services.access.permissions import Caller, Permission
from services.clock import Now, rfc3339
from services.errors import ConfigError, InvalidInputError, NotFoundError
from services.events import Event, Kind, Source
from services.ids import new_event_id
from services.rooms.watcher import Rooms
from services.store.records import SessionRecord
from services.store.store import REVIEW_KINDS, Store

Verdict = Literal["pass", "fail", "unsure"]
Score = Literal["yes", "no", "not applicable"]

VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
SCORES: Final[tuple[Score, ...]] = get_args(Score)
TEXT_MOST: Final = 4_000
TAGS_MOST: Final = 10
TAG_MOST: Final = 40
TAGGED_MOST: Final = 200
NOTES_MOST: Final = 500
QUESTIONS_MOST: Final = 30
_QUESTIONS: Final = (
    "Did the agent understand the caller?",
    "Was the outcome correct?",
    "Was it fast enough?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One note. `pinned_at`: the moment of the session that it is about."""

    id: str
    pinned_at: datetime
    text: str
    tags: tuple[str, ...]
    author: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What somebody made of the session: the newest counts."""

    verdict: Verdict
    remark: str
    scores: Mapping[str, Score]
    author: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """All of a session's notes, in the order of their moments, and its opinions, newest first."""

    notes: tuple[Note, ...] = ()
    opinions: tuple[Opinion, ...] = field(default=())


class Reviews:
    """Use cases of reviewers; on the runtime's loop."""

    def __init__(
        self,
        store: Store,
        rooms: Rooms,
        questions: tuple[str, ...],
        audit: AuditLog,
        *,
        now: Now,
    ) -> None:
        self.audit = audit
        self._store = store
        self._rooms = rooms
        self._now = now
        self.questions = questions

    async def of(self, session_id: str) -> Review:
        """What was written of a session so far. Raises NotFoundError."""
        await self._store.session(session_id)
        notes: dict[str, Note] = {}
        opinions: list[Opinion] = []
        for stored in await self._store.events(
            session_id=session_id, kinds=REVIEW_KINDS, limit=2 * NOTES_MOST
        ):
            event = stored.event
            match event.kind:
                case Kind.NOTE_ADDED:
                    note = _note(event)
                    notes[note.id] = note
                case Kind.NOTE_REMOVED:
                    notes.pop(str(event.data.get("note_id")), None)
                case Kind.REVIEWED:
                    opinions.append(_opinion(event))
                case _:
                    continue  # the session's own tags: its row has them
        ordered = sorted(notes.values(), key=lambda note: (note.pinned_at, note.at))
        return Review(notes=tuple(ordered), opinions=tuple(reversed(opinions)))

    @guarded(Permission.REVIEW, target="session_id")
    async def add_note(
        self,
        session_id: str,
        *,
        pinned_at: datetime,
        text: str,
        tags: tuple[str, ...] = (),
        actor: Caller,
    ) -> str:
        """Write a note about a moment; gives its id.

        Raises:
            InvalidInputError: it is empty or too long, or there are too many.
            NotFoundError: no such session.
        """
        session = await self._store.session(session_id)
        text = text.strip()
        if not text:
            raise InvalidInputError(
                "The note is empty.", hint="Write something first.", field="text"
            )
        if len(text) > TEXT_MOST:
            raise InvalidInputError(
                f"A note has at most {TEXT_MOST:,} characters.", hint="Shorten it.", field="text"
            )
        clean = _clean_tags(tags)
        if pinned_at.tzinfo is None:
            raise InvalidInputError("The moment has no time zone.", field="pinned_at")
        if len((await self.of(session_id)).notes) >= NOTES_MOST:
            raise InvalidInputError(f"A session has at most {NOTES_MOST} notes.")
        note = Note(
            id=new_event_id().replace("evt_", "note_"),
            pinned_at=pinned_at,
            text=text,
            tags=clean,
            author=actor.name,
            at=self._now(),
        )
        written_down(note=note.id)
        await self._write(session, Kind.NOTE_ADDED, _data_of(note), actor)
        return note.id

    @guarded(Permission.REVIEW, target="session_id")
    async def remove_note(self, session_id: str, note_id: str, *, actor: Caller) -> Note:
        """Take a note away; gives it, so that it can be put back.

        Raises:
            NotFoundError: there is none of that id.
        """
        session = await self._store.session(session_id)
        for note in (await self.of(session_id)).notes:
            if note.id == note_id:
                written_down(note=note_id, before=note.text)
                await self._write(session, Kind.NOTE_REMOVED, {"note_id": note_id}, actor)
                return note
        raise NotFoundError("Note not found.", hint="It may already be removed.")

    @guarded(Permission.REVIEW, target="session_id")
    async def put_back(self, session_id: str, note: Note, *, actor: Caller) -> None:
        """Write a note that was taken away once more, as its author's. Raises NotFoundError."""
        session = await self._store.session(session_id)
        written_down(note=note.id, after=note.text)
        await self._write(session, Kind.NOTE_ADDED, _data_of(note), actor, author=note.author)

    @guarded(Permission.REVIEW, target="session_ids")
    async def tag(
        self,
        session_ids: Sequence[str],
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        actor: Caller,
    ) -> None:
        """Give sessions tags, or take away those that were given so; those of notes stay.

        Raises:
            InvalidInputError: no tag, or too many, or too many sessions at once.
            NotFoundError: one of the sessions is not there; none is tagged.
        """
        given, taken = _clean_tags(add), _clean_tags(remove)
        if not given and not taken:
            raise InvalidInputError("No tag given.", hint="Write one.", field="tags")
        if len(session_ids) > TAGGED_MOST:
            raise InvalidInputError(
                f"Tag at most {TAGGED_MOST} sessions at a time.", hint="Select fewer sessions."
            )
        written_down(after={"add": given, "remove": taken})
        sessions = [await self._store.session(session_id) for session_id in session_ids]
        for session in sessions:
            data = {"add": list(given), "remove": list(taken)}
            await self._write(session, Kind.TAGGED, data, actor)

    @guarded(Permission.REVIEW, target="session_id")
    async def judge(
        self,
        session_id: str,
        verdict: Verdict,
        *,
        remark: str = "",
        scores: Mapping[str, Score] | None = None,
        actor: Caller,
    ) -> None:
        """Give a verdict, with the answers to the scorecard's questions.

        Raises:
            InvalidInputError: the remark is too long, or a question is not on the scorecard.
            NotFoundError: no such session.
        """
        session = await self._store.session(session_id)
        if len(remark) > TEXT_MOST:
            raise InvalidInputError(
                f"A comment has at most {TEXT_MOST:,} characters.", field="remark"
            )
        given = dict(scores or {})
        if unknown := [question for question in given if question not in self.questions]:
            raise InvalidInputError(
                f"Unknown scorecard question: {unknown[0]!r}.",
                hint="See SWITCHBOARD_REVIEW_RUBRIC_FILE for the questions.",
                field="scores",
            )
        data = {"verdict": verdict, "remark": remark.strip(), "scores": given}
        written_down(after=data)
        await self._write(session, Kind.REVIEWED, data, actor)

    async def _write(
        self,
        session: SessionRecord,
        kind: Kind,
        data: dict[str, Any],
        actor: Caller,
        *,
        author: str | None = None,
    ) -> None:
        now = self._now()
        await self._rooms.take(
            Event(
                kind=kind,
                at=now,
                received_at=now,
                source=Source.OPERATOR,
                session_id=session.id,
                room_name=session.room_name,
                room_sid=session.room_sid,
                actor=author or actor.name,
                data=data,
            )
        )


def _clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    clean = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(clean) > TAGS_MOST or any(len(tag) > TAG_MOST for tag in clean):
        raise InvalidInputError(
            f"At most {TAGS_MOST} tags with at most {TAG_MOST} characters each.",
            hint="Shorten or remove tags.",
            field="tags",
        )
    return clean


def questions_of(file: Path | None) -> tuple[str, ...]:
    """The scorecard's questions: those of the file, one a line, or three of our own.

    Raises:
        ConfigError: the file cannot be read, or asks nothing or too much.
    """
    if file is None:
        return _QUESTIONS
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"Cannot read the file in SWITCHBOARD_REVIEW_RUBRIC_FILE: {exc}",
            hint="Set it to a text file with one question per line.",
        ) from None
    asked = tuple(dict.fromkeys(line.strip()[:200] for line in lines if line.strip()))
    if not 0 < len(asked) <= QUESTIONS_MOST:
        raise ConfigError(
            f"SWITCHBOARD_REVIEW_RUBRIC_FILE has {len(asked)} questions.",
            hint=f"Use 1 to {QUESTIONS_MOST} questions, one per line.",
        )
    return asked


def _data_of(note: Note) -> dict[str, Any]:
    return {
        "note_id": note.id,
        "pinned_at": rfc3339(note.pinned_at),
        "text": note.text,
        "tags": list(note.tags),
    }


def _note(event: Event) -> Note:
    data = event.data
    tags = data.get("tags")
    return Note(
        id=str(data.get("note_id")),
        pinned_at=datetime.fromisoformat(str(data.get("pinned_at"))),
        text=str(data.get("text") or ""),
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        author=event.actor,
        at=event.at,
    )


def _opinion(event: Event) -> Opinion:
    data = event.data
    unsure: Verdict = "unsure"
    verdict = next((one for one in VERDICTS if one == data.get("verdict")), unsure)
    scores = data.get("scores")
    return Opinion(
        verdict=verdict,
        remark=str(data.get("remark") or ""),
        scores=scores if isinstance(scores, dict) else {},
        author=event.actor,
        at=event.at,
    )
