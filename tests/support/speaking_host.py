"""A process that holds callers who speak: `python -m tests.support.speaking_host`.

The protocol of `tests.support.participant_host`, with "say", "answer" and "silence" besides.
All moments are seconds of this process's own clock.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from livekit import rtc

from tests.support.participant_host import Host, Person, run
from tests.support.waiting import eventually

SPOKEN_HZ: Final = 22_050  # as our voice speaks
HEARD_HZ: Final = 16_000  # as whisper hears
_FRAME_S: Final = 0.02
_FRAME: Final = int(SPOKEN_HZ * _FRAME_S)
_LOUD: Final = 500  # of 32,767: what is above is voice, what is below is line noise
_NOISE: Final = 8
_ANSWER_S: Final = 45.0  # a proposal with its risks and questions is spoken in half a minute


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame from the agent: when it came, whether it has voice in it, and its PCM."""

    at: float
    loud: bool
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """One finished segment of lk.transcription."""

    at: float
    of: str
    text: str
    segment: str


class Caller(Person):
    """Publishes a microphone that is quiet until told to speak; keeps what the agent says."""

    def __init__(self) -> None:
        super().__init__()
        self._to_say = b""
        self._began = self._ended = 0.0
        self._said = asyncio.Event()
        self._frames: list[Frame] = []
        self._lines: list[Line] = []
        self._states: list[tuple[float, str]] = []
        self._aio_tasks: set[asyncio.Task[None]] = set()
        self.room.on("track_subscribed", self._on_track)
        self.room.on("participant_attributes_changed", self._on_attributes)
        self.room.register_text_stream_handler("lk.transcription", self._on_text)

    async def _play(self, source: rtc.AudioSource) -> None:
        """Frames at the clock's pace, so that their moments are those at which they go out."""
        following = time.monotonic()
        while True:
            pcm, self._to_say = self._to_say[: 2 * _FRAME], self._to_say[2 * _FRAME :]
            missing = _FRAME - len(pcm) // 2
            noise = array("h", (random.randint(-_NOISE, _NOISE) for _ in range(missing)))
            await source.capture_frame(rtc.AudioFrame(pcm + noise.tobytes(), SPOKEN_HZ, 1, _FRAME))
            following += _FRAME_S
            await asyncio.sleep(max(0.0, following - time.monotonic()))
            if pcm and not self._to_say:
                self._ended = time.monotonic() + source.queued_duration  # then it is on its way
                self._said.set()

    async def _publish(self) -> None:
        self._source = rtc.AudioSource(SPOKEN_HZ, 1, queue_size_ms=100)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self.room.local_participant.publish_track(track, options)
        self._track_sid = publication.sid
        self._playing = asyncio.create_task(self._play(self._source))

    async def say_aloud(self, path: str) -> dict[str, float]:
        """Speak the PCM in this file; `began` and `ended` are its first and last frame."""
        pcm = await asyncio.to_thread(Path(path).read_bytes)
        self._said.clear()
        self._began, self._to_say = time.monotonic(), pcm
        await self._said.wait()
        return {"began": self._began, "ended": self._ended}

    async def answer(self, since: float, pause_s: float, path: str) -> dict[str, Any]:
        """What the agent said after `since`, once it listens and has been quiet for `pause_s`."""

        def over() -> bool:
            loud = self._loud(since)
            quiet = bool(loud) and time.monotonic() - loud[-1].at >= pause_s
            return quiet and self.state == "listening"

        await eventually(over, within_s=_ANSWER_S)
        loud = self._loud(since)
        first, last = loud[0].at, loud[-1].at
        spoken = [f.pcm for f in self._frames if first - 0.1 <= f.at <= last + 0.2]
        await asyncio.to_thread(Path(path).write_bytes, b"".join(spoken))
        mine = self.room.local_participant.identity
        lines = {line.segment: line for line in self._lines if line.at >= since}  # last words win
        return {
            "first": first,
            "last": last,
            "heard": [line.text for line in lines.values() if line.of == mine],
            "shown": [line.text for line in lines.values() if line.of != mine],
        }

    async def voice(self, since: float) -> dict[str, float]:
        """The moment of the agent's first audible frame after `since`."""
        await eventually(lambda: self._loud(since), within_s=_ANSWER_S)
        return {"first": self._loud(since)[0].at}

    async def silence(self, since: float, pause_s: float) -> dict[str, float]:
        """The agent's last audible frame before the first pause of `pause_s` after `since`."""

        def last() -> float:
            moments = [since, *(frame.at for frame in self._loud(since)), time.monotonic()]
            for moment, after in itertools.pairwise(moments):
                if after - moment >= pause_s:
                    return moment
            return 0.0

        return {"last": await eventually(last, within_s=_ANSWER_S)}

    @property
    def state(self) -> str:
        """The agent's `lk.agent.state`; "" where there is no agent."""
        for person in self.room.remote_participants.values():
            if state := person.attributes.get("lk.agent.state"):
                return state
        return ""

    def seen(self) -> dict[str, Any]:
        return {**super().seen(), "agent_state": self.state, "clock": time.monotonic()}

    def _loud(self, since: float) -> list[Frame]:
        return [frame for frame in self._frames if frame.loud and frame.at > since]

    def _on_track(
        self, track: rtc.Track, _: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._keep(self._listen(track))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=HEARD_HZ, num_channels=1)
        async for event in stream:
            pcm = bytes(event.frame.data)
            loud = max(map(abs, memoryview(pcm).cast("h")), default=0) > _LOUD
            self._frames.append(Frame(time.monotonic(), loud, pcm))

    def _on_attributes(self, changed: dict[str, str], who: rtc.Participant) -> None:
        if state := changed.get("lk.agent.state"):
            self._states.append((time.monotonic(), state))

    def _on_text(self, reader: rtc.TextStreamReader, who: str) -> None:
        self._keep(self._read(reader, who))

    async def _read(self, reader: rtc.TextStreamReader, who: str) -> None:
        text = await reader.read_all()
        segment = (reader.info.attributes or {}).get("lk.segment_id", reader.info.stream_id)
        self._lines.append(Line(time.monotonic(), who, text, segment))

    def _keep(self, work: Any) -> None:
        aio_task = asyncio.ensure_future(work)
        self._aio_tasks.add(aio_task)
        aio_task.add_done_callback(self._aio_tasks.discard)

    async def leave(self) -> None:
        await super().leave()
        for aio_task in self._aio_tasks:
            aio_task.cancel()


class SpeakingHost(Host):
    """Holds callers instead of players of a tone."""

    def person(self) -> Person:
        return Caller()

    async def do(self, op: str, who: str, args: dict[str, Any]) -> object:
        caller = self.people.get(who)
        if not isinstance(caller, Caller):
            return await super().do(op, who, args)
        match op:
            case "aloud":
                return await caller.say_aloud(args["path"])
            case "answer":
                return await caller.answer(args["since"], args["pause_s"], args["path"])
            case "voice":
                return await caller.voice(args["since"])
            case "silence":
                return await caller.silence(args["since"], args["pause_s"])
            case _:
                return await super().do(op, who, args)


if __name__ == "__main__":
    run(SpeakingHost())
