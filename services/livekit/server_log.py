"""livekit-server's own log: read as it grows, and the workers it tells of.

Texts in it may come from anybody who can join a room, so they are data and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from services.processes.log_file import ENDED, STARTED, LogLine, parse_line

_JOB_TYPES: Final = {0: "room", 1: "publisher", 2: "participant"}  # livekit.JobType


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredWorker:
    """A worker that the server said is registered. `agent_name` "" takes every room."""

    worker_id: str
    agent_name: str
    job_type: str  # room, publisher, participant
    namespace: str = ""
    registered_at: datetime | None = None


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
