"""Log files of programs that we run: their lines, their end, and why a run ended.

One JSON object a line, as livekit-server and our guard write it; texts in it may come from
anybody who can join a room, so they are data and nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

_BLOCK: Final = 64 * 1024
_TAIL_BYTES: Final = 4_000_000
_RECENT: Final = timedelta(seconds=5)
_OWN_FIELDS: Final = frozenset({"level", "ts", "logger", "caller", "msg"})
STARTED: Final = "server process started"  # these two are the guard's
ENDED: Final = "server process ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of the log. One that is not JSON has its text as `message` and no `level`."""

    message: str
    level: str = ""  # debug, info, warn, error
    at: datetime | None = None
    logger: str = ""
    caller: str = ""
    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


def parse_line(text: str) -> LogLine:
    """Any line at all as a `LogLine`; never raises."""
    try:
        found = json.loads(text)
    except ValueError:
        return LogLine(message=text)
    if not isinstance(found, dict):
        return LogLine(message=text)
    return LogLine(
        message=str(found.get("msg", "")),
        level=str(found.get("level", "")),
        at=_moment(found.get("ts")),
        logger=str(found.get("logger", "")),
        caller=str(found.get("caller", "")),
        fields=MappingProxyType({k: v for k, v in found.items() if k not in _OWN_FIELDS}),
    )


def _moment(value: object) -> datetime | None:
    if isinstance(value, int | float):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            return None
    return None


def tail(path: Path, lines: int) -> tuple[str, ...]:
    """The last `lines` lines, oldest first; () where there is no file.

    Read from the end of the file and, if that was just rotated, of the one before it; at
    most 4 MB of each.
    """
    if lines <= 0:
        return ()
    found = _file_tail(path, lines)
    if len(found) < lines:
        found = _file_tail(path.with_name(path.name + ".1"), lines - len(found)) + found
    return tuple(found)


def _file_tail(path: Path, lines: int) -> list[str]:
    data = b""
    try:
        with path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            while at > 0 and data.count(b"\n") <= lines and len(data) < _TAIL_BYTES:
                step = min(_BLOCK, at)
                at -= step
                file.seek(at)
                data = file.read(step) + data
    except FileNotFoundError:
        return []
    if at > 0:  # begins inside a line
        data = data.partition(b"\n")[2]
    return [line.decode(errors="replace") for line in data.splitlines()[-lines:]]


def last_words(path: Path) -> str:
    """Why the last run ended, in the server's own words, or "".

    livekit-server prints what stops its start as plain text, and so does Go when it
    panics; what it logged as an error counts only if it was within its last 5 s.
    """
    run: list[LogLine] = []
    for text in tail(path, 400):
        line = parse_line(text)
        if line.logger != "guard":
            run.append(line)
        elif line.message == STARTED:
            run.clear()
        elif line.message == ENDED and line.at:
            run = [x for x in run if not x.at or x.at >= line.at - _RECENT]
    plain = [line.message.strip() for line in run if not line.level and line.message.strip()]
    fatal = [text for text in plain if text.startswith(("panic:", "fatal error:"))]
    if fatal or plain:
        return (fatal or plain)[0][:300]
    errors = [line for line in run if line.level == "error"]
    if not errors:
        return ""
    why = errors[-1].fields.get("error")
    return (f"{errors[-1].message}: {why}" if why else errors[-1].message)[:300]
