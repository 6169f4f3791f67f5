"""What AgentSession takes to hear and to speak, offline or by LiveKit's plugins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from livekit.agents import TurnHandlingOptions, inference, stt, tts, vad

from agents.speech.client import SpeechClient
from agents.speech.offline import OfflineSTT, OfflineTTS
from agents.speech.plugins import wanted
from services.settings import Settings

_SILENCE_S: Final = 0.25  # the least that LiveKit's turn detector allows
_OVER: Final = 0.3  # the probability from which a turn counts as over


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechParts:
    """What `AgentSession` takes under these names. `aclose` when the job is over."""

    stt: stt.STT[Any]
    tts: tts.TTS[Any]
    vad: vad.VAD
    turn_handling: TurnHandlingOptions

    async def aclose(self) -> None:
        """Close both."""
        await self.stt.aclose()
        await self.tts.aclose()


def speech_parts(settings: Settings, client: SpeechClient | None = None) -> SpeechParts:
    """The parts by `SWITCHBOARD_STT` and `SWITCHBOARD_TTS`.

    `client` leads to the speech process; without one it is that of the worker's environment.

    Raises:
        ConfigError: a plugin cannot be had, or offline speech is wanted and no process is there.
    """
    hears = wanted("SWITCHBOARD_STT", settings.switchboard_stt)
    speaks = wanted("SWITCHBOARD_TTS", settings.switchboard_tts)
    detector = inference.VAD(min_silence_duration=_SILENCE_S)

    @cache
    def process() -> SpeechClient:
        return client or SpeechClient.from_env()

    return SpeechParts(
        stt=hears.make(stt.STT) if hears else OfflineSTT(process(), detector),
        tts=speaks.make(tts.TTS) if speaks else OfflineTTS(process()),
        vad=detector,
        turn_handling=_turns(),
    )


def _turns() -> TurnHandlingOptions:
    """Local models by name: the defaults would choose ones in the cloud.

    At LiveKit's own threshold (0.36 for English) the small detector takes most sentences from a
    browser, whose noise suppression leaves silence after them, for unfinished: see docs/speech.md.
    """
    return {
        "turn_detection": inference.TurnDetector(version="v1-mini", unlikely_threshold=_OVER),
        "endpointing": {"mode": "fixed", "min_delay": 0.25, "max_delay": 1.0},
        "interruption": {"mode": "vad", "min_duration": 0.25},
        "preemptive_generation": {"enabled": False},
    }
