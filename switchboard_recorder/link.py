"""One conversation with the dashboard over a WebSocket: hello, events, acknowledgements, commands."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

import aiohttp
import jwt

from switchboard_recorder.protocol import (
    AUDIENCE,
    FRAME_BYTES,
    STREAM_PATH,
    Ack,
    Bye,
    Command,
    Hello,
    Message,
    ProtocolError,
    Refusal,
    Welcome,
    decode,
    encode,
)
from switchboard_recorder.times import now

log = logging.getLogger(__name__)

TOKEN_S: Final = 300
IN_FLIGHT: Final = 2_000
"""Events that may be sent and not acknowledged; then we wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited for what, in seconds."""

    connect_s: float = 5.0
    welcome_s: float = 5.0
    ack_s: float = 15.0  # without any acknowledgement of what was sent
    heartbeat_s: float = 10.0
    bye_s: float = 2.0
    again_least_s: float = 0.25
    again_most_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the dashboard is, and the key pair that it shares with LiveKit and us."""

    url: str
    api_key: str
    api_secret: str = field(repr=False)

    def stream_url(self) -> str:
        """The address of the WebSocket."""
        base = self.url.rstrip("/")
        return f"ws{base.removeprefix('http')}{STREAM_PATH}"

    def token(self, hello: Hello) -> str:
        """Proof that we know the secret, for this stream and a few minutes."""
        claims = {
            "iss": self.api_key,
            "aud": AUDIENCE,
            "sub": hello.stream_id,
            "room": hello.room_name,
            "exp": now() + timedelta(seconds=TOKEN_S),
        }
        return jwt.encode(claims, self.api_secret, algorithm="HS256")


class Outbox(Protocol):
    """What is to be sent."""

    last_seq: int
    acked: int
    live: deque[str]

    async def after(self, seq: int) -> list[str]:
        """At most a frame full of lines from `seq` + 1 on."""
        ...

    def acknowledge(self, seq: int) -> None:
        """Everything up to `seq` is safe."""
        ...


class LostError(Exception):
    """The dashboard is not there, or not any more. The message holds no secret."""


class RefusedError(LostError):
    """The dashboard will not have us; trying again is of no use."""


class Link:
    """One connection. `ending` set: say good-bye once everything is acknowledged."""

    def __init__(
        self,
        address: Address,
        hello: Hello,
        outbox: Outbox,
        *,
        patience: Patience,
        wake: asyncio.Event,
        ending: asyncio.Event,
        reason: Callable[[], str],
        on_welcome: Callable[[Welcome], None],
        on_command: Callable[[Command], None],
    ) -> None:
        self._address = address
        self._hello = hello
        self._outbox = outbox
        self._patience = patience
        self._wake = wake
        self._ending = ending
        self._reason = reason
        self._on_welcome = on_welcome
        self._on_command = on_command
        self._sent = 0
        self._progress_s = 0.0

    async def run(self, http: aiohttp.ClientSession) -> None:
        """Talk until the good-bye was said.

        Raises:
            LostError: the connection failed or ended before.
            RefusedError: it is of no use to come again.
        """
        try:
            async with asyncio.timeout(self._patience.connect_s):
                ws = await http.ws_connect(
                    self._address.stream_url(),
                    headers={"Authorization": f"Bearer {self._address.token(self._hello)}"},
                    heartbeat=self._patience.heartbeat_s,
                    max_msg_size=FRAME_BYTES,
                )
        except aiohttp.WSServerHandshakeError as exc:  # its text holds our headers
            raise LostError(f"it answered with HTTP status {exc.status}") from None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            raise LostError(_said(exc)) from None
        try:
            await self._talk(ws)
        except (aiohttp.ClientError, ConnectionError, TimeoutError, ProtocolError) as exc:
            raise LostError(_said(exc)) from None
        finally:
            with suppress(TimeoutError, aiohttp.ClientError, OSError):
                async with asyncio.timeout(1):
                    await ws.close()

    async def _talk(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_str(encode(self._hello))
        async with asyncio.timeout(self._patience.welcome_s):
            welcome = await self._receive(ws)
            while not isinstance(welcome, Welcome):
                welcome = await self._receive(ws)
        self._sent = min(welcome.acked, self._outbox.last_seq)
        self._outbox.acknowledge(welcome.acked)
        self._outbox.live.clear()
        self._progress_s = time.monotonic()
        self._on_welcome(welcome)
        reader = asyncio.create_task(self._read(ws))
        try:
            await self._write(ws, reader)
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reader

    async def _write(self, ws: aiohttp.ClientWebSocketResponse, reader: asyncio.Task[None]) -> None:
        box = self._outbox
        while True:
            self._wake.clear()
            if reader.done():
                reader.result()
            lines = [] if self._sent - box.acked >= IN_FLIGHT else await box.after(self._sent)
            if lines:
                await ws.send_str('{"type": "events", "events": [' + ", ".join(lines) + "]}")
                if self._sent == box.acked:
                    self._progress_s = time.monotonic()
                self._sent += len(lines)
                continue
            while box.live:
                await ws.send_str(box.live.popleft())
            if self._ending.is_set() and box.acked >= box.last_seq:
                await ws.send_str(encode(Bye(last_seq=box.last_seq, reason=self._reason())))
                return
            await self._wait(reader)

    async def _wait(self, reader: asyncio.Task[None]) -> None:
        """Until there is something to do. Raises TimeoutError: sent, and not acknowledged."""
        waiting = self._sent > self._outbox.acked
        timeout_s = self._progress_s + self._patience.ack_s - time.monotonic() if waiting else None
        woken = asyncio.create_task(self._wake.wait())
        try:
            done, _ = await asyncio.wait(
                {woken, reader}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            woken.cancel()
        if not done:
            raise TimeoutError("what was sent is not acknowledged")

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            match await self._receive(ws):
                case Ack(seq=seq):
                    if seq > self._outbox.acked:
                        self._progress_s = time.monotonic()
                        self._outbox.acknowledge(min(seq, self._sent))
                        self._wake.set()
                case Command() as command:
                    self._on_command(command)

    async def _receive(self, ws: aiohttp.ClientWebSocketResponse) -> Message | None:
        frame = await ws.receive()
        match frame.type:
            case aiohttp.WSMsgType.TEXT:
                message = decode(frame.data)
            case aiohttp.WSMsgType.BINARY:
                return None
            case _:
                raise LostError("it closed the connection")
        if isinstance(message, Refusal):
            said = f"it refused: {message.message[:200]}"
            raise LostError(said) if message.again else RefusedError(said)
        return message


def _said(exc: BaseException) -> str:
    return str(exc)[:200] or type(exc).__name__
