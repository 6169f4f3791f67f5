"""Whoever waits is answered first: LiveKit's webhooks let writes that are under way go before."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_PATIENCE_S: Final = 0.02
_WEBHOOK: Final = "/livekit/webhook"


class AnswersFirst:
    """Holds a webhook back while a POST is being answered, for at most 20 ms.

    It is mostly about that very POST: `room_started` comes a millisecond after CreateRoom's
    answer, and taking it cost the caller as much again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._writing = 0
        self._answered: asyncio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
        elif scope["path"].endswith(_WEBHOOK):
            if self._answered is not None:
                try:
                    async with asyncio.timeout(_PATIENCE_S):
                        await self._answered.wait()
                except TimeoutError:
                    pass  # it has waited long enough
            await self._app(scope, receive, send)
        else:
            await self._write(scope, receive, send)

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._writing += 1
        if self._answered is None:
            self._answered = asyncio.Event()
        try:
            await self._app(scope, receive, send)
        finally:
            self._writing -= 1
            if not self._writing:
                self._answered.set()
                self._answered = None
