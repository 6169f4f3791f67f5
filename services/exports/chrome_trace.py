"""The timeline in Chrome's trace format, for Perfetto."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

from services.events import Event, Kind
from services.exports.reading import events_of
from services.store.records import SessionRecord
from services.store.store import Store

_LANES: Final = ("Caller", "Agent", "Nodes", "Tools", "Model", "Questions", "Operator", "Room")


async def as_chrome(store: Store, session: SessionRecord) -> AsyncIterator[str]:
    """Chrome's trace format: complete events (`X`), instants (`i`), a thread a lane; times in us."""
    yield '{"displayTimeUnit": "ms", "traceEvents": ['
    names: list[dict[str, Any]] = [_meta("process_name", 0, session.id)]
    names += [_meta("thread_name", number, lane) for number, lane in enumerate(_LANES, start=1)]
    yield ",\n".join(json.dumps(name) for name in names)
    spans = _Spans(session.created_at)
    last = session.created_at
    async for event in events_of(store, session.id):
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
    Kind.JOB_DISCONNECTED: "Room",
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
