"""livekit-server's own log: its lines, its end, and the workers it tells of.

One JSON object a line (zap, livekit/protocol `logger`); texts in it may come from
anybody who can join a room, so they are data and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

_BLOCK: Final = 64 * 1024
_TAIL_BYTES: Final = 4_000_000
_RECENT: Final = timedelta(seconds=5)
_OWN_FIELDS: Final = frozenset({"level", "ts", "logger", "caller", "msg"})
_JOB_TYPES: Final = {0: "room", 1: "publisher", 2: "participant"}  # livekit.JobType
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredWorker:
    """A worker that the server said is registered. `agent_name` "" takes every room."""

    worker_id: str
    agent_name: str
    job_type: str  # room, publisher, participant
    namespace: str = ""
    registered_at: datetime | None = None


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


class LogReader:
    """Gives what was appended since the last call, across a rotation. Not on the loop."""

    def __init__(self, path: Path) -> None:
        """Begin at the present end of the file."""
        self._path = path
        self._rest = b""
        self._inode, self._at = self._where()

    def _where(self, path: Path | None = None) -> tuple[int, int]:
        try:
            status = (path or self._path).stat()
        except FileNotFoundError:
            return 0, 0
        return status.st_ino, status.st_size

    def read(self) -> list[str]:
        """The whole lines that are new, oldest first."""
        inode, size = self._where()
        if (inode, size) == (self._inode, self._at):
            return []
        data = self._rest
        if inode != self._inode:
            older = self._path.with_name(self._path.name + ".1")
            if self._inode and self._where(older)[0] == self._inode:
                data += self._read_from(older)
            self._inode, self._at = inode, 0
        elif size < self._at:  # emptied in place
            data, self._at = b"", 0
        data += self._read_from(self._path)
        *lines, self._rest = data.split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _read_from(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return b""
        self._at += len(data)
        return data


class WorkerObserver:
    """Which agent workers are registered, as far as the server's log says.

    The server tells of every registration, and of every worker whose connection it
    closed. It does not tell how loaded a worker is, whether it refuses jobs, or that a
    machine has gone until the connection breaks. A worker that registered before this
    log was begun is not seen, and neither is one that is connected to another server
    (pkg/service/agentservice.go, pkg/agent/worker.go in livekit-server 1.13.5).
    """

    def __init__(self) -> None:
        self.workers: tuple[RegisteredWorker, ...] = ()

    def feed(self, lines: Iterable[str]) -> bool:
        """Take lines of the log in their order; whether `workers` changed."""
        now = {worker.worker_id: worker for worker in self.workers}
        for text in lines:
            if "worker" not in text and '"guard"' not in text:
                continue  # most lines: not worth parsing
            self._take(parse_line(text), now)
        workers = tuple(now.values())
        changed, self.workers = workers != self.workers, workers
        return changed

    @staticmethod
    def _take(line: LogLine, now: dict[str, RegisteredWorker]) -> None:
        worker_id = str(line.fields.get("workerID", ""))
        if line.logger == "guard" and line.message in {STARTED, ENDED}:
            now.clear()
        elif line.message == "worker registered" and worker_id:
            now[worker_id] = RegisteredWorker(
                worker_id=worker_id,
                agent_name=str(line.fields.get("agentName", "")),
                job_type=_job_type(line.fields.get("jobType")),
                namespace=str(line.fields.get("namespace", "")),
                registered_at=line.at,
            )
        elif line.message in {"closing worker", "last worker deregistered"}:
            now.pop(worker_id, None)


def _job_type(value: object) -> str:
    if isinstance(value, int):
        return _JOB_TYPES.get(value, str(value))
    return str(value or "").removeprefix("JT_").lower()


async def follow(
    reader: LogReader, take: Callable[[list[str]], None], every_s: float = 0.5
) -> None:
    """Hand new lines to `take`, on the loop, at most about `every_s` seconds after they came."""
    while True:
        if lines := await asyncio.to_thread(reader.read):
            take(lines)
        await asyncio.sleep(every_s)
