"""A server that takes connections and requests, and never answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class SilentServer:
    """`url` is where it listens; `heard` is what it was sent, in portions as they came."""

    url: str
    heard: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def open_silent_server() -> AsyncIterator[SilentServer]:
    """On a free loopback port, until the end of the block."""
    tasks: set[asyncio.Task[None]] = set()
    silent = SilentServer(url="")

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                silent.heard.append(data)
        except (asyncio.CancelledError, ConnectionError):
            pass  # the end of the block, or of the client
        finally:
            writer.transport.abort()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(listen(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    silent.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield silent
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next round
