"""What a microphone gives, measured as it comes: level, noise, clipping, and whether one speaks."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from livekit.local_inference import VAD, VAD_WINDOW_SAMPLES

from services.health.findings import Area, Check, Finding

HZ: Final = 48_000
"""What is taken and given back: signed 16 bit, one channel."""

_STEP: Final = 3  # to the 16 kHz that the detector wants
_WINDOW: Final = VAD_WINDOW_SAMPLES * _STEP
_WINDOW_S: Final = _WINDOW / HZ
_NOW: Final = round(0.3 / _WINDOW_S)  # windows that the shown level is over
_LAST: Final = round(12 / _WINDOW_S)  # windows that are judged
_KEPT: Final = round(6 / _WINDOW_S)  # windows that can be played back
_SPEAKS: Final = 0.5  # the detector's probability, as LiveKit's agents take it
_FULL: Final = 32_600
_QUIETEST_DB: Final = -96.0

_ENOUGH_S: Final = 0.6
_PATIENCE_S: Final = 5.0
_QUIET_DB: Final = -42.0
_NOISE_DB: Final = -45.0
_APART_DB: Final = 15.0
_CLIPPED: Final = 0.02

SOUND = Check(
    code="device_sound",
    area=Area.MICROPHONE,
    name="Audio input",
    impact="The agent hears only what this browser sends.",
)
SPEECH = Check(
    code="device_speech",
    area=Area.MICROPHONE,
    name="Speech detection",
    impact="The agent answers only after it has detected speech and its end.",
)
LEVEL = Check(
    code="device_level",
    area=Area.MICROPHONE,
    name="Level",
    impact="Speech that is too quiet or clipped is transcribed incorrectly.",
)
NOISE = Check(
    code="device_noise",
    area=Area.MICROPHONE,
    name="Background noise",
    impact="Noise masks the ends of words and can delay end-of-turn detection.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What came so far. Levels are RMS in dB below full scale, -96 at the least; None: none yet.

    `clipped` is the share of windows with speech in which the sound hit the top; speech, noise
    and clipping are those of the last 12 s.
    """

    heard_s: float
    spoken_s: float
    level_db: float
    speaks: bool
    speech_db: float | None
    noise_db: float | None
    clipped: float


@dataclass(frozen=True, slots=True)
class _Window:
    level_db: float
    speech: bool
    clipped: bool


class Microphone:
    """Hears one microphone. Fed from one thread, read from any other; holds seconds, stores none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vad = VAD()
        self._rest: npt.NDArray[np.int16] = np.zeros(0, np.int16)
        self._windows: deque[_Window] = deque(maxlen=_LAST)
        self._sound: deque[npt.NDArray[np.int16]] = deque(maxlen=_KEPT)
        self._heard = 0
        self._spoken = 0

    def hear(self, pcm: npt.NDArray[np.int16]) -> None:
        """Take samples of one channel at `HZ`, as many as there are. About 0.1 ms for 32 ms."""
        self._rest = np.concatenate((self._rest, pcm))
        while len(self._rest) >= _WINDOW:
            window, self._rest = self._rest[:_WINDOW], self._rest[_WINDOW:]
            self._take(window)

    def read(self) -> Reading:
        """What came until now."""
        with self._lock:
            windows, heard, spoken = tuple(self._windows), self._heard, self._spoken
        speech = [one for one in windows if one.speech]
        quiet = [one.level_db for one in windows if not one.speech]
        now = [one.level_db for one in windows[-_NOW:]]
        return Reading(
            heard_s=heard * _WINDOW_S,
            spoken_s=spoken * _WINDOW_S,
            level_db=max(now, default=_QUIETEST_DB),
            speaks=bool(windows) and windows[-1].speech,
            speech_db=float(np.median([one.level_db for one in speech])) if speech else None,
            noise_db=float(np.median(quiet)) if quiet else None,
            clipped=sum(one.clipped for one in speech) / len(speech) if speech else 0.0,
        )

    def last(self) -> npt.NDArray[np.int16]:
        """The last seconds, 6 at the most, from where speech began; empty before any."""
        with self._lock:
            sound, windows = list(self._sound), list(self._windows)[-len(self._sound) :]
        spoken = [i for i, one in enumerate(windows) if one.speech]
        if not spoken:
            return np.zeros(0, np.int16)
        around = round(0.2 / _WINDOW_S)
        return np.concatenate(sound[max(0, spoken[0] - around) : spoken[-1] + 1 + around])

    def _take(self, window: npt.NDArray[np.int16]) -> None:
        thin = window.reshape(-1, _STEP).mean(axis=1).astype(np.int16)
        seen = _Window(
            level_db=level_db(window),
            speech=self._vad.predict(thin) >= _SPEAKS,
            clipped=bool(np.max(np.abs(window.astype(np.int32))) >= _FULL),
        )
        with self._lock:
            self._windows.append(seen)
            self._sound.append(window)
            self._heard += 1
            self._spoken += seen.speech


def level_db(pcm: npt.NDArray[np.int16]) -> float:
    """The RMS of samples in dB below full scale: 0 at the most, -96 at the least."""
    if not len(pcm):
        return _QUIETEST_DB
    rms = math.sqrt(float(np.mean(np.square(pcm.astype(np.float64))))) / 32_768
    return max(_QUIETEST_DB, 20 * math.log10(rms)) if rms > 0 else _QUIETEST_DB


def judge(reading: Reading) -> tuple[Finding, ...]:
    """What is well and what to change; not known where too little came to tell."""
    if reading.heard_s < _ENOUGH_S:
        return (SOUND.unknown("No audio yet."),)
    loudest = max(
        v for v in (reading.level_db, reading.noise_db, reading.speech_db) if v is not None
    )
    if loudest <= _QUIETEST_DB + 6:
        return (
            SOUND.problem(
                "The microphone sends only silence.",
                "It is muted by a switch or by the system's sound settings, or the browser uses the "
                "wrong device. Select another device above.",
            ),
        )
    found = [SOUND.ok(f"Receiving for {reading.heard_s:.0f} s, level {reading.level_db:.0f} dB.")]
    if reading.spoken_s < _ENOUGH_S or reading.speech_db is None:
        late = reading.heard_s > _PATIENCE_S
        found.append(
            SPEECH.warning(
                "No speech detected.",
                "Say a sentence. If you did, move closer, or select another device above.",
            )
            if late
            else SPEECH.unknown("Say a sentence, for example “I finished the login page”.")
        )
        return (*found, _noise(reading))
    found.append(SPEECH.ok(f"{reading.spoken_s:.1f} s of speech."))
    return (*found, _level(reading, reading.speech_db), _noise(reading))


def _level(reading: Reading, speech_db: float) -> Finding:
    said = f"Speech level {speech_db:.0f} dB"
    if reading.clipped > _CLIPPED:
        return LEVEL.warning(
            f"{said}, {reading.clipped:.0%} clipped.",
            "Lower the microphone level in the system's sound settings, or move away.",
        )
    if speech_db < _QUIET_DB:
        return LEVEL.warning(
            f"{said}: too quiet.",
            "Raise the microphone level in the system's sound settings, or move closer.",
        )
    return LEVEL.ok(f"{said}, no clipping.")


def _noise(reading: Reading) -> Finding:
    if reading.noise_db is None:
        return NOISE.unknown("Stay silent for a moment to measure noise.")
    said = f"Noise level {reading.noise_db:.0f} dB"
    if reading.speech_db is None:
        apart = None
    else:
        apart = reading.speech_db - reading.noise_db
        said += f", {apart:.0f} dB below speech"
    if reading.noise_db > _NOISE_DB and (apart is None or apart < _APART_DB):
        return NOISE.warning(
            f"{said}: too loud.",
            "Use a headset, close the window, or move away from the noise.",
        )
    return NOISE.ok(f"{said}.")


def chime() -> npt.NDArray[np.int16]:
    """Two soft tones, 0.9 s, at `HZ`: a sound to hear."""
    return np.concatenate([_tone(659.25, 0.35), _tone(880.0, 0.55)])


def _tone(hertz: float, seconds: float) -> npt.NDArray[np.int16]:
    at = np.arange(round(seconds * HZ)) / HZ
    fades = np.minimum(1, at / 0.02) * np.exp(-3 * at / seconds)
    return (0.3 * 32_767 * fades * np.sin(2 * np.pi * hertz * at)).astype(np.int16)
