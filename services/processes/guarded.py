"""Start and end a command under `guard.py`: none of ours outlives us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from services.processes import guard

_GUARD: Final = Path(guard.__file__).resolve()
_LINE_BYTES: Final = 256 * 1024


async def start_guarded(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path | None = None,
    log_bytes: int = 10_000_000,
    nice: int = 0,
) -> Process:
    """The guard's process, its stdin the leash and its stdout a pipe.

    With `log`, stdout carries the guard's events; without, what the command prints.
    The guard has a session of its own, so that Ctrl-C in a terminal reaches only us
    and we end things in order.

    Raises:
        OSError: this Python cannot be started again.
    """
    options = ["--parent", str(os.getpid()), "--nice", str(nice)]
    if log is not None:
        options += ["--log", str(log), "--log-bytes", str(log_bytes)]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        _GUARD,
        *options,
        "--",
        *command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT if log is not None else DEVNULL,
        env=dict(env),
        cwd=cwd,
        limit=_LINE_BYTES,
        start_new_session=True,
    )


async def end_guarded(process: Process, *, patient: bool = True) -> None:
    """End the command and its guard; returns when both are gone, after at most about 8 s.

    Not `patient`: 1 s to end by itself, for what hangs anyway. Nobody else may be reading
    the process's output meanwhile.
    """
    if process.stdin is not None:
        if patient and not process.stdin.is_closing():  # uvloop raises, asyncio is silent
            with contextlib.suppress(ConnectionError):
                process.stdin.write(b"stop\n")
        process.stdin.close()
    try:
        async with asyncio.timeout(guard.STOP_S + 3):
            await _until_gone(process)
    except TimeoutError:
        process.kill()
        await _until_gone(process)


async def _until_gone(process: Process) -> None:
    async for _ in read_lines(process):  # a full pipe would hold the guard up
        pass
    await process.wait()


async def read_lines(process: Process) -> AsyncIterator[str]:
    """What the process prints, line by line, without the line end; overlong lines are skipped."""
    stream = process.stdout
    if stream is None:
        raise RuntimeError("the process was started without a pipe")
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than the limit; asyncio has dropped it
            continue
        if not line:
            return
        yield line.decode(errors="replace").rstrip()
