"""The worker: takes jobs for the agents of langgraph.json. `switchboard worker`.

It needs LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, and SWITCHBOARD_URL, the dashboard's
address, and may run on any machine. One process a job, so that a crash takes one session; one
speech process for all of them (`agents.speech.server`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from livekit.agents import AgentServer, JobContext, JobProcess, JobRequest

from agents import status
from agents.speech.server import open_speech_server
from services import logs
from services.errors import ConfigError
from services.graphs import Graphs
from services.settings import Settings, load_settings
from switchboard_recorder import deliver_orphans

log = logging.getLogger(__name__)

_HOST: Final = "127.0.0.1"
# LiveKit gives no job to a worker at or above its `agents.target_load`, 0.7 unless set, and learns
# of a new load only every 2.5 s (livekit-server 1.13.5, `JobRequestAffinity`). So a worker stays
# just below it and refuses by itself: no place is left empty, and none that has just become free.
_BUSIEST: Final = 0.699
_ORPHANS_EVERY_S: Final = 15.0
_START_S: Final = 30.0  # a job process may take so long to come up on a busy machine
_CLOSE_S: Final = 4.0  # a job that is told to end: its last events are delivered or on the disk


# Both run in a job's process. The worker's own does without LangGraph and all that a call needs:
# a second of CPU and some memory.


def _prewarm(process: JobProcess) -> None:
    from agents.call import prewarm

    prewarm(process)


async def _enter(ctx: JobContext) -> None:
    from agents.call import enter

    await enter(ctx)


class Worker:
    """The `AgentServer` of each agent (livekit-agents 1.8.9 takes one name each), as one."""

    def __init__(self, settings: Settings, names: Sequence[str]) -> None:
        self._settings = settings
        self._taking = 0
        self.stopping = False
        self.servers = {name: self._server(name, first=i == 0) for i, name in enumerate(names)}

    def _server(self, name: str, *, first: bool) -> AgentServer:
        server = AgentServer(
            host=_HOST,
            port=0,
            # the first agent of langgraph.json is kept warm; the others start when asked for
            num_idle_processes=self._settings.switchboard_worker_idle_processes if first else 0,
            load_fnc=self.load,
            load_threshold=math.inf,  # `_accept` decides: by sessions, not by a noisy CPU figure
            initialize_process_timeout=_START_S,
            shutdown_process_timeout=_CLOSE_S,
            drain_timeout=max(1, math.ceil(self._settings.switchboard_worker_drain_timeout_s)),
            preload_modules=["agents.call", "langgraph.prebuilt"],  # most graphs import it
            max_retry=sys.maxsize,
            setup_fnc=_prewarm,
        )
        server.rtc_session(_enter, agent_name=name, on_request=self._accept)
        return server

    @property
    def jobs(self) -> int:
        """Sessions under way, and those that are being taken."""
        return sum(len(server.active_jobs) for server in self.servers.values()) + self._taking

    def load(self) -> float:
        """How busy the worker is, 0 (idle) to `_BUSIEST` (it refuses further jobs)."""
        return _BUSIEST * min(1.0, self.jobs / self._settings.switchboard_worker_max_jobs)

    async def _accept(self, request: JobRequest) -> None:
        if self.stopping or self.jobs >= self._settings.switchboard_worker_max_jobs:
            log.warning("a job is refused", extra={"job": request.id, "jobs": self.jobs})
            await request.reject()
            return
        self._taking += 1
        try:
            await request.accept(identity=f"agent-{request.id}", name=request.agent_name)
        finally:
            self._taking -= 1

    async def run(self) -> None:
        """Serve until `stop`; raises what ended one of them."""
        async with asyncio.TaskGroup() as tasks:
            for name, server in self.servers.items():
                tasks.create_task(server.run(devmode=False), name=f"agent {name}")

    async def stop(self) -> None:
        """Take no more jobs, let those under way go on for `SWITCHBOARD_WORKER_DRAIN_TIMEOUT_S`, then end them."""
        self.stopping = True
        if self._settings.switchboard_worker_drain_timeout_s > 0:
            drains = [server.drain() for server in self.servers.values()]
            for outcome in await asyncio.gather(*drains, return_exceptions=True):
                if isinstance(outcome, TimeoutError):
                    log.warning("sessions are ended: they outlasted the drain")
                elif isinstance(outcome, BaseException):
                    log.error("a drain failed", exc_info=outcome)
        await asyncio.gather(*(server.aclose() for server in self.servers.values()))


async def serve(settings: Settings, *, port: int, tell: Path | None) -> None:
    """Run the worker until SIGTERM or SIGINT, and its drain is over."""
    agents = Graphs(settings.switchboard_langgraph_json).all()
    worker = Worker(settings, [entry.name for entry in agents])
    stop = asyncio.Event()
    _on_signals(stop)
    async with AsyncExitStack() as stack:
        speech = await stack.enter_async_context(open_speech_server(settings))
        state = status.Status(worker.servers, speech, lambda: worker.stopping, time.time())
        port = await stack.enter_async_context(status.open_endpoint(state, _HOST, port))
        if tell is not None:
            text = json.dumps({"pid": os.getpid(), "port": port})
            await asyncio.to_thread(tell.write_text, text, encoding="utf-8")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(worker.run(), name="worker")
            orphans = tasks.create_task(_deliver_orphans(settings), name="orphaned spools")
            await _first(running, tasks.create_task(stop.wait(), name="signal"))
            orphans.cancel()
            if stop.is_set():
                await worker.stop()
            running.cancel()


async def _first(*aio_tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(aio_tasks, return_when=asyncio.FIRST_COMPLETED)


async def _deliver_orphans(settings: Settings) -> None:
    """Deliver what jobs that were killed while the dashboard was away left on the disk."""
    while True:
        await deliver_orphans(
            spool_dir(settings),
            settings.switchboard_url or "http://localhost:8501",
            api_key=settings.livekit_api_key,
            api_secret=settings.livekit_api_secret.get_secret_value(),
        )
        await asyncio.sleep(_ORPHANS_EVERY_S)


def spool_dir(settings: Settings) -> str:
    """Where recorders keep what they could not deliver."""
    folder = settings.switchboard_spool_dir or settings.switchboard_data_dir / "spool"
    return str(folder)


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT"):
        try:
            loop.add_signal_handler(getattr(signal, name), stop.set)
        except NotImplementedError:  # Windows
            signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(stop.set))


def _check(settings: Settings) -> None:
    if settings.livekit_url is None:
        raise ConfigError(
            "LIVEKIT_URL is not set, so the worker knows no LiveKit server.",
            hint="Set LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET and SWITCHBOARD_URL.",
        )


def main(*, port: int = 0, tell: Path | None = None) -> None:
    """Run the worker to its end. `port`: health and status on 127.0.0.1; 0 takes any.

    `tell`: a file for the port and our process id, as JSON.

    Raises:
        ConfigError: a setting cannot be used.
    """
    settings = load_settings()
    _check(settings)
    logs.set_up(
        settings.switchboard_data_dir / "worker",
        settings.switchboard_log_level,
        [settings.livekit_api_secret.get_secret_value()],
    )
    # job processes read the environment, not our memory
    os.environ["LIVEKIT_URL"] = settings.livekit_url or ""
    os.environ["LIVEKIT_API_KEY"] = settings.livekit_api_key
    os.environ["LIVEKIT_API_SECRET"] = settings.livekit_api_secret.get_secret_value()
    os.environ.setdefault("SWITCHBOARD_SPOOL_DIR", spool_dir(settings))
    os.environ.setdefault("SWITCHBOARD_AGENT_VERSION", settings.switchboard_agent_version)
    asyncio.run(serve(settings, port=port, tell=tell))
