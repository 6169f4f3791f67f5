"""What a job tells, made fit to be kept: an `Event` of ours from its record. Pure.

Whoever holds the secret may send anything that is JSON. What they may send, and how much of it, is
declared in `switchboard_recorder.events`; a field that does not fit is cut, clamped or left out, and
`altered` in the event's data says which. One bad event never holds up those behind it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from services.clock import rfc3339
from services.events import Event, Kind, Source
from services.ids import SessionId
from switchboard_recorder.events import (
    DEPTH,
    EVENT_BYTES,
    FUTURE,
    PAST,
    PAYLOADS,
    EventKind,
    Job,
    Shape,
    object_shape,
)
from switchboard_recorder.protocol import Hello, Record

ALTERED: Final = "altered"
_ALTERED_MOST: Final = 20
_SHOWN: Final = 80  # characters of a value that was not taken
_KEY: Final = 200
_UNKNOWN_MOST: Final = 100  # fields of an object that we do not know
_INT64: Final = 2**63

_SHAPES: Final = {Kind(kind.value): object_shape(cls) for kind, cls in PAYLOADS.items()}
FROM_AGENTS: Final = frozenset(_SHAPES)
"""What a recorder may send: nothing else tells of an agent, all else is ours or LiveKit's to tell."""


def event_of(
    hello: Hello, record: Record, *, session_id: SessionId, room_sid: str, received_at: datetime
) -> Event:
    """The event of a record; its id is the same whenever the record is sent again."""
    kind = _theirs(record.kind)
    sent = record.data
    if kind is Kind.UNKNOWN_AGENT_EVENT and record.kind != EventKind.OTHER:
        sent = {"kind": record.kind, "data": record.data}
    altered: dict[str, str] = {}
    at = record.at
    if not received_at - PAST <= at <= received_at + FUTURE:
        at, altered["at"] = received_at, rfc3339(record.at)
    if kind is Kind.MESSAGE:
        sent = {**sent, "agent_name": hello.agent_name}
    return Event(
        kind=kind,
        at=at,
        received_at=received_at,
        source=Source.AGENT,
        id=f"{hello.stream_id}:{record.seq}",
        session_id=session_id,
        room_name=hello.room_name,
        room_sid=room_sid,
        identity=hello.identity,
        data=payload(kind, sent, altered),
    )


def payload(
    kind: Kind, sent: Mapping[str, Any], altered: dict[str, str] | None = None
) -> dict[str, Any]:
    """What was sent of an event that agents may send, within its declared bounds.

    `altered` gets what had to be changed: where, and how it came. It is in the data, too.
    """
    reader = _Reader({} if altered is None else altered)
    taken = reader.fields(_SHAPES[kind], sent, "")
    taken.pop(ALTERED, None)  # ours to tell
    data = reader.within_bytes(taken)
    return {**data, ALTERED: reader.altered} if reader.altered else data


def gap_for(event: Event, reason: str) -> Event:
    """What is kept in place of an event that the database will not take."""
    return Event(
        kind=Kind.EVENTS_DROPPED,
        at=event.received_at,
        received_at=event.received_at,
        source=event.source,
        id=event.id,
        session_id=event.session_id,
        room_name=event.room_name,
        room_sid=event.room_sid,
        identity=event.identity,
        data={"count": 1, "reason": reason, "kind": event.kind.value},
    )


def facts_of(hello: Hello) -> dict[str, Any]:
    """What is kept of a hello, each no longer than its column."""
    shape = object_shape(Job)
    return _Reader({}).fields(shape, {name: getattr(hello, name) for name in shape.fields}, "")


def plain(value: Any, depth: int = DEPTH) -> Any:
    """The same JSON value, no deeper than `depth`, with numbers that a database can take.

    None for NaN, infinity (no JSON) and integers beyond 64 bits.
    """
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else None
    if depth == 0:
        return "…"
    if isinstance(value, dict):
        return {str(key)[:_KEY]: plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth - 1) for item in value]
    return type(value).__name__


def _theirs(word: str) -> Kind:
    try:
        kind = Kind(word)
    except ValueError:
        return Kind.UNKNOWN_AGENT_EVENT
    return kind if kind in FROM_AGENTS else Kind.UNKNOWN_AGENT_EVENT


# -- by their shape

_LEFT_OUT: Final = object()
_ANY: Final = Shape(type="json")


class _Reader:
    """Reads one event's values within their bounds, and keeps what it had to change."""

    def __init__(self, altered: dict[str, str]) -> None:
        self.altered = altered

    def read(self, shape: Shape, value: Any, path: str) -> Any:
        """The value as it may be kept; `_LEFT_OUT` where nothing of it can be."""
        if shape.type == "json":
            return plain(value)
        if value is None:  # nothing is no mistake
            return None if shape.nullable else _LEFT_OUT
        wanted, take = _TAKES[shape.type]
        taken = _LEFT_OUT
        if isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
            taken = take(self, shape, value, path)
        if taken is _LEFT_OUT:
            self.note(path, value)
        return taken

    def fields(self, shape: Shape, value: Mapping[Any, Any], path: str) -> dict[str, Any]:
        """Known fields within their bounds; others, of a newer recorder say, as plain JSON."""
        taken: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        for name, item in value.items():
            if (known := shape.fields.get(name)) is None:
                unknown[str(name)[:_KEY]] = item
            elif (found := self.read(known, item, _below(path, name))) is not _LEFT_OUT:
                taken[name] = found
        if len(unknown) > _UNKNOWN_MOST:
            self.note(_below(path, "…"), f"{len(unknown)} unknown fields")
        return {name: plain(unknown[name]) for name in list(unknown)[:_UNKNOWN_MOST]} | taken

    def text(self, shape: Shape, value: str, path: str) -> str:
        """At most so many characters."""
        if len(value) <= shape.most:
            return value
        self.note(path, f"{len(value):,} characters")
        return value[: int(shape.most) - 1] + "…"

    def word(self, shape: Shape, value: str, path: str) -> Any:
        """One of a closed set."""
        return value if value in shape.words else _LEFT_OUT

    def flag(self, shape: Shape, value: bool, path: str) -> bool:
        """As it is."""
        return value

    def number(self, shape: Shape, value: Any, path: str) -> Any:
        """Finite and within its bounds."""
        if isinstance(value, float) and not math.isfinite(value):
            return _LEFT_OUT
        taken = min(max(value, shape.least), shape.most)
        if taken != value and shape.drops:
            return _LEFT_OUT
        if shape.type == "integer":
            taken = int(taken)
        if taken != value:
            self.note(path, value)
        return taken

    def items(self, shape: Shape, value: Sequence[Any], path: str) -> Any:
        """At most so many items, those that can be kept."""
        indexed = enumerate(self._first(shape, value, path))
        items = [self.read(shape.item or _ANY, item, f"{path}[{n}]") for n, item in indexed]
        return [item for item in items if item is not _LEFT_OUT]

    def entries(self, shape: Shape, value: Mapping[Any, Any], path: str) -> Any:
        """At most so many entries, those that can be kept."""
        first = self._first(shape, tuple(value.items()), path)
        items = {
            str(key)[:_KEY]: self.read(shape.item or _ANY, item, _below(path, key))
            for key, item in first
        }
        return {key: item for key, item in items.items() if item is not _LEFT_OUT}

    def within_bytes(self, data: dict[str, Any]) -> dict[str, Any]:
        """The data without its longest fields, where it is too long to be kept whole."""
        sizes = {name: _bytes(name) + _bytes(item) for name, item in data.items()}
        total = sum(sizes.values())
        kept = dict(data)
        for name in sorted(sizes, key=lambda name: sizes[name], reverse=True):
            if total <= EVENT_BYTES:
                break
            del kept[name]
            total -= sizes[name]
            self.note(name, f"{sizes[name]:,} bytes")
        return kept

    def note(self, path: str, value: Any) -> None:
        """Say that what came there, shown in short, is not kept as it came."""
        if len(self.altered) < _ALTERED_MOST:
            short = isinstance(value, str | float) or (
                isinstance(value, int) and abs(value) < _INT64
            )
            self.altered[path[:_KEY]] = str(value)[:_SHOWN] if short else type(value).__name__

    def _first(self, shape: Shape, items: Sequence[Any], path: str) -> Sequence[Any]:
        if len(items) > shape.most:
            self.note(path, f"{len(items):,} items")
        return items[: int(shape.most)]


_TAKES: Final[dict[str, tuple[Any, Callable[[_Reader, Shape, Any, str], Any]]]] = {
    "text": (str, _Reader.text),
    "word": (str, _Reader.word),
    "bool": (bool, _Reader.flag),
    "number": ((int, float), _Reader.number),
    "integer": ((int, float), _Reader.number),
    "list": ((list, tuple), _Reader.items),
    "map": (dict, _Reader.entries),
    "object": (dict, _Reader.fields),
}


def _below(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
