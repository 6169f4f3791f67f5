"""The speech process: whisper and the voice, once for all jobs of a machine.

`python -m agents.speech.process`, started by `agents.speech.server`. One line of JSON on stdin
says what to load and where to listen; the end of stdin ends the process, so it never outlives
the worker. What it is doing goes to stdout, one JSON object a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agents.speech.fair_queue import FairQueue, FullError
from agents.speech.wire import MAX_TEXT, Kind, Message, WireError, of_json, read
from services.errors import ConfigError

if TYPE_CHECKING:
    from agents.speech.hearing import Hearing
    from agents.speech.speaking import Voice

log = logging.getLogger(__name__)

REFUSED: Final = 3  # exit code: what it was told to load cannot be used
_EACH: Final = 8  # requests of one job that wait, at most
_TOTAL: Final = 64
_UNREAD_BYTES: Final = 8 << 20  # a job that does not read its answers is cut off
_HELLO_S: Final = 5.0
_TOLD_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the worker tells this process at its start."""

    address: str
    token: str = field(repr=False)
    hear: bool
    speak: bool
    at_once: int
    known: str

    @classmethod
    def from_line(cls, line: str) -> Orders:
        """Of one line of JSON."""
        return cls(**json.loads(line))


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """One request of one job. `cancelled` is set by the loop and read by the threads."""

    job: Job
    number: int
    since: float = field(default_factory=time.monotonic)
    pcm: bytes = b""
    pieces: tuple[str, ...] = ()
    cancelled: bool = False


class Job:
    """The connection of one job process."""

    def __init__(self, writer: asyncio.StreamWriter, loop: asyncio.AbstractEventLoop) -> None:
        self._writer = writer
        self._loop = loop
        self.requests: dict[int, Request] = {}

    def send(self, message: Message) -> None:
        """From any thread. What a job does not read is bounded: it is cut off."""
        self._loop.call_soon_threadsafe(self._send, message)

    def answer(self, request: Request, message: Message) -> None:
        """Send, if the answer is still wanted; the last message of a request forgets it."""
        self._loop.call_soon_threadsafe(self._answer, request, message)

    def _answer(self, request: Request, message: Message) -> None:
        if request.cancelled or self.requests.get(request.number) is not request:
            return
        if message.kind is not Kind.AUDIO:
            del self.requests[request.number]
        self._send(message)

    def _send(self, message: Message) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > _UNREAD_BYTES:
            log.warning("a job does not read its answers and is cut off")
            transport.abort()
            return
        self._writer.write(message.packed())

    def cancel(self, number: int) -> Request | None:
        """What is being made for this request goes to nobody. None where it is answered."""
        request = self.requests.pop(number, None)
        if request is not None:
            request.cancelled = True
        return request

    def gone(self) -> None:
        """The job hung up."""
        for number in tuple(self.requests):
            _ = self.cancel(number)


class Desk:
    """Takes requests in, lets threads work on them, sends the answers back."""

    def __init__(self, orders: Orders, hearing: Hearing | None, voice: Voice | None) -> None:
        self._orders = orders
        self._hearing, self._voice = hearing, voice
        self.to_hear: FairQueue[Request] = FairQueue(each=_EACH, total=_TOTAL)
        self.to_say: FairQueue[Request] = FairQueue(each=_EACH, total=_TOTAL)
        self.jobs = 0
        self.heard = self.said = 0

    def start(self) -> None:
        """Start the threads. They are daemons: the end of stdin waits for none of them."""
        for _ in range(self._orders.at_once):
            if self._hearing is not None:
                self._thread("hear", self.to_hear, partial(self._hear, self._hearing))
            if self._voice is not None:
                self._thread("speak", self.to_say, partial(self._say, self._voice))

    def _thread(
        self, name: str, queue: FairQueue[Request], work: Callable[[Request], None]
    ) -> None:
        def run() -> None:
            while (taken := queue.get()) is not None:
                request = taken[1]
                try:
                    if not request.cancelled:
                        work(request)
                except Exception as exc:
                    log.exception("a request failed")
                    failed = of_json(Kind.FAILED, request.number, error=type(exc).__name__)
                    request.job.answer(request, failed)
                finally:
                    queue.done()

        threading.Thread(target=run, name=name, daemon=True).start()

    def _hear(self, hearing: Hearing, request: Request) -> None:
        began = time.monotonic()
        text = hearing.transcribe(request.pcm)
        self.heard += 1
        took, waited = time.monotonic() - began, began - request.since
        answer = of_json(
            Kind.TEXT,
            request.number,
            text=text,
            took_ms=round(took * 1000, 1),
            waited_ms=round(waited * 1000, 1),
        )
        request.job.answer(request, answer)

    def _say(self, voice: Voice, request: Request) -> None:
        """One piece; the others when everybody else has had a turn."""
        if request.pieces:
            pcm = voice.speak(request.pieces[0])
            request.pieces = request.pieces[1:]
            if request.cancelled:
                return
            audio = Message(kind=Kind.AUDIO, request=request.number, body=pcm)
            request.job.answer(request, audio)
        if request.pieces:
            self.to_say.put(request.job, request, again=True)
            return
        self.said += 1
        request.job.answer(request, Message(kind=Kind.DONE, request=request.number))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One job, until it hangs up."""
        job = Job(writer, asyncio.get_running_loop())
        try:
            async with asyncio.timeout(_HELLO_S):
                hello = await read(reader)
            token = self._orders.token.encode()
            if (
                hello is None
                or hello.kind is not Kind.HELLO
                or not secrets.compare_digest(hello.body, token)
            ):
                log.warning("a connection without our token is refused")
                return
            job.send(Message(kind=Kind.WELCOME))
            self.jobs += 1
            try:
                while (message := await read(reader)) is not None:
                    self._take(job, message)
            finally:
                self.jobs -= 1
        except (TimeoutError, WireError) as exc:
            log.warning("a connection is closed", extra={"error": str(exc)})
        finally:
            job.gone()
            self.to_hear.drop(job)
            self.to_say.drop(job)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _take(self, job: Job, message: Message) -> None:
        number = message.request
        if message.kind is Kind.CANCEL:
            if request := job.cancel(number):
                self.to_hear.remove(job, request)
                self.to_say.remove(job, request)
            return
        if number in job.requests:
            raise WireError(f"two requests with the number {number}")
        match message.kind:
            case Kind.HEAR | Kind.GUESS if self._hearing is not None:
                if message.kind is Kind.GUESS and not self.to_hear.idle:
                    job.send(of_json(Kind.BUSY, number, waiting=len(self.to_hear)))
                    return
                request, queue = Request(job=job, number=number, pcm=message.body), self.to_hear
            case Kind.SAY if self._voice is not None:
                request, queue = _to_say(job, message), self.to_say
            case _:
                job.send(of_json(Kind.FAILED, number, error=f"{message.kind.name} is not served"))
                return
        job.requests[number] = request
        try:
            queue.put(job, request)
        except FullError:
            del job.requests[number]
            job.send(of_json(Kind.BUSY, number, waiting=len(queue)))

    def as_json(self) -> dict[str, Any]:
        """How it is going, for the worker's status."""
        waiting = len(self.to_hear) + len(self.to_say)
        return {"jobs": self.jobs, "waiting": waiting, "heard": self.heard, "said": self.said}


def _to_say(job: Job, message: Message) -> Request:
    from agents.speech.speaking import pieces

    body = message.json()
    text, skip = body.get("text"), body.get("skip", 0)
    if not isinstance(text, str) or not isinstance(skip, int) or len(text) > MAX_TEXT:
        raise WireError("SAY needs a text of at most 4000 characters and how much to skip")
    return Request(job=job, number=message.request, pieces=pieces(text)[skip:])


def _load(orders: Orders) -> Desk:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime would tell its maker
    os.environ["HF_HUB_OFFLINE"] = "1"
    known = Path(orders.known) if orders.known else None
    hearing: Hearing | None = None
    voice: Voice | None = None
    if orders.hear:
        from agents.speech import hearing as ears

        hearing = ears.load(at_once=orders.at_once, known=known)
    if orders.speak:
        from agents.speech import speaking

        voice = speaking.load(known=known)
    return Desk(orders, hearing, voice)


def _end_with_stdin() -> None:
    """Ends at once, whatever the other threads are doing: the worker is gone or wants it."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, name="stdin", daemon=True).start()


async def _serve(orders: Orders, desk: Desk, tell: Callable[[dict[str, Any]], None]) -> None:
    kind, _, where = orders.address.partition(":")
    if kind == "unix":  # in a folder that only this user may enter
        with contextlib.suppress(FileNotFoundError):
            os.unlink(where)  # noqa: PTH108 - of one that was killed
        server = await asyncio.start_unix_server(desk.serve, where)
    else:
        host, _, port = where.rpartition(":")
        server = await asyncio.start_server(desk.serve, host, int(port))
    desk.start()
    async with server:
        told: dict[str, Any] = {}
        while True:
            if (now := desk.as_json()) != told:
                told = now
                tell({"ready": True, **now})
            await asyncio.sleep(_TOLD_EVERY_S)


def main() -> int:
    """Exit code 3 where what it was told to load cannot be used."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print must not mix with it

    def tell(what: dict[str, Any]) -> None:
        try:
            answers.write(json.dumps(what) + "\n")
        except OSError:
            os._exit(0)  # the worker is gone

    for ending in (signal.SIGINT, signal.SIGTERM):  # sent to the worker's whole group: it may drain
        signal.signal(ending, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    orders = Orders.from_line(sys.stdin.readline())
    _end_with_stdin()
    try:
        desk = _load(orders)
    except ConfigError as exc:
        tell({"error": exc.message, "hint": exc.hint})
        return REFUSED
    asyncio.run(_serve(orders, desk, tell))
    return 0


if __name__ == "__main__":
    os._exit(main())  # no waiting for threads in native code
