"""Starts the speech process of this machine, watches it, starts it again. In the worker's main process."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil

from agents.speech.plugins import wanted
from agents.speech.wire import ADDRESS_ENV, TOKEN_ENV
from services.errors import ConfigError
from services.settings import PROJECT_DIR, Settings

log = logging.getLogger(__name__)

_READY_S: Final = 60.0  # on a machine that is busy with its start
_STOP_S: Final = 2.0
_BACK_OFF_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
_WELL_AFTER_S: Final = 60.0
_LINE: Final = 1 << 16


class SpeechServer:
    """The process, as the worker sees it."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self._orders = orders
        self._process: asyncio.subprocess.Process | None = None
        self._told: dict[str, Any] = {}
        self.restarts = 0

    @property
    def address(self) -> str:
        """Where jobs reach it; the same after a restart."""
        return str(self._orders["address"])

    @property
    def token(self) -> str:
        """What a job must show."""
        return str(self._orders["token"])

    @property
    def pid(self) -> int | None:
        """Its process id; None while it is away."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def as_json(self) -> dict[str, Any]:
        """`pid` and `memory_bytes` (None while it is away), `restarts`, `jobs`, and more."""
        pid, memory = self.pid, None
        if pid is not None:
            with suppress(psutil.Error):
                memory = psutil.Process(pid).memory_info().rss
        counts = {name: self._told.get(name, 0) for name in ("jobs", "waiting", "heard", "said")}
        return {"pid": pid, "memory_bytes": memory, "restarts": self.restarts, **counts}

    async def start(self) -> None:
        """Start it and wait until it has loaded its models.

        Raises:
            ConfigError: it cannot be used, or it is not ready in a minute.
        """
        spawning = asyncio.create_task(self._spawn(), name="speech process starts")
        try:
            process = await asyncio.shield(spawning)
        except asyncio.CancelledError:
            await spawning  # `stop` must know of it
            raise
        _stdin(process).write(json.dumps(self._orders).encode() + b"\n")
        try:
            async with asyncio.timeout(_READY_S):
                told = await _told(process)
        except TimeoutError:
            await self.stop()
            raise ConfigError(
                f"The speech process was not ready after {_READY_S:g} s.",
                hint="The worker's log says what it was doing.",
            ) from None
        except BaseException:
            await self.stop()
            raise
        if told is None:
            code = await process.wait()
            raise ConfigError(
                f"The speech process ended at its start (exit code {code}).",
                hint="The worker's log has its last words.",
            )
        if "error" in told:
            await self.stop()
            raise ConfigError(told["error"], hint=told["hint"])
        self._told = told

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agents.speech.process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=PROJECT_DIR,
            limit=_LINE,
        )
        return self._process

    async def watch(self) -> None:
        """Follow what it tells, and start it again whenever it ends."""
        failures = 0
        while True:
            began = time.monotonic()
            process = self._process
            if process is not None:
                while (told := await _told(process)) is not None:
                    self._told = told
                code = await process.wait()
                log.error("the speech process ended", extra={"exit_code": code})
            if time.monotonic() - began > _WELL_AFTER_S:
                failures = 0
            await asyncio.sleep(_BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)])
            failures += 1
            self.restarts += 1
            self._told = {}
            try:
                await self.start()
            except ConfigError as exc:
                log.error("the speech process does not start", extra={"error": str(exc)})
            else:
                log.info("the speech process is back", extra={"restarts": self.restarts})

    async def stop(self) -> None:
        """End it: the end of its stdin is enough, unless it hangs."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        _stdin(process).close()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def open_speech_server(settings: Settings) -> AsyncIterator[SpeechServer | None]:
    """Start the speech process and tell the jobs of it, by the environment.

    Gives None where both settings name plugins: nothing is started then. Open it before the
    first job process starts.

    Raises:
        ConfigError: a model is missing or not the right one, or a setting cannot be read.
    """
    hear = wanted("SWITCHBOARD_STT", settings.switchboard_stt) is None
    speak = wanted("SWITCHBOARD_TTS", settings.switchboard_tts) is None
    if not hear and not speak:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="speech-", ignore_cleanup_errors=True) as folder:
        known = settings.switchboard_cache_dir / "speech-models.json"
        server = SpeechServer(
            {
                "address": _address(Path(folder)),
                "token": secrets.token_urlsafe(32),
                "hear": hear,
                "speak": speak,
                "at_once": max(1, min(4, (os.cpu_count() or 1) // 2)),
                "known": str(known),
            }
        )
        await server.start()
        watching = asyncio.create_task(server.watch(), name="speech process")
        os.environ[ADDRESS_ENV], os.environ[TOKEN_ENV] = server.address, server.token
        try:
            yield server
        finally:
            del os.environ[ADDRESS_ENV], os.environ[TOKEN_ENV]
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await server.stop()


def _stdin(process: asyncio.subprocess.Process) -> asyncio.StreamWriter:
    if process.stdin is None:
        raise RuntimeError("the speech process was started without a pipe")
    return process.stdin


async def _told(process: asyncio.subprocess.Process) -> dict[str, Any] | None:
    """The next thing it tells; None when it has ended."""
    line = await process.stdout.readline() if process.stdout is not None else b""
    told: dict[str, Any] | None = json.loads(line) if line else None
    return told


def _address(folder: Path) -> str:
    if hasattr(socket, "AF_UNIX") and sys.platform != "win32":
        return f"unix:{folder / 's'}"  # short: a socket's path has 107 bytes at most
    with socket.socket() as probe:  # Windows
        probe.bind(("127.0.0.1", 0))
        return f"tcp:127.0.0.1:{probe.getsockname()[1]}"
