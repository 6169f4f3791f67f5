"""What was said, as text, WebVTT or CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.clock import rfc3339
from services.csv_rows import csv_row
from services.events import Kind
from services.exports.reading import events_of
from services.store.records import SessionRecord
from services.store.store import Store

_CUE_MOST: Final = timedelta(seconds=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    at: datetime
    to: datetime | None
    who: str
    text: str
    interrupted: bool


async def _said(store: Store, session_id: str) -> AsyncIterator[_Said]:
    async for event in events_of(store, session_id, Kind.MESSAGE):
        role = event.data.get("role")
        if role not in {"user", "assistant"}:
            continue
        metrics = event.data.get("metrics")
        metrics = metrics if isinstance(metrics, dict) else {}
        yield _Said(
            at=_when(metrics.get("started_speaking_at")) or event.at,
            to=_when(metrics.get("stopped_speaking_at")),
            who="Caller" if role == "user" else "Agent",
            text=str(event.data.get("text") or ""),
            interrupted=bool(event.data.get("interrupted")),
        )


def _when(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


async def as_text(store: Store, session: SessionRecord) -> AsyncIterator[str]:
    """A line a message."""
    yield f"{session.user_id or 'somebody'} with {session.agent_name or 'no agent'}, "
    yield f"{rfc3339(session.created_at)}\nSession {session.id}\n"
    async for said in _said(store, session.id):
        cut = " [interrupted]" if said.interrupted else ""
        words = " ".join(said.text.split())
        yield f"\n[{_clock(said.at - session.created_at)}] {said.who}: {words}{cut}\n"


async def as_vtt(store: Store, session: SessionRecord) -> AsyncIterator[str]:
    """A cue a message."""
    yield "WEBVTT\n"
    waiting: _Said | None = None
    async for said in _said(store, session.id):
        if waiting is not None:
            yield _cue(waiting, said.at, session.created_at)
        waiting = said
    if waiting is not None:
        yield _cue(waiting, None, session.created_at)


def _cue(said: _Said, before: datetime | None, zero: datetime) -> str:
    to = said.to or min(said.at + _CUE_MOST, before or said.at + _CUE_MOST)
    to = max(to, said.at + timedelta(milliseconds=200))
    words = " ".join(said.text.split())
    safe = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"\n{_clock(said.at - zero)} --> {_clock(to - zero)}\n<v {said.who}>{safe}\n"


async def as_csv(store: Store, session: SessionRecord) -> AsyncIterator[str]:
    """A row a message."""
    yield csv_row("at", "offset_s", "who", "text", "interrupted")
    async for said in _said(store, session.id):
        passed = f"{(said.at - session.created_at).total_seconds():.3f}"
        interrupted = "yes" if said.interrupted else ""
        yield csv_row(rfc3339(said.at), passed, said.who, said.text, interrupted)


def _clock(passed: timedelta) -> str:
    milliseconds = max(0, round(passed.total_seconds() * 1000))
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}"
