"""The agents' worker of this machine: started, watched, started again, ended with us.

It runs `switchboard worker` under the guard. What it tells of itself is read from its
loopback port; its output is a log beside livekit-server's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import aiohttp

from services.clock import utc_now
from services.errors import ConfigError, SwitchboardError
from services.graphs import check_agents_installed
from services.processes import log_file
from services.processes.process import (
    Ended,
    ServerProcess,
    StartError,
    end_leftover,
    pidfile_in,
)
from services.settings import PROJECT_DIR, Settings

log = logging.getLogger(__name__)

_CHECK_S: Final = 1.0
_CHECK_AT_START_S: Final = 0.1
_CHECK_TIMEOUT_S: Final = 2.0
_START_DEADLINE_S: Final = 60.0  # speech models are loaded, on a busy machine
_MISSED_CHECKS: Final = 10  # in a row: it hangs
_BACKOFF_FIRST_S: Final = 0.5
_BACKOFF_MOST_S: Final = 30.0
_HEALTHY_S: Final = 60.0
_DRAIN_S: Final = 0.0  # when we end, livekit-server ends too: there is nothing to wait for

WaitReady = Callable[[], Any]
OnChange = Callable[["WorkerState"], None]


class WorkerPhase(StrEnum):
    """What the worker is about."""

    WAITING = "waiting"  # for the LiveKit server
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOfWorker:
    """An agent that the worker takes jobs for. `worker_id` "": not registered at the moment."""

    name: str
    worker_id: str
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTold:
    """What the worker says of itself. Memory in bytes, of its main process."""

    pid: int
    since: datetime
    stopping: bool
    memory_bytes: int
    versions: dict[str, str]
    agents: tuple[AgentOfWorker, ...]
    jobs: tuple[dict[str, Any], ...]  # job_id, agent, room, dispatch_id, since
    speech: dict[str, Any] | None

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> WorkerTold:
        """From the worker's `/status`."""
        return cls(
            pid=int(raw["pid"]),
            since=datetime.fromtimestamp(float(raw["since"]), UTC),
            stopping=bool(raw["stopping"]),
            memory_bytes=int(raw["memory_bytes"]),
            versions={str(k): str(v) for k, v in raw["versions"].items()},
            agents=tuple(AgentOfWorker(**agent) for agent in raw["agents"]),
            jobs=tuple(raw["jobs"]),
            speech=raw["speech"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """One moment. `message` is a sentence for people, `hint` what they can do about it."""

    phase: WorkerPhase
    message: str
    hint: str = ""
    pid: int | None = None
    restarts: int = 0
    error: str = ""
    since: datetime = field(default_factory=utc_now)
    told: WorkerTold | None = None


class WorkerProcess:
    """Handle to our own worker. `state` is a plain read from any thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        livekit_env: Callable[[], Mapping[str, str]],
        livekit_ready: WaitReady,
        dashboard_url: str,
        on_change: OnChange,
    ) -> None:
        self._settings = settings
        self._livekit_env = livekit_env
        self._livekit_ready = livekit_ready
        self._dashboard_url = dashboard_url
        self._on_change = on_change
        self._kick = asyncio.Event()
        self._folder = settings.switchboard_data_dir / "worker"
        self.log_path = self._folder / "worker.log"
        self._told_path = self._folder / "told.json"
        self.state = WorkerState(phase=WorkerPhase.WAITING, message="Waiting for LiveKit.")

    async def prepare(self) -> None:
        """Make the folder, and end what an unclean end left behind.

        Raises:
            ConfigError: the data folder cannot be used.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise ConfigError(
                f"The data folder cannot be used: {exc.strerror}: {exc.filename}.",
                hint="Set SWITCHBOARD_DATA_DIR to a writable folder with free space.",
            ) from exc
        if left := await end_leftover(pidfile_in(self._folder)):
            log.warning("ended a worker that was left behind", extra={"pid": left})

    @property
    def most_jobs(self) -> int:
        """How many sessions it takes at once."""
        return self._settings.switchboard_worker_max_jobs

    def tail(self, lines: int) -> tuple[str, ...]:
        """The last lines of the worker's log, oldest first. Reads a file: not on the loop."""
        return log_file.tail(self.log_path, lines)

    async def restart(self) -> None:
        """End the worker and start it again; its sessions end."""
        self._kick.set()

    async def live(self) -> None:
        """Wait for LiveKit, then start, watch and restart, until cancelled."""
        try:
            check_agents_installed("The worker")
        except ConfigError as exc:
            self._say(
                WorkerPhase.STOPPED, exc.message, hint=f"{exc.hint}. Then restart Switchboard."
            )
            return
        await self._wait_for_livekit()
        backoff_s = _BACKOFF_FIRST_S
        timeout = aiohttp.ClientTimeout(total=_CHECK_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while True:
                began_s = time.monotonic()
                ended = await self._run_once(http)
                restarts = self.state.restarts + 1
                self.state = replace(self.state, pid=None, told=None, restarts=restarts)
                if ended is None:
                    backoff_s = _BACKOFF_FIRST_S
                    continue
                log.warning("the worker is not running", extra={"reason": ended.reason})
                if time.monotonic() - began_s > _HEALTHY_S:
                    backoff_s = _BACKOFF_FIRST_S
                self._say(
                    WorkerPhase.RESTARTING,
                    f"The worker {ended.reason}. Restarting it.",
                    hint="See its log in System > Logs.",
                    error=ended.reason,
                )
                delay_s = backoff_s * random.uniform(0.8, 1.2)  # noqa: S311 - only spreads restarts
                backoff_s = min(backoff_s * 2, _BACKOFF_MOST_S)
                try:
                    async with asyncio.timeout(delay_s):
                        await self._kick.wait()
                except TimeoutError:
                    continue

    def close(self) -> None:
        """Say that it is over; `live` has ended before."""
        self.state = replace(self.state, pid=None, told=None)
        self._say(WorkerPhase.STOPPED, "The worker is stopped.")

    # -- inside

    async def _wait_for_livekit(self) -> None:
        while True:
            try:
                await self._livekit_ready()
            except SwitchboardError as exc:
                self._say(
                    WorkerPhase.WAITING,
                    "Waiting for LiveKit.",
                    hint=exc.hint,
                    error=exc.message,
                )
                await asyncio.sleep(_CHECK_S)
            else:
                return

    async def _run_once(self, http: aiohttp.ClientSession) -> Ended | None:
        """One run, from start to end; None if it was ended because somebody asked."""
        self._kick.clear()
        self._say(WorkerPhase.STARTING, "Starting the worker and loading its speech models.")
        await asyncio.to_thread(self._told_path.unlink, missing_ok=True)
        try:
            process = await ServerProcess.run(
                [sys.executable, "-m", "scripts.cli", "worker", "--tell", self._told_path],
                mark=self._told_path,
                log=self.log_path,
                env=self._environment(),
                cwd=PROJECT_DIR,
            )
        except StartError as exc:
            return Ended(reason=str(exc))
        self.state = replace(self.state, pid=process.pid)
        ended = asyncio.create_task(process.wait())
        hangs = asyncio.create_task(self._watch(http, process.pid))
        asked = asyncio.create_task(self._kick.wait())
        aio_tasks = (ended, hangs, asked)
        try:
            await asyncio.wait(aio_tasks, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return None
            return Ended(reason=hangs.result()) if hangs.done() else ended.result()
        finally:
            hung = hangs.done()
            for aio_task in aio_tasks:
                aio_task.cancel()
            await asyncio.gather(*aio_tasks, return_exceptions=True)
            await process.end(patient=not hung)

    async def _watch(self, http: aiohttp.ClientSession, pid: int) -> str:
        """Announce READY, then watch; returns what is wrong when the worker does not answer."""
        deadline_s = time.monotonic() + _START_DEADLINE_S
        port: int | None = None
        while True:
            port = port or await asyncio.to_thread(self._port_of, pid)
            told = await self._ask(http, port)
            if told is not None and all(agent.worker_id for agent in told.agents):
                break
            if time.monotonic() > deadline_s:
                return f"did not register within {_START_DEADLINE_S:.0f} s of its start"
            await asyncio.sleep(_CHECK_AT_START_S)
        self._hear(told)
        missed = 0
        while missed < _MISSED_CHECKS:
            await asyncio.sleep(_CHECK_S)
            told = await self._ask(http, port)
            missed = 0 if told is not None else missed + 1
            if told is not None:
                self._hear(told)
        return f"did not answer {missed} times in a row"

    def _hear(self, told: WorkerTold) -> None:
        before, self.state = self.state, replace(self.state, told=told)
        away = [agent.name for agent in told.agents if not agent.worker_id]
        names = ", ".join(agent.name for agent in told.agents)
        if away:
            message = f"Lost connection to LiveKit, reconnecting ({', '.join(away)})."
            self._say(WorkerPhase.RESTARTING, message)
        else:
            self._say(WorkerPhase.READY, f"Accepting jobs for {names}.")
        if before.told is None or before.told.jobs != told.jobs:
            self._tell()

    def _port_of(self, pid: int) -> int | None:
        try:
            told = json.loads(self._told_path.read_text(encoding="utf-8"))
            return int(told["port"]) if told["pid"] == pid else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # not written yet, or half of it

    async def _ask(self, http: aiohttp.ClientSession, port: int | None) -> WorkerTold | None:
        if port is None:
            return None
        try:
            async with http.get(f"http://127.0.0.1:{port}/status") as answer:
                return WorkerTold.from_json(await answer.json())
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
            return None

    def _environment(self) -> dict[str, str]:
        """Ours, for plugins and models need their keys, and where everything is."""
        settings = self._settings
        own = {
            **self._livekit_env(),
            "SWITCHBOARD_URL": self._dashboard_url,
            "SWITCHBOARD_DATA_DIR": str(settings.switchboard_data_dir.resolve()),
            "SWITCHBOARD_CACHE_DIR": str(settings.switchboard_cache_dir.resolve()),
            "SWITCHBOARD_LANGGRAPH_JSON": str(settings.switchboard_langgraph_json.resolve()),
            "SWITCHBOARD_WORKER_DRAIN_TIMEOUT_S": str(
                min(settings.switchboard_worker_drain_timeout_s, _DRAIN_S)
            ),
            "PYTHONUNBUFFERED": "1",
        }
        return {**os.environ, **own}

    def _say(self, phase: WorkerPhase, message: str, *, hint: str = "", error: str = "") -> None:
        old = self.state
        if (old.phase, old.message, old.error) == (phase, message, error):
            return
        since = old.since if phase is old.phase else utc_now()
        self.state = replace(old, phase=phase, message=message, hint=hint, error=error, since=since)
        self._tell()

    def _tell(self) -> None:
        try:
            self._on_change(self.state)
        except Exception:  # theirs must not end our worker
            log.exception("a listener to the worker failed")


@asynccontextmanager
async def open_worker(
    settings: Settings,
    *,
    livekit_env: Callable[[], Mapping[str, str]],
    livekit_ready: WaitReady,
    dashboard_url: str,
    on_change: OnChange,
) -> AsyncIterator[WorkerProcess]:
    """Our own worker, at once: it starts behind as soon as LiveKit is ready, and ends with us.

    Raises:
        ConfigError: the data folder cannot be used.
    """
    worker = WorkerProcess(
        settings,
        livekit_env=livekit_env,
        livekit_ready=livekit_ready,
        dashboard_url=dashboard_url,
        on_change=on_change,
    )
    await worker.prepare()
    aio_task = asyncio.create_task(worker.live(), name="agents-worker")
    try:
        yield worker
    finally:
        aio_task.cancel()
        await asyncio.wait({aio_task})
        worker.close()
