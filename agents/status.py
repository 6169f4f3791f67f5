"""How the worker is: health at `/`, all of it as JSON at `/status`. On loopback alone."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import psutil
from aiohttp import web
from livekit.agents import AgentServer


class Status:
    """Reads the parts of a worker. `speech` gives what is known of the speech process, or None."""

    def __init__(
        self,
        servers: Mapping[str, AgentServer],
        speech: Any,
        stopping: Callable[[], bool],
        since: float,
    ) -> None:
        self._servers = servers
        self._speech = speech
        self._stopping = stopping
        self._since = since

    def well(self) -> bool:
        """Whether every agent is registered at LiveKit."""
        return all(map(_registered, self._servers.values()))

    def as_json(self) -> dict[str, Any]:
        """`agents`, `jobs`, `speech`, `versions`, memory in bytes; moments as unix seconds."""
        return {
            "pid": os.getpid(),
            "since": self._since,
            "stopping": self._stopping(),
            "memory_bytes": psutil.Process().memory_info().rss,
            "versions": {
                name: version(name) for name in ("livekit-agents", "livekit", "langgraph")
            },
            "agents": [
                {
                    "name": name,
                    "worker_id": server.id if _registered(server) else "",
                    "jobs": len(server.active_jobs),
                }
                for name, server in self._servers.items()
            ],
            "jobs": [
                {
                    "job_id": info.job.id,
                    "agent": name,
                    "room": info.job.room.name,
                    "dispatch_id": info.job.dispatch_id,
                    "since": info.launched_at,
                }
                for name, server in self._servers.items()
                for info in server.active_jobs
            ],
            "speech": self._speech.as_json() if self._speech is not None else None,
        }


def _registered(server: AgentServer) -> bool:
    # livekit-agents 1.8.9 tells no other way that the connection is away at the moment
    return server.id != "unregistered" and not server._connecting


@asynccontextmanager
async def open_endpoint(status: Status, host: str, port: int) -> AsyncIterator[int]:
    """Serve the status; gives the port. 503 at `/` until every agent is registered."""

    async def health(_: web.Request) -> web.Response:
        well = status.well()
        return web.Response(text="OK" if well else "not registered", status=200 if well else 503)

    async def all_of_it(_: web.Request) -> web.Response:
        return web.json_response(status.as_json())

    app = web.Application()
    app.add_routes([web.get("/", health), web.get("/status", all_of_it)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
