"""What people think of a session: notes and verdicts, for other programs."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.deps import MAY_READ, Reviewer, SharedRuntime
from services.clock import rfc3339
from services.reviews.service import Note, Opinion, Score, Verdict

router = APIRouter(prefix="/voice/session", tags=["Reviews"])


class NoteIn(BaseModel):
    """A note about a moment; now, unless it is named."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    text: str = Field(min_length=1, max_length=4_000)
    pinned_at: AwareDatetime | None = None
    tags: list[str] = Field(default_factory=list, max_length=10)


class VerdictIn(BaseModel):
    """A verdict, with answers to the scorecard's questions."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    verdict: Verdict
    remark: str = Field(default="", max_length=4_000)
    scores: dict[str, Score] = Field(default_factory=dict)


class NoteOut(BaseModel):
    """A note that was written."""

    note_id: str
    pinned_at: str
    text: str
    tags: list[str]
    author: str
    at: str


class OpinionOut(BaseModel):
    """A verdict that was given."""

    verdict: Verdict
    remark: str
    scores: dict[str, Score]
    author: str
    at: str


class ReviewOut(BaseModel):
    """All of it: notes by their moments, verdicts newest first, what the scorecard asks."""

    notes: list[NoteOut]
    verdicts: list[OpinionOut]
    questions: list[str]


@router.get("/{session_id}/review", dependencies=[MAY_READ])
async def review(runtime: SharedRuntime, session_id: str) -> ReviewOut:
    """What was written of a session so far."""
    found = await runtime.acall(lambda: runtime.reviews.of(session_id))
    return ReviewOut(
        notes=[_note(note) for note in found.notes],
        verdicts=[_opinion(one) for one in found.opinions],
        questions=list(runtime.reviews.questions),
    )


@router.post("/{session_id}/notes", status_code=status.HTTP_201_CREATED)
async def add_note(
    runtime: SharedRuntime, session_id: str, body: NoteIn, caller: Reviewer
) -> dict[str, str]:
    """Write a note; gives its id."""
    pinned_at: datetime = body.pinned_at or runtime.now()
    note_id = await runtime.acall(
        lambda: runtime.reviews.add_note(
            session_id, pinned_at=pinned_at, text=body.text, tags=tuple(body.tags), actor=caller
        )
    )
    return {"note_id": note_id}


@router.delete("/{session_id}/notes/{note_id}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_note(
    runtime: SharedRuntime, session_id: str, note_id: str, caller: Reviewer
) -> None:
    """Take a note away."""
    reviews = runtime.reviews
    await runtime.acall(lambda: reviews.remove_note(session_id, note_id, actor=caller))


@router.post("/{session_id}/verdict", status_code=status.HTTP_204_NO_CONTENT)
async def judge(runtime: SharedRuntime, session_id: str, body: VerdictIn, caller: Reviewer) -> None:
    """Give a verdict; the newest counts."""
    await runtime.acall(
        lambda: runtime.reviews.judge(
            session_id, body.verdict, remark=body.remark, scores=body.scores, actor=caller
        )
    )


def _note(note: Note) -> NoteOut:
    return NoteOut(
        note_id=note.id,
        pinned_at=rfc3339(note.pinned_at),
        text=note.text,
        tags=list(note.tags),
        author=note.author,
        at=rfc3339(note.at),
    )


def _opinion(one: Opinion) -> OpinionOut:
    return OpinionOut(
        verdict=one.verdict,
        remark=one.remark,
        scores=dict(one.scores),
        author=one.author,
        at=rfc3339(one.at),
    )
