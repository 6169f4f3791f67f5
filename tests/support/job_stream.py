"""The job's side of an agent's stream, for tests of the dashboard's side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import aiohttp
import jwt
import uuid_utils

from services.livekit.target import LiveKitTarget
from switchboard_recorder.protocol import (
    AUDIENCE,
    STREAM_PATH,
    Ack,
    Action,
    Bye,
    Command,
    Events,
    Hello,
    Live,
    Message,
    Record,
    Refusal,
    Welcome,
    decode,
    encode,
)

M = TypeVar("M", bound=Message)
_ANSWER_S: Final = 10.0


def stream_token(target: LiveKitTarget, stream_id: str, room_name: str, **claims: Any) -> str:
    """A token as the recorder makes it; `claims` are put over it, None takes one away."""
    body = {
        "iss": target.api_key,
        "sub": stream_id,
        "aud": AUDIENCE,
        "room": room_name,
        "exp": int(time.time()) + 120,
        **claims,
    }
    kept = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(kept, target.api_secret.get_secret_value(), algorithm="HS256")


class JobStream:
    """One open stream. What the dashboard says is kept in `heard`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, stream_id: str) -> None:
        self.socket = socket
        self.stream_id = stream_id
        self.heard: list[Message] = []
        self._next_seq = 1
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for frame in self.socket:
            message = decode(frame.data)
            if message is not None:
                self.heard.append(message)
                self._news.set()
        self._news.set()

    async def wait_for(self, kind: type[M], when: Callable[[M], bool] = lambda _: True) -> M:
        """The first message of that kind for which `when` holds, heard before or to come."""
        async with asyncio.timeout(_ANSWER_S):
            while True:
                for message in self.heard:
                    if isinstance(message, kind) and when(message):
                        return message
                if self._reading.done():
                    raise ConnectionError(f"the dashboard closed the stream: {self.heard[-1:]}")
                self._news.clear()
                await self._news.wait()

    def record(self, kind: str, at: datetime | None = None, **data: Any) -> Record:
        """The next record of the stream."""
        made = Record(seq=self._next_seq, kind=kind, at=at or datetime.now(UTC), data=data)
        self._next_seq += 1
        return made

    async def send(self, *records: Record) -> None:
        """Send records, and wait until they are acknowledged."""
        await self.say(Events(events=records))
        await self.wait_for(Ack, lambda ack: ack.seq >= records[-1].seq)

    async def tell(self, kind: str, **data: Any) -> None:
        """Send one event, and wait until it is acknowledged."""
        await self.send(self.record(kind, **data))

    async def live(self, kind: str, **data: Any) -> None:
        """Send what is shown and not kept."""
        await self.say(Live(kind=kind, at=datetime.now(UTC), data=data))

    async def say(self, message: Message) -> None:
        """Send any message."""
        await self.socket.send_str(encode(message))

    async def command(self, action: Action) -> Command:
        """The next command of that action."""
        return await self.wait_for(Command, lambda c: c.action == action.value)

    async def bye(self, reason: str = "") -> None:
        """Say good-bye, and wait until that is known."""
        before = sum(isinstance(m, Ack) for m in self.heard)
        await self.say(Bye(last_seq=self._next_seq - 1, reason=reason))
        async with asyncio.timeout(_ANSWER_S):
            while sum(isinstance(m, Ack) for m in self.heard) == before:
                self._news.clear()
                await self._news.wait()

    async def close(self) -> None:
        """Close the socket without a good-bye."""
        await self.socket.close()
        await self._reading


@asynccontextmanager
async def open_stream(
    url: str,
    target: LiveKitTarget,
    room_name: str,
    *,
    stream_id: str | None = None,
    token: str | None = None,
    **hello: Any,
) -> AsyncIterator[JobStream]:
    """A stream that was welcomed; `hello` are further fields of the hello.

    Raises:
        aiohttp.WSServerHandshakeError: the token was refused.
        ConnectionError: the hello was refused.
    """
    stream_id = stream_id or f"str_{uuid_utils.uuid7().hex}"
    token = token or stream_token(target, stream_id, room_name)
    said = {"agent_name": "pm-agent", "actions": tuple(Action), **hello}
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}{STREAM_PATH}", headers=headers) as socket,
    ):
        stream = JobStream(socket, stream_id)
        await stream.say(Hello(stream_id=stream_id, room_name=room_name, **said))
        try:
            await stream.wait_for(Welcome)
        except ConnectionError:
            refusals = [m for m in stream.heard if isinstance(m, Refusal)]
            raise ConnectionError(refusals[0].code if refusals else "closed") from None
        try:
            yield stream
        finally:
            await stream.close()
