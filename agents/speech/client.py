"""How a job asks the speech process. One connection a job, opened at the first request."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from agents.speech.wire import (
    ADDRESS_ENV,
    HEARD_HZ,
    MAX_HEARD_S,
    MAX_TEXT,
    SAMPLE_BYTES,
    TOKEN_ENV,
    Kind,
    Message,
    WireError,
    of_json,
    read,
)
from services.errors import ConfigError, UnavailableError

log = logging.getLogger(__name__)

_AWAY_S: Final = 8.0  # so long may it take to come back after a crash
_ANSWER_S: Final = 15.0
_AGAIN_S: Final = 0.05
_TRIES: Final = 2
_MOST_BYTES: Final = int(MAX_HEARD_S * HEARD_HZ) * SAMPLE_BYTES


class SpeechUnavailableError(UnavailableError):
    """The speech process did not answer, twice; a later request may be answered again."""

    code = "speech_unavailable"


class SpeechBusyError(UnavailableError):
    """Too many requests wait in the speech process."""

    code = "speech_busy"


class _LostError(Exception):
    """The connection broke before the answer was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What was said; "" where nobody spoke. How long whisper took, and what it waited for."""

    text: str
    took_ms: float = 0.0
    waited_ms: float = 0.0


class SpeechClient:
    """Belongs to one event loop. A request that the process dies under is asked once more."""

    def __init__(self, address: str, token: str, *, away_s: float = _AWAY_S) -> None:
        self._address, self._token, self._away_s = address, token, away_s
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[Message | None]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> SpeechClient:
        """To the process that the worker told its jobs of.

        Raises:
            ConfigError: the worker started none.
        """
        address, token = environ.get(ADDRESS_ENV, ""), environ.get(TOKEN_ENV, "")
        if not address or not token:
            raise ConfigError(
                "No speech process is known to this job.",
                hint="Start the worker by switchboard worker, or put "
                "`async with open_speech_server(settings):` around yours.",
            )
        return cls(address, token)

    async def hear(self, pcm: bytes) -> Heard:
        """The words in PCM of 16 bits, mono, 16,000 Hz; of the last 60 s where it is longer.

        Raises:
            SpeechUnavailableError, SpeechBusyError: see there.
        """
        body = pcm[-_MOST_BYTES:]
        for again in _tries():
            try:
                async with self._ask(Kind.HEAR, body) as answers:
                    return _heard(await _next(answers))
            except _LostError as exc:
                _give_up(exc, again=again)
        raise AssertionError

    async def guess(self, pcm: bytes) -> Heard | None:
        """The same, but None where the process has other work, or is away: never an error."""
        try:
            async with self._ask(Kind.GUESS, pcm[-_MOST_BYTES:]) as answers:
                return _heard(await _next(answers))
        except (_LostError, UnavailableError):
            return None

    async def say(self, text: str) -> AsyncGenerator[bytes, None]:
        """PCM of 16 bits, mono, 22,050 Hz, piece by piece as they are made.

        Close it, and what has not been made yet is not made.

        Raises:
            SpeechUnavailableError, SpeechBusyError: see there.
        """
        got = 0
        for again in _tries():
            request = of_json(Kind.SAY, 0, text=text[:MAX_TEXT], skip=got)
            try:
                async with self._ask(Kind.SAY, request.body) as answers:
                    while (message := await _next(answers)).kind is Kind.AUDIO:
                        got += 1
                        yield message.body
                    _checked(message)
                    return
            except _LostError as exc:
                _give_up(exc, again=again)

    async def aclose(self) -> None:
        """Hang up."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        self._lost()

    # -- inside

    @asynccontextmanager
    async def _ask(self, kind: Kind, body: bytes) -> AsyncIterator[asyncio.Queue[Message | None]]:
        """Send a request; whoever leaves before its last answer cancels it."""
        writer = await self._connected()
        number = next(self._numbers)
        answers = self._answers[number] = asyncio.Queue()
        try:
            writer.write(Message(kind=kind, request=number, body=body).packed())
            yield answers
        finally:
            if self._answers.pop(number, None) is not None and writer is self._writer:
                writer.write(Message(kind=Kind.CANCEL, request=number).packed())

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is not None:
                return self._writer
            try:
                async with asyncio.timeout(self._away_s):
                    reader, writer = await self._connect()
            except TimeoutError:
                raise _LostError("it does not listen") from None
            self._writer = writer
            self._reading = asyncio.create_task(self._read(reader, writer), name="speech answers")
            return writer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            try:
                reader, writer = await self._open()
            except OSError:  # it is being started again
                await asyncio.sleep(_AGAIN_S)
                continue
            try:
                writer.write(Message(kind=Kind.HELLO, body=self._token.encode()).packed())
                welcome = await read(reader)
            except BaseException:
                writer.close()
                raise
            if welcome is not None:
                return reader, writer
            writer.close()  # it was ending when we came
            await asyncio.sleep(_AGAIN_S)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        kind, _, where = self._address.partition(":")
        if kind == "unix":
            return await asyncio.open_unix_connection(where)
        host, _, port = where.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (message := await read(reader)) is not None:
                if message.kind is Kind.AUDIO:
                    answers = self._answers.get(message.request)
                else:
                    answers = self._answers.pop(message.request, None)
                if answers is not None:
                    answers.put_nowait(message)
        except WireError:
            log.exception("the speech process is not understood")
        finally:
            if writer is self._writer:
                self._lost()

    def _lost(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        answers, self._answers = self._answers, {}
        for queue in answers.values():
            queue.put_nowait(None)


def _tries() -> list[bool]:
    """For each try, whether one more may follow."""
    return [left > 0 for left in reversed(range(_TRIES))]


def _give_up(exc: _LostError, *, again: bool) -> None:
    if again:
        return
    raise SpeechUnavailableError(
        f"The speech process is not there: {exc}.",
        hint="It is started again by itself; the worker's log says why it ended.",
    ) from exc


async def _next(answers: asyncio.Queue[Message | None]) -> Message:
    try:
        async with asyncio.timeout(_ANSWER_S):
            message = await answers.get()
    except TimeoutError:
        raise SpeechBusyError(
            f"The speech process has not answered for {_ANSWER_S:g} s.",
            hint="Let this worker take fewer sessions at once: SWITCHBOARD_WORKER_MAX_JOBS.",
        ) from None
    if message is None:
        raise _LostError("it ended under the request")
    return message


def _checked(message: Message) -> Message:
    match message.kind:
        case Kind.BUSY:
            raise SpeechBusyError(
                f"{message.json().get('waiting')} requests wait in the speech process.",
                hint="Let this worker take fewer sessions at once: SWITCHBOARD_WORKER_MAX_JOBS.",
            )
        case Kind.FAILED:
            raise SpeechUnavailableError(
                f"The speech process could not do it: {message.json().get('error')}.",
                hint="The worker's log has the whole error.",
            )
    return message


def _heard(message: Message) -> Heard:
    body = _checked(message).json()
    return Heard(text=body["text"], took_ms=body["took_ms"], waited_ms=body["waited_ms"])
