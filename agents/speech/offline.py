"""Offline STT and TTS for AgentSession: what a job loads of it is this file, and no model."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from typing import Any, Final

from livekit import rtc
from livekit.agents import (
    APIConnectionError,
    APIConnectOptions,
    LanguageCode,
    stt,
    tts,
    utils,
    vad,
)
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr

from agents.speech.client import Heard, SpeechClient
from agents.speech.wire import HEARD_HZ, SAMPLE_BYTES, SPOKEN_HZ
from services.errors import UnavailableError

log = logging.getLogger(__name__)

_ENGLISH: Final = LanguageCode("en")
_BEFORE_S: Final = 0.5  # kept from before speech was noticed
_GUESS_AFTER_S: Final = 0.06  # silence after which whisper begins, in case the caller has ended
_SHORT_SILENCE: Final = bytes(SPOKEN_HZ // 10 * SAMPLE_BYTES)


class OfflineSTT(stt.STT[Any]):
    """Whisper in the speech process. It finds the ends of speech by itself, with `detector`.

    Whisper begins at the first breath of silence: when the silence has lasted long enough to be
    the end, its words are there already. If the caller goes on, they are thrown away.
    """

    def __init__(self, client: SpeechClient, detector: vad.VAD) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))
        self.client = client
        self._detector = detector

    @property
    def model(self) -> str:
        """Its name in metrics."""
        return "whisper-tiny.en"

    @property
    def provider(self) -> str:
        """Its maker in metrics."""
        return "offline"

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        frames = _at_16k(rtc.combine_audio_frames(buffer))
        try:
            heard = await self.client.hear(b"".join(bytes(frame.data) for frame in frames))
        except UnavailableError as exc:
            raise APIConnectionError(str(exc), retryable=False) from exc
        return _final(heard.text)

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        """What the caller says, utterance by utterance."""
        return _Listening(self, self._detector, conn_options)

    async def aclose(self) -> None:
        """Hang up."""
        await self.client.aclose()

    def failed(self, exc: Exception) -> None:
        """Say that an utterance is lost. The session goes on: the next may be heard again."""
        log.error("an utterance was not heard", extra={"error": str(exc)})
        error = stt.STTError(timestamp=time.time(), label=self.label, error=exc, recoverable=True)
        self.emit("error", error)


class _Listening(stt.RecognizeStream):
    """One stream of audio, in utterances."""

    def __init__(
        self, whisper: OfflineSTT, detector: vad.VAD, conn_options: APIConnectOptions
    ) -> None:
        super().__init__(stt=whisper, conn_options=conn_options, sample_rate=HEARD_HZ)
        self._whisper = whisper
        self._detector = detector
        self._audio = bytearray()
        self._guess: asyncio.Task[Heard | None] | None = None

    async def _run(self) -> None:
        events = self._detector.stream()
        feeding = asyncio.create_task(self._feed(events), name="speech feed")
        try:
            async for event in events:
                await self._on(event)
        finally:
            await utils.aio.cancel_and_wait(feeding)
            self._forget_guess()
            await events.aclose()

    async def _feed(self, events: vad.VADStream) -> None:
        async for frame in self._input_ch:
            if isinstance(frame, rtc.AudioFrame):
                events.push_frame(frame)
            else:
                events.flush()
        events.end_input()

    async def _on(self, event: vad.VADEvent) -> None:
        match event.type:
            case vad.VADEventType.INFERENCE_DONE:
                for frame in event.frames:
                    self._audio += bytes(frame.data)
                if not event.speaking:
                    del self._audio[: -int(_BEFORE_S * HEARD_HZ) * SAMPLE_BYTES]
                elif event.raw_accumulated_speech > 0:
                    self._forget_guess()
                elif event.raw_accumulated_silence >= _GUESS_AFTER_S and self._guess is None:
                    guess = self._whisper.client.guess(bytes(self._audio))
                    self._guess = asyncio.create_task(guess, name="speech guess")
            case vad.VADEventType.START_OF_SPEECH:
                self._send(stt.SpeechEvent(stt.SpeechEventType.START_OF_SPEECH))
            case vad.VADEventType.END_OF_SPEECH:
                ended = time.time() - event.silence_duration - event.inference_duration
                end = stt.SpeechEventType.END_OF_SPEECH
                self._send(stt.SpeechEvent(end, speech_end_time=ended))
                await self._hear(ended)

    async def _hear(self, ended: float) -> None:
        began = time.perf_counter()
        audio = bytes(self._audio)
        try:
            heard = await self._guess if self._guess is not None else None
            if heard is None:
                heard = await self._whisper.client.hear(audio)
        except UnavailableError as exc:
            self._whisper.failed(exc)
            return
        finally:
            self._forget_guess()
            del self._audio[: -int(_BEFORE_S * HEARD_HZ) * SAMPLE_BYTES]
        if not heard.text:
            return
        took_ms = round((time.perf_counter() - began) * 1000)
        log.debug("heard", extra={"after_ms": took_ms, "whisper_ms": heard.took_ms})
        final = _final(heard.text)
        final.speech_end_time = ended
        self._send(final)
        seconds = len(audio) / SAMPLE_BYTES / HEARD_HZ
        self._send(
            stt.SpeechEvent(
                stt.SpeechEventType.RECOGNITION_USAGE,
                recognition_usage=stt.RecognitionUsage(audio_duration=seconds),
            )
        )

    def _forget_guess(self) -> None:
        if self._guess is not None:
            self._guess.cancel()  # its request is cancelled with it
            self._guess = None

    def _send(self, event: stt.SpeechEvent) -> None:
        self._event_ch.send_nowait(event)


class OfflineTTS(tts.TTS[Any]):
    """The voice in the speech process. AgentSession gives it sentence after sentence."""

    def __init__(self, client: SpeechClient) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False),
            sample_rate=SPOKEN_HZ,
            num_channels=1,
        )
        self.client = client

    @property
    def model(self) -> str:
        """Its name in metrics."""
        return "en_US-joe-medium"

    @property
    def provider(self) -> str:
        """Its maker in metrics."""
        return "offline"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """The audio of a text, as it is made. Closed early, the rest is not made."""
        return _Speaking(voice=self, input_text=text, conn_options=conn_options)

    async def aclose(self) -> None:
        """Hang up."""
        await self.client.aclose()

    def failed(self, exc: Exception) -> None:
        """Say that a sentence stays unspoken. The session goes on, and its text is shown."""
        log.error("a sentence was not spoken", extra={"error": str(exc)})
        error = tts.TTSError(timestamp=time.time(), label=self.label, error=exc, recoverable=True)
        self.emit("error", error)


class _Speaking(tts.ChunkedStream):
    def __init__(
        self, *, voice: OfflineTTS, input_text: str, conn_options: APIConnectOptions
    ) -> None:
        super().__init__(tts=voice, input_text=input_text, conn_options=conn_options)
        self._voice = voice

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid("tts_"),
            sample_rate=SPOKEN_HZ,
            num_channels=1,
            mime_type="audio/pcm",
            frame_size_ms=20,
        )
        spoken = False
        try:
            async with aclosing(self._voice.client.say(self._input_text)) as pieces:
                async for pcm in pieces:
                    output_emitter.push(pcm)
                    spoken = True
        except UnavailableError as exc:
            self._voice.failed(exc)
        if not spoken:
            output_emitter.push(_SHORT_SILENCE)  # none at all would end the session
        output_emitter.flush()


def _final(text: str) -> stt.SpeechEvent:
    words = [stt.SpeechData(language=_ENGLISH, text=text, confidence=1.0)] if text else []
    kind = stt.SpeechEventType.FINAL_TRANSCRIPT
    return stt.SpeechEvent(kind, request_id=utils.shortuuid("stt_"), alternatives=words)


def _at_16k(frame: rtc.AudioFrame) -> list[rtc.AudioFrame]:
    if frame.sample_rate == HEARD_HZ:
        return [frame]
    resampler = rtc.AudioResampler(frame.sample_rate, HEARD_HZ)
    return [*resampler.push(frame), *resampler.flush()]
