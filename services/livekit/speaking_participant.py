"""A caller of our own that speaks: plays files into the room, and hears when the agent sounds."""

from __future__ import annotations

import array
import asyncio
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Final

from livekit import rtc

from services.errors import InvalidInputError
from services.livekit.synthetic_participant import TextCaller

_HZ: Final = 22_050
_FRAME_S: Final = 0.02
_QUEUE_MS: Final = 60  # so much later is heard what was given
_LOUD: Final = 500  # of 32,768: less is noise


class SpeakingCaller(TextCaller):
    """A `TextCaller` with a microphone. It publishes silence between what it speaks."""

    async def join(self, url: str, token: str) -> None:
        """Join with a microphone, and hear every agent. Raises LiveKitUnavailableError."""
        self._source = rtc.AudioSource(_HZ, 1, queue_size_ms=_QUEUE_MS)
        self._sound: Callable[[], None] = lambda: None
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(maxsize=5)
        self._room.on("track_subscribed", self._on_track)
        await super().join(url, token)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._room.local_participant.publish_track(track, options)
        self._start(self._play())

    def _auto_subscribe(self) -> bool:
        return True

    async def speak(self, file: Path, *, sound: Callable[[], None]) -> float:
        """Speak a WAV file (16 bits, mono, 22,050 Hz); gives the moment at which speech ended.

        `sound` is called for each frame of the agent's in which it is heard, from then on.

        Raises:
            InvalidInputError: the file is of another kind.
        """
        with wave.open(str(file), "rb") as wav:
            kind = (wav.getnchannels(), wav.getsampwidth(), wav.getframerate())
            if kind != (1, 2, _HZ):
                raise InvalidInputError(f"{file.name} is not 16-bit mono at {_HZ} Hz.")
            pcm = wav.readframes(wav.getnframes())
        self._sound = lambda: None  # what it says while we speak is no answer
        size = 2 * int(_HZ * _FRAME_S)
        for start in range(0, len(pcm), size):
            await self._frames.put(pcm[start : start + size].ljust(size, b"\0"))
        await self._frames.join()
        self._sound = sound
        return time.monotonic() + self._source.queued_duration

    async def _play(self) -> None:
        samples = int(_HZ * _FRAME_S)
        silence = bytes(2 * samples)
        while True:
            spoken = not self._frames.empty()
            pcm = self._frames.get_nowait() if spoken else silence
            await self._source.capture_frame(rtc.AudioFrame(pcm, _HZ, 1, samples))
            if spoken:
                self._frames.task_done()

    def _on_track(
        self,
        track: rtc.Track,
        _publication: rtc.RemoteTrackPublication,
        _participant: rtc.RemoteParticipant,
    ) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._start(self._listen(track))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=16_000, num_channels=1)
        try:
            async for event in stream:
                samples = array.array("h", bytes(event.frame.data))
                if max(samples, default=0) > _LOUD:
                    self._sound()
        finally:
            await stream.aclose()
