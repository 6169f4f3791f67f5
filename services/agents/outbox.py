"""From our loop to the one that holds a job's socket: what the dashboard tells the job."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import Final

from switchboard_recorder.protocol import Message

LIMIT: Final = 1_000


class Outbox:
    """Messages that wait for one socket; `push` on any thread, `next` on the socket's loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Message] = deque()
        self._lock = threading.Lock()
        self._wake = asyncio.Event()
        self.closed = False

    def push(self, message: Message) -> bool:
        """Queue a message; False: the socket is closed, or its job reads nothing."""
        with self._lock:
            if self.closed or len(self._waiting) >= LIMIT:
                return False
            self._waiting.append(message)
        self._look()
        return True

    def close(self) -> None:
        """`next` gives what waits, then None."""
        self.closed = True
        self._look()

    async def next(self) -> tuple[Message, ...] | None:
        """What waits, in order; None at the end."""
        while not self._waiting and not self.closed:
            await self._wake.wait()
            self._wake.clear()
        with self._lock:
            taken = tuple(self._waiting)
            self._waiting.clear()
        return taken or None

    def _look(self) -> None:
        with suppress(RuntimeError):  # that loop is closed
            self._loop.call_soon_threadsafe(self._wake.set)
