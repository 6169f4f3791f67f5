"""Keeps a connection to the dashboard while a recorder lives, whatever happens to it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

import aiohttp

from switchboard_recorder.journal import Journal
from switchboard_recorder.link import Address, Link, LostError, Patience, RefusedError
from switchboard_recorder.once import Once
from switchboard_recorder.protocol import Command, Hello, Welcome

log = logging.getLogger(__name__)

GATHER_S: Final = 0.004
_AWAY: Final = "away"


class Sender:
    """One background task: connects, sends, comes again with back-off and jitter."""

    def __init__(
        self,
        address: Address,
        hello: Callable[[], Hello],
        journal: Journal,
        *,
        patience: Patience,
        on_welcome: Callable[[Welcome], None],
        on_command: Callable[[Command], None],
    ) -> None:
        self._address = address
        self._hello = hello
        self._journal = journal
        self._patience = patience
        self._on_welcome = on_welcome
        self._on_command = on_command
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._ending = asyncio.Event()
        self._reason = ""
        self._telling = False
        self._once = Once(log)
        self._tries = 0
        self._aio_task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        self._aio_task = self._loop.create_task(self._run(), name="switchboard-sender")

    def told(self) -> None:
        """There is something to send. From any thread; harmless once the loop has closed.

        What happens within `GATHER_S` wakes the loop once and goes in one frame.
        """
        if self._telling or not self._journal.connected:
            return  # it will look by itself: soon, or when it is connected
        self._telling = True
        try:
            self._loop.call_soon_threadsafe(self._told)
        except RuntimeError:
            return  # the loop is closed: the events are on disk

    def _told(self) -> None:
        self._loop.call_later(GATHER_S, self._look)

    def _look(self) -> None:
        self._telling = False  # first: what comes from now on is told again
        self._wake.set()

    async def finish(self, reason: str, timeout_s: float) -> None:
        """Send what is left and say good-bye; give up after `timeout_s`."""
        self._reason = reason
        self._ending.set()
        self._wake.set()
        if self._aio_task is not None:
            await asyncio.wait({self._aio_task}, timeout=timeout_s)
            self._aio_task.cancel()
            await asyncio.wait({self._aio_task}, timeout=1)

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as http:
            while not (self._ending.is_set() and self._tries):
                try:
                    await self._connect_once(http)
                    return
                except RefusedError as exc:
                    self._once.warn(
                        "refused",
                        "The dashboard at %s will not take this recording: %s.",
                        self._address.url,
                        exc,
                    )
                    return
                except LostError as exc:
                    self._once.warn(
                        _AWAY,
                        "The dashboard at %s is not reachable (%s). The call goes on; "
                        "its events are kept and sent later.",
                        self._address.url,
                        exc,
                    )
                except Exception as exc:  # noqa: BLE001  # a mistake of ours must not end the sender
                    self._once.warn("sender", "The recorder's sender: %s.", type(exc).__name__)
                finally:
                    self._journal.connected = False
                await self._pause()

    async def _connect_once(self, http: aiohttp.ClientSession) -> None:
        link = Link(
            self._address,
            self._hello(),
            self._journal,
            patience=self._patience,
            wake=self._wake,
            ending=self._ending,
            reason=lambda: self._reason,
            on_welcome=self._welcomed,
            on_command=self._on_command,
        )
        await link.run(http)

    def _welcomed(self, welcome: Welcome) -> None:
        self._tries = 0
        self._journal.connected = True
        self._once.over(_AWAY, "The dashboard is there again.")
        self._on_welcome(welcome)

    async def _pause(self) -> None:
        """Full jitter: many jobs that lost one dashboard do not come back in the same moment."""
        most_s = min(self._patience.again_most_s, self._patience.again_least_s * 2**self._tries)
        self._tries = min(self._tries + 1, 20)
        least_s = self._patience.again_least_s / 2
        pause_s = random.uniform(least_s, max(least_s, most_s))  # noqa: S311  # no secret
        try:
            async with asyncio.timeout(pause_s):
                await self._ending.wait()
        except TimeoutError:
            return
