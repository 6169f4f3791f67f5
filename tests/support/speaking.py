"""Callers who really speak: they say sentences by our voice, and hear the agent by our whisper."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from agents.speech import hearing, speaking, wire
from services.livekit.target import LiveKitTarget
from tests.support.participants import ParticipantHost, token_for
from tests.support.waiting import eventually

_MODULE: Final = "tests.support.speaking_host"
_COMMAND_S: Final = 60.0
_PAUSE_S: Final = 0.7  # no sentence of an answer has a longer pause in it
_EDGE: Final = 400  # of 32,767: quieter than this at the ends is no speech
_LEVEL: Final = 0.6


@cache
def voice() -> speaking.Voice:
    """The voice of all callers."""
    return speaking.load(known=None)


@cache
def ears() -> hearing.Hearing:
    """What all callers hear by."""
    return hearing.load(at_once=1, known=None)


def spoken(text: str, *, slowness: float = 1.0) -> bytes:
    """PCM of 16 bits, mono, 22,050 Hz, without silence at its ends."""
    parts = [voice().speak(piece, slowness=slowness) for piece in speaking.pieces(text)]
    samples = np.frombuffer(b"".join(parts), np.int16)
    voiced = np.flatnonzero(np.abs(samples.astype(np.int32)) > _EDGE)
    cut = samples[voiced[0] : voiced[-1] + 1].astype(np.float32) * _LEVEL
    return cut.astype(np.int16).tobytes()


def to_16k(pcm: bytes) -> bytes:
    """What our voice speaks, at the rate that whisper hears."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float32)
    size = len(samples) * wire.HEARD_HZ // wire.SPOKEN_HZ
    at = np.arange(size) * (wire.SPOKEN_HZ / wire.HEARD_HZ)
    resampled: bytes = np.interp(at, np.arange(len(samples)), samples).astype(np.int16).tobytes()
    return resampled


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One thing said and its answer.

    `first_audio_ms` is from the caller's last frame to the agent's first audible one, as they
    reach the caller. `heard` is what the agent understood and `shown` what it says it said, by
    lk.transcription; `answer_text` is what was really heard of it, by whisper.
    """

    said: str
    first_audio_ms: float
    answer_s: float
    answer_text: str
    heard: str
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BargeIn:
    """How long the agent went on speaking after the caller began."""

    stopped_ms: float
    after: Turn


class SpeakingCaller:
    """Somebody on the phone. Say one thing after the other."""

    def __init__(self, host: ParticipantHost, who: str, folder: Path, joined_at: float) -> None:
        self._host, self._who, self._folder = host, who, folder
        self._files = itertools.count(1)
        self._since = joined_at

    async def agent(self, *, within_s: float = 30.0) -> None:
        """Wait for an agent that listens.

        Raises:
            AssertionError: none came, or it does not listen.
        """

        async def listens() -> bool:
            seen = await self._host.ask("seen", self._who)
            return bool(seen["agent_state"] == "listening")

        await eventually(listens, within_s=within_s)

    async def greeting(self) -> Turn:
        """What the agent says before it is asked anything; timed from our joining."""
        return await self._answer("", self._since)

    async def say(self, text: str, *, slowness: float = 1.0) -> Turn:
        """Say it, and hear the whole answer out.

        Raises:
            ParticipantError: no answer within 45 s.
        """
        times = await self._aloud(text, slowness)
        return await self._answer(text, times["ended"])

    async def interrupt(self, first: str, then: str, *, after_s: float = 1.0) -> BargeIn:
        """Say `first`, and `then` into the answer, `after_s` after its first audio."""
        times = await self._aloud(first, 1.0)
        began = await self._host.ask("voice", self._who, since=times["ended"])
        path = await self._file(then, 1.0)
        await asyncio.sleep(after_s)  # speech takes its time: there is no event for it
        cut = asyncio.create_task(self._host.ask("aloud", self._who, path=path))
        times = await cut
        silent = await self._host.ask("silence", self._who, since=times["began"], pause_s=0.4)
        assert silent["last"] > began["first"]
        turn = await self._answer(then, max(times["ended"], silent["last"]))
        stopped = (silent["last"] - times["began"]) * 1000
        return BargeIn(stopped_ms=round(stopped, 1), after=turn)

    async def clock(self) -> float:
        """The moment now, for `unasked`."""
        return float((await self._host.ask("seen", self._who))["clock"])

    async def unasked(self, since: float) -> Turn:
        """What the agent says after `since` without being asked by us; timed from then."""
        return await self._answer("", since)

    async def leave(self) -> None:
        """Hang up."""
        await self._host.ask("leave", self._who)

    async def _aloud(self, text: str, slowness: float) -> dict[str, float]:
        path = await self._file(text, slowness)
        times: dict[str, float] = await self._host.ask("aloud", self._who, path=path)
        return times

    async def _file(self, text: str, slowness: float) -> str:
        path = self._folder / f"{self._who}-{next(self._files)}.pcm"
        pcm = await asyncio.to_thread(spoken, text, slowness=slowness)
        await asyncio.to_thread(path.write_bytes, pcm)
        return str(path)

    async def _answer(self, said: str, since: float) -> Turn:
        path = self._folder / f"{self._who}-{next(self._files)}-answer.pcm"
        got: dict[str, Any] = await self._host.ask(
            "answer", self._who, since=since, pause_s=_PAUSE_S, path=str(path)
        )
        pcm = await asyncio.to_thread(path.read_bytes)
        return Turn(
            said=said,
            first_audio_ms=round((got["first"] - since) * 1000, 1),
            answer_s=round(got["last"] - got["first"], 2),
            answer_text=await asyncio.to_thread(ears().transcribe, pcm),
            heard=" ".join(got["heard"]),
            shown=" ".join(got["shown"]),
        )


class SpeakIn:
    """What the `speak_in` fixture gives: call it for each caller."""

    def __init__(self, host: ParticipantHost, folder: Path) -> None:
        self._host, self._folder = host, folder
        self._numbers = itertools.count(1)
        self._joined: list[str] = []

    @classmethod
    def open(cls, folder: Path) -> SpeakIn:
        """With a process of its own; `close` ends it."""
        log = folder / "speaking-host.log"
        return cls(ParticipantHost(log, module=_MODULE, answer_s=_COMMAND_S), folder)

    async def __call__(
        self, target: LiveKitTarget, room: str, token: str | None = None, *, who: str = "caller"
    ) -> SpeakingCaller:
        """Join `room` with a microphone; without `token` as `who`."""
        await asyncio.to_thread(voice)
        await asyncio.to_thread(ears)
        token = token or token_for(target, room, who)
        name = f"{who}-{next(self._numbers)}"
        seen = await self._host.ask("join", name, url=target.public_url, token=token, audio=True)
        self._joined.append(name)
        return SpeakingCaller(self._host, name, self._folder, seen["clock"])

    async def all_leave(self) -> None:
        """Everybody hangs up; the process stays for the next test."""
        while self._joined:
            await self._host.ask("leave", self._joined.pop())

    def close(self) -> None:
        """All hang up, and the process ends."""
        self._host.close()
        self._joined.clear()
