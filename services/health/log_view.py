"""The ends of the logs, our own, livekit-server's and the worker's, as lines of one shape.

What stands in a log may come from anybody who can name a room: it is data and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from services.clock import rfc3339
from services.logs import Redact
from services.processes.log_file import parse_line


class Source(StrEnum):
    """Whose log."""

    SWITCHBOARD = "switchboard"
    LIVEKIT = "livekit"
    WORKER = "worker"


class LogLevel(StrEnum):
    """How serious, mildest first. PLAIN: a line that does not say, such as a crash's."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    PLAIN = ""


_RANK: Final = {
    LogLevel.DEBUG: 0,
    LogLevel.INFO: 1,
    LogLevel.WARNING: 2,
    LogLevel.ERROR: 3,
    LogLevel.PLAIN: 3,  # livekit-server prints what ends it as plain text
}
_LEVELS: Final = {"warn": "warning", "critical": "error", "fatal": "error", "panic": "error"}
_OURS: Final = frozenset({"at", "level", "logger", "message"})
_VALUE_LIMIT: Final = 500
_CONSOLE: Final = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<level>[A-Z]+) (?P<logger>[\w.]+): "
    r"(?P<message>.*)"
)
_ASKING: Final = "API RoomService.ListRooms"  # livekit-server logs each of our polls


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One line. `fields` is the rest of it as `name=value`, each value cut at 500 characters."""

    at: datetime | None
    level: LogLevel
    logger: str
    message: str
    fields: str

    @property
    def is_polling(self) -> bool:
        """Whether it only tells that somebody, we most of all, asked for the list of rooms."""
        return self.message == _ASKING and self.level is LogLevel.INFO

    @property
    def text(self) -> str:
        """All of it on one line, in UTC."""
        at = rfc3339(self.at) if self.at is not None else ""
        parts = (at, self.level.upper(), self.logger, self.message, self.fields)
        return "  ".join(part for part in parts if part)


def parse(source: Source, lines: Iterable[str], redact: Redact) -> tuple[LogEntry, ...]:
    """The lines in their order, with tokens and known secrets blanked out."""
    make = {Source.SWITCHBOARD: _ours, Source.LIVEKIT: _livekit, Source.WORKER: _worker}[source]
    return tuple(make(redact.clean(line)) for line in lines if line.strip())


def matching(
    entries: Iterable[LogEntry], *, at_least: LogLevel = LogLevel.DEBUG, words: str = ""
) -> tuple[LogEntry, ...]:
    """Those of that level or worse that hold every one of the words, in any case."""
    wanted = words.casefold().split()
    return tuple(
        entry
        for entry in entries
        if _RANK[entry.level] >= _RANK[at_least]
        and (not wanted or all(word in entry.text.casefold() for word in wanted))
    )


def _ours(line: str) -> LogEntry:
    try:
        found = json.loads(line)
        at = datetime.fromisoformat(found["at"])
    except (ValueError, KeyError, TypeError):
        return _plain(line)
    return LogEntry(
        at=at,
        level=_level(str(found.get("level", ""))),
        logger=str(found.get("logger", "")),
        message=str(found.get("message", "")),
        fields=_fields({k: v for k, v in found.items() if k not in _OURS}),
    )


def _livekit(line: str) -> LogEntry:
    found = parse_line(line)
    if not found.level:
        return _plain(line)
    return LogEntry(
        at=found.at,
        level=_level(found.level),
        logger=found.logger,
        message=found.message,
        fields=_fields(found.fields),
    )


def _worker(line: str) -> LogEntry:
    """A line as our console handler writes it, a crash's, or one of the guard's."""
    if (found := _CONSOLE.fullmatch(line)) is None:
        return _livekit(line) if line.startswith("{") else _plain(line)
    at = datetime.strptime(found["at"], "%Y-%m-%d %H:%M:%S,%f")  # noqa: DTZ007 - local time, as logging writes it
    return LogEntry(
        at=at.astimezone(UTC),
        level=_level(found["level"]),
        logger=found["logger"],
        message=found["message"],
        fields="",
    )


def _plain(line: str) -> LogEntry:
    return LogEntry(at=None, level=LogLevel.PLAIN, logger="", message=line, fields="")


def _level(word: str) -> LogLevel:
    word = word.lower()
    try:
        return LogLevel(_LEVELS.get(word, word))
    except ValueError:
        return LogLevel.PLAIN


def _fields(fields: Mapping[str, object]) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in fields.items())


def _value(value: object) -> str:
    text = value if isinstance(value, str) else _compact(value)
    text = text if len(text) <= _VALUE_LIMIT else text[: _VALUE_LIMIT - 1] + "…"
    return json.dumps(text, ensure_ascii=False) if " " in text or "\n" in text else text


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
