"""The services and the API in this process, without Streamlit: starts in a fifth of a second."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from api.app import create_api
from services.livekit.target import LiveKitTarget
from services.runtime import Runtime, close_runtime, get_runtime
from services.settings import Settings
from tests.support.livekit_server import LiveKitServer
from tests.support.waiting import eventually


class ApiServer:
    """A running API. `http` asks it; `runtime` is what it runs on."""

    def __init__(self, runtime: Runtime, http: httpx.AsyncClient) -> None:
        self.runtime = runtime
        self.http = http

    async def create(self, **body: Any) -> dict[str, Any]:
        """A new session's answer; the body as the issue has it, unless told otherwise."""
        wanted = {"user_id": "nate", "agent_id": "pm-agent", "session_duration_hours": 2}
        reply = await self.http.post("/api/voice/session", json=wanted | body)
        assert reply.status_code == 201, reply.text
        made: dict[str, Any] = reply.json()
        return made

    async def create_with_dispatch(self, **body: Any) -> dict[str, Any]:
        """As `create`, with the id of the agent's dispatch, which is known a moment later."""
        made = await self.create(**body)

        async def dispatch_id() -> str:
            found: str = (await self.session(made["session_id"]))["dispatch_id"]
            return found

        return {**made, "dispatch_id": await eventually(dispatch_id)}

    async def session(self, session_id: str) -> dict[str, Any]:
        """The session as the API tells it."""
        reply = await self.http.get(f"/api/voice/session/{session_id}")
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found


def settings_for(livekit: LiveKitServer, data_dir: Path, **given: Any) -> Settings:
    """Settings that use this livekit-server, with short intervals."""
    values: dict[str, Any] = {
        "livekit_url": livekit.ws_url,
        "livekit_api_key": livekit.api_key,
        "livekit_api_secret": SecretStr(livekit.api_secret),
        "switchboard_data_dir": data_dir,
        "switchboard_poll_interval_s": 0.2,
        "switchboard_livekit_timeout_s": 2.0,
        "switchboard_embedded_livekit": "off",
    }
    return Settings(**(values | given))


@asynccontextmanager
async def open_api(settings: Settings, *, port: int = 0) -> AsyncIterator[ApiServer]:
    """The API on a loopback port until the end of the block; 0: no port, asked in memory."""
    url = f"http://127.0.0.1:{port}" if port else "http://localhost"
    runtime = await asyncio.to_thread(
        get_runtime, lambda: Runtime(settings, dashboard_url=f"http://localhost:{port}")
    )
    app = Starlette(routes=[Mount("/api", app=create_api())])
    server, os_thread = None, None
    if port:
        config = uvicorn.Config(
            app,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
        )
        server = uvicorn.Server(config)
        os_thread = threading.Thread(target=server.run)
        os_thread.start()
        await eventually(lambda: server.started)
    transport = None if port else httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url=url, timeout=20) as http:
            yield ApiServer(runtime, http)
    finally:
        if server is not None and os_thread is not None:
            server.should_exit = True
            await asyncio.to_thread(os_thread.join, 10)
        await asyncio.to_thread(close_runtime)


class Wired:
    """A livekit-server that sends its webhooks to an API in this process; each can go and return.

    `async with wired.api():` opens the API; leaving the block stops it, and its data stays.
    """

    def __init__(self, livekit: LiveKitServer, port: int, data_dir: Path) -> None:
        self.livekit = livekit
        self.port = port
        self.data_dir = data_dir

    @property
    def target(self) -> LiveKitTarget:
        """The livekit-server, for `join_room`."""
        return self.livekit.target

    def api(self, **given: Any) -> AbstractAsyncContextManager[ApiServer]:
        """The API with these settings, on the port that the webhooks go to."""
        return open_api(settings_for(self.livekit, self.data_dir, **given), port=self.port)

    @contextmanager
    def livekit_frozen(self) -> Iterator[None]:
        """livekit-server takes connections and answers nothing, until the end of the block."""
        process = psutil.Process(self.livekit.process.pid)
        process.suspend()
        try:
            yield
        finally:
            process.resume()
