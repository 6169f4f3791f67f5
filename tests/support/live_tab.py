"""A browser tab's end of the live connection, for tests and measurements."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

_ANSWER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """One frame from the dashboard."""

    type: str
    id: str
    event_id: str
    data: dict[str, Any]
    code: str = ""
    message: str = ""


class LiveTab:
    """An open socket; it answers pings, as a tab does."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.pings = 0

    async def say(self, **frame: Any) -> None:
        """Send any frame."""
        await self.socket.send_str(json.dumps(frame))

    async def subscribe(self, name: str, ticket: str, **more: Any) -> None:
        """Subscribe under that name; what comes of it is told later."""
        await self.say(type="subscribe", id=name, ticket=ticket, **more)

    async def unsubscribe(self, name: str) -> None:
        """Take it back."""
        await self.say(type="unsubscribe", id=name)

    async def next(self) -> Told:
        """The next frame that is no ping.

        Raises:
            ConnectionError: the dashboard closed the socket; the code stands in it.
        """
        async with asyncio.timeout(_ANSWER_S):
            while True:
                frame = await self.socket.receive()
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    raise ConnectionError(self.socket.close_code)
                said = json.loads(frame.data)
                if said["type"] != "ping":
                    return Told(**{"id": "", "event_id": "", "data": {}, **said})
                self.pings += 1
                await self.say(type="pong")

    async def closed(self) -> int:
        """The code that the dashboard closes the socket with; what it sends before is passed over."""
        try:
            while True:
                await self.next()
        except ConnectionError as exc:
            return int(exc.args[0])

    async def read(self) -> None:
        """Read on until the socket is closed."""
        async for frame in self.socket:
            if json.loads(frame.data)["type"] == "ping":
                await self.say(type="pong")


@asynccontextmanager
async def open_tab(
    url: str, *, headers: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[LiveTab]:
    """A connected tab without a subscription.

    Raises:
        aiohttp.WSServerHandshakeError: it was refused at the door.
    """
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/api/live", headers=headers, **options) as socket,
    ):
        yield LiveTab(socket)
