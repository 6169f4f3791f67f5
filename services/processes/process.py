"""One run of a program of ours: started under the guard, known by its pid, ended for sure.

Our livekit-server is one, and the agents' worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil

from services.processes.guarded import end_guarded, read_lines, start_guarded
from services.processes.log_file import last_words

LOG_BYTES: Final = 10_000_000
_START_S: Final = 10.0
_KEPT: Final = ("PATH", "HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended: a clause for people ("ended with exit code 1: …")."""

    reason: str
    port_busy: bool = False


class StartError(Exception):
    """The server could not be started; the text is a clause for people."""


class ServerProcess:
    """A running program. `end()` must be called, and nobody may be in `wait()` then."""

    def __init__(self, guard: Process, pid: int, log: Path, pidfile: Path) -> None:
        self.pid = pid
        self._guard = guard
        self._log = log
        self._pidfile = pidfile

    @classmethod
    async def start(cls, binary: Path, config: Path, log: Path) -> Self:
        """Start livekit-server with `config`; its output goes to `log`.

        Raises:
            StartError: it could not be started at all.
        """
        command: list[str | Path] = [binary, "--config", config]
        return await cls.run(command, mark=config, log=log, env=_environment(), cwd=config.parent)

    @classmethod
    async def run(
        cls,
        command: Sequence[str | Path],
        *,
        mark: Path,
        log: Path,
        env: Mapping[str, str],
        cwd: Path,
    ) -> Self:
        """Start a command; its output goes to `log`.

        `mark` is a file that the command names: beside it the process id is kept, and by it an
        unclean end's leftover is known for ours.

        Raises:
            StartError: it could not be started at all.
        """
        pidfile = pidfile_in(mark.parent)
        try:
            guard = await start_guarded(command, env=env, cwd=cwd, log=log, log_bytes=LOG_BYTES)
        except OSError as exc:
            raise StartError(f"could not be started: {exc.strerror}") from exc
        try:
            async with asyncio.timeout(_START_S):
                pid = await _started(guard)
            await asyncio.to_thread(write_pidfile, pidfile, pid, mark)
        except BaseException as exc:
            await end_guarded(guard)
            if isinstance(exc, TimeoutError):
                raise StartError("could not be started: its guard does not answer") from exc
            raise
        return cls(guard, pid, log, pidfile)

    async def wait(self) -> Ended:
        """How the server ended; returns when it has."""
        code: int | None = None
        async for line in read_lines(self._guard):
            event = _event(line)
            if event.get("event") == "exited":
                code = int(str(event["code"]))
        await self._guard.wait()
        said = await asyncio.to_thread(last_words, self._log)
        reason = "was left without its guard" if code is None else _how(code)
        return Ended(
            reason=f"{reason}: {said}" if said else reason,
            port_busy="address already in use" in said or "Only one usage of each" in said,
        )

    async def end(self, *, patient: bool = True) -> None:
        """End the server: terminate, wait (5 s, or 1 s where not `patient`), kill."""
        await end_guarded(self._guard, patient=patient)
        await end_leftover(self._pidfile)  # where the guard was killed, and is not on Linux

    def listens_on(self, port: int) -> bool:
        """Whether it is this process that listens on `port`. Takes some ms: not on the loop."""
        try:
            found = psutil.Process(self.pid).net_connections(kind="tcp")
        except psutil.AccessDenied:  # a system that does not tell: the answer on the port must do
            return True
        except psutil.NoSuchProcess:
            return False
        return any(c.status == psutil.CONN_LISTEN and c.laddr[1] == port for c in found)


def pidfile_in(folder: Path) -> Path:
    """Where the process id of the server with the configuration in `folder` is kept."""
    return folder / "server.pid"


async def end_leftover(pidfile: Path) -> int | None:
    """End the server that an unclean end left behind; its pid, or None where there is none.

    It is ours only if the process has the start time that we wrote down and our
    configuration file in its command line: a pid alone may be anybody's by now.
    """
    return await asyncio.to_thread(_end_leftover, pidfile)


def _end_leftover(pidfile: Path) -> int | None:
    process = _proven(pidfile)
    if process is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for act, patience_s in _WAYS_TO_END:
                act(process)
                if _gone(process, patience_s):
                    break
    pidfile.unlink(missing_ok=True)
    return process.pid if process else None


_WAYS_TO_END: Final = (
    (psutil.Process.terminate, 1.0),
    (psutil.Process.terminate, 4.0),  # the second time means "at once, calls or not"
    (psutil.Process.kill, 5.0),
)


def _proven(pidfile: Path) -> psutil.Process | None:
    try:
        found = json.loads(pidfile.read_text(encoding="utf-8"))
        process = psutil.Process(int(found["pid"]))
        # Start times shift when the clock is set, so this is not to the second.
        same_start = abs(process.create_time() - float(found["created"])) < 60
        if same_start and str(found["config"]) in process.cmdline():
            return process
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None  # no file, or no such process any more
    return None


def _gone(process: psutil.Process, patience_s: float) -> bool:
    """Whether it ends in time. One that nobody reaps (a container without init) has ended."""
    deadline = time.monotonic() + patience_s
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def write_pidfile(pidfile: Path, pid: int, config: Path) -> None:
    """Keep the process id together with what proves it: start time and configuration file."""
    with contextlib.suppress(psutil.NoSuchProcess):  # ended already: nothing to find later
        created = psutil.Process(pid).create_time()
        text = json.dumps({"pid": pid, "created": created, "config": str(config)})
        pidfile.write_text(text, encoding="utf-8")


async def _started(guard: Process) -> int:
    said = []
    async for line in read_lines(guard):
        event = _event(line)
        if event.get("event") == "started":
            return int(str(event["pid"]))
        said.append(str(event.get("reason") or line))
    raise StartError(f"could not be started: {said[-1] if said else 'its guard ended'}")


def _event(line: str) -> dict[str, object]:
    try:
        event = json.loads(line)
    except ValueError:  # a traceback of the guard's
        return {}
    return event if isinstance(event, dict) else {}


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _environment() -> dict[str, str]:
    """Next to nothing: livekit-server takes LIVEKIT_KEYS, REDIS_HOST, UDP_PORT … from it."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}
