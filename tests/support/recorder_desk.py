"""The dashboard's side of the recorder's protocol: small, real, and as bad as a test wants it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from aiohttp import WSMsgType, web

from switchboard_recorder.protocol import (
    AUDIENCE,
    FRAME_BYTES,
    STREAM_PATH,
    Ack,
    Bye,
    Command,
    Events,
    Hello,
    Live,
    Record,
    Refusal,
    Welcome,
    decode,
    encode,
)
from tests.support.ports import free_port

KEY: Final = "desk-key"
SECRET: Final = "desk-secret-that-is-long-enough-for-hs256"


@dataclass(slots=True)
class Told:
    """One stream as the desk has committed it."""

    hellos: list[Hello] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    repeated: int = 0  # records that came again
    lives: list[Live] = field(default_factory=list)
    byes: list[Bye] = field(default_factory=list)
    lost: int = 0  # sockets that closed without a good-bye

    @property
    def seqs(self) -> list[int]:
        """The numbers in the order of their arrival."""
        return [record.seq for record in self.records]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of every record of a kind."""
        return [record.data for record in self.records if record.kind == kind]

    @property
    def kinds(self) -> list[str]:
        """The kinds in order."""
        return [record.kind for record in self.records]


@dataclass(slots=True)
class Desk:
    """What it has been told, and how it behaves from now on."""

    port: int
    streams: dict[str, Told] = field(default_factory=dict)
    sockets: dict[str, web.WebSocketResponse] = field(default_factory=dict)
    refusal: Refusal | None = None
    status: int = 0  # answer the handshake with this HTTP status
    drop_every: int = 0  # close the socket after so many frames of events, before the ack
    forget_acks: int = 0  # keep so many acknowledgements to itself
    ack_after_s: float = 0.0
    silent: bool = False  # no welcome
    noise: tuple[str, ...] = ()  # frames sent after the welcome
    turned_away: int = 0
    rejected: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None
    _frames: int = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def told(self) -> Told:
        """The only stream."""
        (told,) = self.streams.values()
        return told

    @property
    def count(self) -> int:
        """How many records it has committed, of all streams."""
        return sum(len(told.records) for told in self.streams.values())

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get(STREAM_PATH, self._stream)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        """Be away: every socket breaks, nobody listens."""
        for socket in list(self.sockets.values()):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def send(self, stream_id: str, frame: str) -> None:
        """Send a frame to a job."""
        await self.sockets[stream_id].send_str(frame)

    async def command(
        self,
        action: str,
        args: dict[str, Any] | None = None,
        *,
        command_id: str = "cmd_1",
        for_s: float = 30,
    ) -> None:
        """Ask the only job for something."""
        (stream_id,) = self.sockets
        issued_at = datetime.now(UTC)
        command = Command(
            command_id=command_id,
            action=action,
            args=args or {},
            actor="tester",
            issued_at=issued_at,
            expires_at=issued_at + timedelta(seconds=for_s),
        )
        await self.send(stream_id, encode(command))

    async def until(self, check: Any, *, within_s: float = 10) -> None:
        """Wait until `check(self)` is true; looked at whenever something has come."""
        async with asyncio.timeout(within_s):
            while not check(self):
                self.changed.clear()
                await self.changed.wait()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.status:
            self.turned_away += 1
            self.changed.set()
            return web.Response(status=self.status)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience=AUDIENCE, issuer=KEY)
        socket = web.WebSocketResponse(max_msg_size=FRAME_BYTES)
        await socket.prepare(request)
        frame = await socket.receive()
        hello = decode(frame.data) if frame.type is WSMsgType.TEXT else None
        assert isinstance(hello, Hello)
        assert (claims["sub"], claims["room"]) == (hello.stream_id, hello.room_name)
        told = self.streams.setdefault(hello.stream_id, Told())
        told.hellos.append(hello)
        self.changed.set()
        if self.refusal is not None:
            await socket.send_str(encode(self.refusal))
            await socket.close()
            return socket
        if self.silent:
            await socket.receive()
            return socket
        await socket.send_str(encode(Welcome(session_id="ses_1", acked=len(told.records))))
        for noise in self.noise:
            await socket.send_str(noise)
        self.sockets[hello.stream_id] = socket
        self.changed.set()
        try:
            await self._listen(socket, told)
        finally:
            if self.sockets.get(hello.stream_id) is socket:
                del self.sockets[hello.stream_id]
            self.changed.set()
        return socket

    async def _listen(self, socket: web.WebSocketResponse, told: Told) -> None:
        said_bye = False
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                continue
            match decode(frame.data):
                case Events(events=events):
                    if not await self._take(socket, told, events):
                        break
                case Live() as live:
                    told.lives.append(live)
                case Bye() as bye:
                    told.byes.append(bye)
                    said_bye = True
            self.changed.set()
        told.lost += not said_bye

    async def _take(
        self, socket: web.WebSocketResponse, told: Told, events: tuple[Record, ...]
    ) -> bool:
        """Commit and acknowledge. False: the socket is to break before the acknowledgement."""
        for record in events:
            if record.seq <= len(told.records):
                told.repeated += 1
                continue
            if record.seq != len(told.records) + 1:
                self.rejected.append(f"{record.seq} after {len(told.records)}")
                continue
            told.records.append(record)
        self.changed.set()
        self._frames += 1
        if self.drop_every and self._frames % self.drop_every == 0:
            await socket.close()
            return False
        if self.forget_acks:
            self.forget_acks -= 1
            return True
        if self.ack_after_s:
            await asyncio.sleep(self.ack_after_s)  # a dashboard whose disk is slow
        await socket.send_str(encode(Ack(seq=len(told.records))))
        return True


@asynccontextmanager
async def open_desk(*, listening: bool = True) -> AsyncIterator[Desk]:
    """A desk on a free port of its own; `listening=False`: away until `start`."""
    desk = Desk(free_port())
    if listening:
        await desk.start()
    try:
        yield desk
    finally:
        await desk.stop()


def frame_of(kind: str, **fields: object) -> str:
    """A frame that `protocol` would not write."""
    return json.dumps({"type": kind, **fields})
