"""A session to take away: as JSON, its transcript as text, WebVTT or CSV, its timeline for Perfetto.

Each is written piece by piece, so that a long session needs no more memory than a short one.
docs/exports.md says what is in them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from services.clock import rfc3339
from services.events import Event, Kind
from services.jobs.feed import event_row
from services.store.records import SessionRecord
from services.store.store import PAGE_LIMIT, Store

SCHEMA: Final = "switchboard.session/1"
_CUE_MOST: Final = timedelta(seconds=8)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_LANES: Final = ("Caller", "Agent", "Nodes", "Tools", "Model", "Questions", "Operator", "Room")


class Format(StrEnum):
    """What a session can be written as."""

    JSON = "json"
    TEXT = "txt"
    VTT = "vtt"
    CSV = "csv"
    CHROME = "chrome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A file: its name (letters, digits, `-` and `.` alone), its media type, its text."""

    name: str
    media_type: str
    pieces: AsyncIterator[str]


_KINDS: Final = {
    Format.JSON: ("json", "application/json"),
    Format.TEXT: ("txt", "text/plain; charset=utf-8"),
    Format.VTT: ("vtt", "text/vtt; charset=utf-8"),
    Format.CSV: ("csv", "text/csv; charset=utf-8"),
    Format.CHROME: ("trace.json", "application/json"),
}


async def export(store: Store, session_id: str, wanted: Format) -> Export:
    """The session in that format. Raises NotFoundError."""
    session = await store.session(session_id)
    ending, media_type = _KINDS[wanted]
    writers: dict[Format, Callable[[Store, SessionRecord], AsyncIterator[str]]] = {
        Format.JSON: _json,
        Format.TEXT: _text,
        Format.VTT: _vtt,
        Format.CSV: _csv,
        Format.CHROME: _chrome,
    }
    return Export(
        name=f"{session.id}.{ending}",
        media_type=media_type,
        pieces=writers[wanted](store, session),
    )


async def _events(store: Store, session_id: str, *kinds: Kind) -> AsyncIterator[Event]:
    after: int | None = 0
    while after is not None:
        found = await store.events(session_id=session_id, after_seq=after, kinds=kinds)
        for one in found:
            yield one.event
        after = found[-1].seq if len(found) == PAGE_LIMIT else None


# -- the whole session


async def _json(store: Store, session: SessionRecord) -> AsyncIterator[str]:
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
    async for event in _events(store, session.id):
        row = {**event_row(event, whole=True), "certainty": event.certainty.value}
        yield f"{before}\n{json.dumps(row, ensure_ascii=False)}"
        before = ","
    yield "\n]}\n"


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None


# -- what was said


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    at: datetime
    to: datetime | None
    who: str
    text: str
    interrupted: bool


async def _said(store: Store, session_id: str) -> AsyncIterator[_Said]:
    async for event in _events(store, session_id, Kind.MESSAGE):
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


async def _text(store: Store, session: SessionRecord) -> AsyncIterator[str]:
    yield f"{session.user_id or 'somebody'} with {session.agent_name or 'no agent'}, "
    yield f"{rfc3339(session.created_at)}\nSession {session.id}\n"
    async for said in _said(store, session.id):
        cut = " [interrupted]" if said.interrupted else ""
        words = " ".join(said.text.split())
        yield f"\n[{_clock(said.at - session.created_at)}] {said.who}: {words}{cut}\n"


async def _vtt(store: Store, session: SessionRecord) -> AsyncIterator[str]:
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


async def _csv(store: Store, session: SessionRecord) -> AsyncIterator[str]:
    yield _row("at", "offset_s", "who", "text", "interrupted")
    async for said in _said(store, session.id):
        passed = f"{(said.at - session.created_at).total_seconds():.3f}"
        text = f"'{said.text}" if said.text.startswith(_FORMULA) else said.text
        yield _row(rfc3339(said.at), passed, said.who, text, "yes" if said.interrupted else "")


def _row(*cells: str) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _clock(passed: timedelta) -> str:
    milliseconds = max(0, round(passed.total_seconds() * 1000))
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}"


# -- the timeline


async def _chrome(store: Store, session: SessionRecord) -> AsyncIterator[str]:
    """Chrome's trace format: complete events (`X`), instants (`i`), a thread a lane; times in us."""
    yield '{"displayTimeUnit": "ms", "traceEvents": ['
    names: list[dict[str, Any]] = [_meta("process_name", 0, session.id)]
    names += [_meta("thread_name", number, lane) for number, lane in enumerate(_LANES, start=1)]
    yield ",\n".join(json.dumps(name) for name in names)
    spans = _Spans(session.created_at)
    last = session.created_at
    async for event in _events(store, session.id):
        last = max(last, event.at)
        for traced in spans.take(event):
            yield f",\n{json.dumps(traced, ensure_ascii=False)}"
    for traced in spans.rest(session.ended_at or last):
        yield f",\n{json.dumps(traced, ensure_ascii=False)}"
    yield "\n]}\n"


def _meta(name: str, tid: int, value: str) -> dict[str, Any]:
    return {"ph": "M", "pid": 1, "tid": tid, "name": name, "args": {"name": value}}


_BEGINS: Final = {
    Kind.NODE_STARTED: (("run", "task"), "Nodes", "node"),
    Kind.TOOL_STARTED: (("call",), "Tools", "tool"),
    Kind.INTERRUPT_RAISED: (("interrupt_id",), "Questions", "node"),
}
_ENDS: Final = {
    Kind.NODE_FINISHED: Kind.NODE_STARTED,
    Kind.TOOL_FINISHED: Kind.TOOL_STARTED,
    Kind.INTERRUPT_RESUMED: Kind.INTERRUPT_RAISED,
}
_SPEAKS: Final = {Kind.AGENT_STATE: "Agent", Kind.USER_STATE: "Caller"}
_MARKS: Final = {
    Kind.COMMAND_SENT: "Operator",
    Kind.OPERATOR_ACTION: "Operator",
    Kind.PARTICIPANT_JOINED: "Room",
    Kind.PARTICIPANT_LEFT: "Room",
    Kind.ROOM_STARTED: "Room",
    Kind.ROOM_FINISHED: "Room",
    Kind.JOB_CONNECTED: "Room",
    Kind.JOB_LEFT: "Room",
}


def _key(lane: str, data: dict[str, Any], fields: tuple[str, ...]) -> str:
    return "/".join([lane, *(str(data.get(field)) for field in fields)])


class _Spans:
    """Pairs beginnings with ends."""

    def __init__(self, zero: datetime) -> None:
        self._zero = zero
        self._open: dict[str, tuple[datetime, str, str]] = {}  # since, lane, name

    def take(self, event: Event) -> list[dict[str, Any]]:
        """What the event ends, or is."""
        kind, data, at = event.kind, event.data, event.at
        if (begins := _BEGINS.get(kind)) is not None:
            fields, lane, name = begins
            self._open[_key(lane, data, fields)] = (at, lane, str(data.get(name) or name))
            return []
        if (begun := _ENDS.get(kind)) is not None:
            fields, lane, _ = _BEGINS[begun]
            return self._end(_key(lane, data, fields), at, error=data.get("error"))
        if (lane := _SPEAKS.get(kind, "")) != "":
            return self._speaks(lane, data, at)
        if kind is Kind.MODEL_FINISHED:
            took = data.get("ms")
            took_ms = float(took) if isinstance(took, int | float) else 0.0
            since = at - timedelta(milliseconds=took_ms)
            return [self._span(since, at, "Model", str(data.get("model") or "model"))]
        if (lane := _MARKS.get(kind, "")) != "":
            said = str(data.get("action") or f"{kind.value} {event.identity}".strip())
            return [self._mark(at, lane, said)]
        return []

    def rest(self, at: datetime) -> list[dict[str, Any]]:
        """What never ended, until then."""
        return [traced for key in list(self._open) for traced in self._end(key, at)]

    def _end(self, key: str, at: datetime, *, error: object = None) -> list[dict[str, Any]]:
        found = self._open.pop(key, None)
        if found is None:
            return []
        since, lane, name = found
        return [self._span(since, at, lane, name, error=error)]

    def _speaks(self, lane: str, data: dict[str, Any], at: datetime) -> list[dict[str, Any]]:
        if data.get("new") == "speaking":
            self._open.setdefault(lane, (at, lane, "speaks"))
            return []
        return self._end(lane, at)

    def _span(
        self, since: datetime, at: datetime, lane: str, name: str, *, error: object = None
    ) -> dict[str, Any]:
        return {
            "ph": "X",
            "pid": 1,
            "tid": _LANES.index(lane) + 1,
            "name": name,
            "ts": self._us(since),
            "dur": max(0, self._us(at) - self._us(since)),
            "args": {"error": str(error)} if error else {},
        }

    def _mark(self, at: datetime, lane: str, name: str) -> dict[str, Any]:
        tid = _LANES.index(lane) + 1
        return {"ph": "i", "s": "t", "pid": 1, "tid": tid, "name": name, "ts": self._us(at)}

    def _us(self, at: datetime) -> int:
        return max(0, round((at - self._zero).total_seconds() * 1e6))
