"""The embedded livekit-server: got, started, watched, started again, ended with us.

For a dashboard without `LIVEKIT_URL`. Nothing here stops the dashboard: what goes wrong
is in `EmbeddedServer.state`, with what to do next, while tokens and history still work.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp
from filelock import FileLock, Timeout

from services.clock import utc_now
from services.errors import (
    ConfigError,
    LiveKitUnavailableError,
    RuntimeClosedError,
    SwitchboardError,
)
from services.livekit import server_log
from services.livekit.build import Binary, Progress, find_or_build
from services.livekit.embedded_state import EmbeddedState, Phase, Timing
from services.livekit.server_config import (
    PortReservation,
    Ports,
    known_ports,
    load_keys,
    open_folder,
    target_of,
    write_config,
)
from services.livekit.server_log import LogReader, RegisteredWorker, WorkerObserver
from services.livekit.target import LiveKitTarget
from services.processes import log_file
from services.processes.process import (
    Ended,
    ServerProcess,
    StartError,
    end_leftover,
    pidfile_in,
)
from services.settings import Settings

__all__ = ["EmbeddedServer", "EmbeddedState", "OnChange", "Phase", "Timing", "open_embedded"]

log = logging.getLogger(__name__)

OnChange = Callable[[EmbeddedState], None]


class EmbeddedServer:
    """Handle to our own livekit-server.

    `state`, `target` and `workers` are plain reads from any thread; the coroutines belong
    to the loop that opened it.
    """

    def __init__(
        self, settings: Settings, webhook_url: str | None, on_change: OnChange, timing: Timing
    ) -> None:
        self._settings = settings
        self._webhook_url = webhook_url
        self._on_change = on_change
        self._timing = timing
        self._changed = asyncio.Event()
        self._kick = asyncio.Event()  # somebody asked for a restart
        self._was_ready = False
        self._observer = WorkerObserver()
        self._reservation: PortReservation | None = None
        self.state = EmbeddedState(
            phase=Phase.LOOKING, message="Looking for livekit-server.", since=utc_now()
        )

    async def prepare(self) -> None:
        """Choose folder, keys and ports.

        Raises:
            ConfigError: the data folder cannot be used.
        """
        self._folder = await asyncio.to_thread(open_folder, self._settings.switchboard_data_dir)
        self._lock = FileLock(self._folder / "lock", thread_local=False)
        self.log_path = self._folder / "server.log"
        try:
            self._keys = await asyncio.to_thread(load_keys, self._folder)
            self._reader = await asyncio.to_thread(LogReader, self.log_path)
            if await asyncio.to_thread(self._take_lock):
                await self._clear_and_reserve()
            else:  # theirs, so that we talk to the server that they run
                self._use(await asyncio.to_thread(known_ports, self._folder))
        except BaseException as exc:
            self._release()
            if not isinstance(exc, OSError):
                raise
            raise ConfigError(
                f"The data folder cannot be used: {exc.strerror}: {exc.filename}.",
                hint="Set SWITCHBOARD_DATA_DIR to a writable folder with free space.",
            ) from exc

    @property
    def target(self) -> LiveKitTarget:
        """Address and keys. Changes only if the port is lost before the first READY."""
        return self._target

    @property
    def workers(self) -> tuple[RegisteredWorker, ...]:
        """The registered agent workers, as the server's log tells; see `WorkerObserver`."""
        return self._observer.workers

    def tail(self, lines: int) -> tuple[str, ...]:
        """The last lines of the server's log, oldest first. Reads a file: not on the loop."""
        return log_file.tail(self.log_path, lines)

    async def wait_ready(self, timeout_s: float) -> None:
        """Return when the server takes calls.

        Raises:
            LiveKitUnavailableError: it failed, or is not ready after `timeout_s` seconds.
            RuntimeClosedError: it is stopped.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.state.phase not in {Phase.READY, Phase.FAILED, Phase.STOPPED}:
                    await self._changed.wait()
        match self.state.phase:
            case Phase.READY:
                return
            case Phase.STOPPED:
                raise RuntimeClosedError(self.state.message)
            case _:
                raise LiveKitUnavailableError(self.state.message, hint=self.state.hint)

    async def restart(self) -> None:
        """Start the server again, or try again what failed; returns at once, `state` tells on.

        Nothing happens while it is being looked for, built or started anyway.

        Raises:
            RuntimeClosedError: it is stopped.
        """
        match self.state.phase:
            case Phase.STOPPED:
                raise RuntimeClosedError(self.state.message)
            case Phase.READY | Phase.RESTARTING:
                self._say(Phase.RESTARTING, "Restarting livekit-server (requested).")
                self._kick.set()
            case Phase.FAILED:
                self._say(Phase.LOOKING, "Trying again.")
                self._kick.set()
            case Phase.LOOKING | Phase.BUILDING | Phase.STARTING:
                return

    async def live(self) -> None:
        """Find or build, start, watch and restart, until cancelled."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._supervise(), name="livekit-supervisor")
                    follow = server_log.follow(self._reader, self._take_log, self._timing.log_s)
                    group.create_task(follow, name="livekit-log")
            except* Exception as errors:  # a mistake of ours: said aloud, and the rest lives on
                log.exception("the supervisor of livekit-server failed")
                self._say(
                    Phase.FAILED,
                    "Internal error while supervising livekit-server.",
                    hint="Try again, and report the error in Switchboard's log.",
                    error=repr(errors.exceptions[0]),
                )
            await self._asked()

    def close(self) -> None:
        """Let go of the folder and say that it is over; the supervisor has ended before."""
        self._release()
        self._observer = WorkerObserver()
        self.state = replace(self.state, pid=None)
        self._say(Phase.STOPPED, "livekit-server is stopped.")

    # --- the supervisor ---

    async def _supervise(self) -> None:
        timeout = aiohttp.ClientTimeout(total=self._timing.check_timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while True:
                try:
                    await self._own_folder()
                    binary = await find_or_build(self._settings, self._show_progress)
                    await self._keep_running(binary, http)
                except SwitchboardError as exc:
                    log.warning("livekit-server not found", extra={"reason": exc.message})
                    self._say(Phase.FAILED, exc.message, hint=exc.hint, error=exc.message)
                    await self._asked()

    async def _own_folder(self) -> None:
        """Wait until no other Switchboard runs a server from this data folder."""
        began = time.monotonic()
        while not await asyncio.to_thread(self._take_lock):
            patient = time.monotonic() - began < self._timing.lock_patience_s
            self._say(
                Phase.LOOKING if patient else Phase.FAILED,
                f"Another Switchboard uses {self._settings.switchboard_data_dir} and runs its "
                "livekit-server. This one uses the same server.",
                hint="Stop the other one, or set SWITCHBOARD_DATA_DIR to a separate folder.",
            )
            await self._asked(self._timing.lock_s)
        if self._reservation is None:
            await self._clear_and_reserve()

    async def _clear_and_reserve(self) -> None:
        if left := await end_leftover(pidfile_in(self._folder)):
            log.warning("ended a livekit-server that was left behind", extra={"pid": left})
        await self._reserve_ports()

    async def _keep_running(self, binary: Binary, http: aiohttp.ClientSession) -> None:
        """Start it again and again; returns when the binary is gone."""
        backoff_s = self._timing.backoff_first_s
        while True:
            began = time.monotonic()
            ended = await self._run_once(binary, http)
            self.state = replace(self.state, pid=None, restarts=self.state.restarts + 1)
            if ended is None:  # somebody asked
                backoff_s = self._timing.backoff_first_s
                continue
            log.warning("livekit-server is not running", extra={"reason": ended.reason})
            if not await asyncio.to_thread(binary.path.is_file):
                return
            if ended.port_busy and not self._was_ready:
                await self._reserve_ports()
            if time.monotonic() - began > self._timing.healthy_s:
                backoff_s = self._timing.backoff_first_s
            delay_s = backoff_s * random.uniform(0.8, 1.2)  # noqa: S311 - only spreads restarts
            backoff_s = min(backoff_s * 2, self._timing.backoff_most_s)
            self._say(
                Phase.RESTARTING,
                f"livekit-server {ended.reason}. Restarting it.",
                hint=self._hint(ended),
                error=ended.reason,
            )
            if await self._asked(delay_s):
                backoff_s = self._timing.backoff_first_s

    async def _run_once(self, binary: Binary, http: aiohttp.ClientSession) -> Ended | None:
        """One run, from start to end; None if it was ended because somebody asked."""
        self._kick.clear()
        self._say(Phase.STARTING, f"Starting livekit-server {binary.version}.", binary=binary.path)
        try:
            config = await asyncio.to_thread(self._make_ready)
            process = await ServerProcess.start(binary.path, config, self.log_path)
        except StartError as exc:
            return Ended(reason=str(exc))
        except OSError as exc:
            return Ended(reason=f"could not be started: {exc.strerror}: {exc.filename}")
        self.state = replace(self.state, pid=process.pid)
        ended = asyncio.create_task(process.wait())
        hangs = asyncio.create_task(self._watch(process, http, binary))
        asked = asyncio.create_task(self._kick.wait())
        tasks = (ended, hangs, asked)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return None
            return Ended(reason=hangs.result()) if hangs.done() else ended.result()
        finally:
            hung = hangs.done()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await process.end(patient=not hung)

    async def _watch(
        self, process: ServerProcess, http: aiohttp.ClientSession, binary: Binary
    ) -> str:
        """Announce READY, then watch; returns what is wrong when the server does not answer."""
        timing, port = self._timing, self._ports.http
        deadline = time.monotonic() + timing.start_deadline_s
        while not (await self._answers(http) and await asyncio.to_thread(process.listens_on, port)):
            if time.monotonic() > deadline:
                return f"did not answer within {timing.start_deadline_s:.0f} s of its start"
            await asyncio.sleep(timing.check_at_start_s)
        self._was_ready = True
        self._say(Phase.READY, f"livekit-server {binary.version} is running.")
        missed = 0
        while missed < timing.missed_checks:
            await asyncio.sleep(timing.check_s)
            missed = 0 if await self._answers(http) else missed + 1
        return f"did not answer {missed} times in a row"

    async def _answers(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(self._target.url) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _hint(self, ended: Ended) -> str:
        if ended.port_busy:
            return (
                f"Another program took one of its ports ({self._ports.http} TCP, "
                f"{self._ports.rtc} UDP, {self._ports.metrics} TCP). Stop that program, or "
                "restart Switchboard to use other ports."
            )
        return "See its log in System > Logs."

    # --- lock and ports ---

    async def _reserve_ports(self) -> None:
        self._reservation = await asyncio.to_thread(PortReservation, self._folder)
        self._use(self._reservation.ports)

    def _use(self, ports: Ports) -> None:
        self._ports = ports
        self._target = target_of(self._keys, ports)
        self.state = replace(self.state, url=self._target.url)

    def _take_lock(self) -> bool:
        if not self._lock.is_locked:
            with suppress(Timeout):
                self._lock.acquire(blocking=False)
        return self._lock.is_locked

    def _make_ready(self) -> Path:
        config = write_config(
            self._folder, keys=self._keys, ports=self._ports, webhook_url=self._webhook_url
        )
        if self._reservation:
            self._reservation.release()
        return config

    def _release(self) -> None:
        if self._reservation:
            self._reservation.release()
        self._lock.release()

    # --- telling ---

    async def _asked(self, timeout_s: float | None = None) -> bool:
        """Wait for `restart()`; whether it came in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._kick.wait()
        asked = self._kick.is_set()
        self._kick.clear()
        return asked

    def _show_progress(self, progress: Progress) -> None:
        phase = Phase.BUILDING if progress.building else Phase.LOOKING
        self._say(phase, progress.message, progress=progress.fraction)

    def _take_log(self, lines: list[str]) -> None:
        if self._observer.feed(lines):
            self._tell()

    def _say(
        self,
        phase: Phase,
        message: str,
        *,
        hint: str = "",
        error: str = "",
        progress: float | None = None,
        binary: Path | None = None,
    ) -> None:
        old = self.state
        self.state = replace(
            old,
            phase=phase,
            message=message,
            hint=hint,
            error=error,
            progress=progress,
            binary=binary or old.binary,
            since=old.since if phase is old.phase else utc_now(),
        )
        if self.state != old:
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        try:
            self._on_change(self.state)
        except Exception:  # theirs must not end our server
            log.exception("a listener to the embedded server failed")


DEFAULT_TIMING: Final = Timing()


@asynccontextmanager
async def open_embedded(
    settings: Settings,
    *,
    webhook_url: str | None,
    on_change: OnChange,
    timing: Timing = DEFAULT_TIMING,
) -> AsyncIterator[EmbeddedServer]:
    """Our own livekit-server, at once: keys and address are known, the rest goes on behind.

    `on_change` is called on the loop at each new state, and when `workers` changed. On
    leaving, the server and a build under way are ended; that takes at most about 10 s.

    Raises:
        ConfigError: the data folder cannot be used.
    """
    server = EmbeddedServer(settings, webhook_url, on_change, timing)
    await server.prepare()
    task = asyncio.create_task(server.live(), name="livekit-embedded")
    try:
        yield server
    finally:
        task.cancel()
        await asyncio.wait({task})
        server.close()
