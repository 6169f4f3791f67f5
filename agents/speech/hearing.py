"""Whisper tiny.en by CTranslate2: PCM in, words out. Loaded by the speech process alone."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agents.speech import models
from agents.speech.wire import HEARD_HZ

Samples = npt.NDArray[np.float32]

_FULL_S: Final = 30.0  # whisper's own window
_LEAST_S: Final = 8.0
_ROOM_S: Final = 4.0  # silence behind the speech; less, and whisper begins to repeat
_PIECE_S: Final = 28.0
_BEAM: Final = 5
_LEAD: Final = HEARD_HZ // 2  # silence before the speech; without it the first word is often lost
_FRAME: Final = 160  # samples in one mel frame
_QUIET: Final = 0.004  # level (RMS) of the loudest tenth of a second below which nobody speaks
_NO_SPEECH: Final = 0.6
_UNSURE: Final = -1.0  # mean log probability of the words
_ALONE_UNSURE: Final = -0.7
_ALONE: Final = frozenset({"you", "thank you", "thanks for watching", "bye", "so", "the", "oh"})


class Hearing:
    """The model. `transcribe` may be called by several threads; it releases the GIL."""

    def __init__(self, folder: Path, *, at_once: int = 1) -> None:
        from faster_whisper import WhisperModel  # type: ignore[import-untyped]
        from faster_whisper.tokenizer import Tokenizer  # type: ignore[import-untyped]

        whisper = WhisperModel(
            str(folder),
            device="cpu",
            compute_type="int8",
            cpu_threads=1,  # two are slower for sentences
            num_workers=at_once,
            local_files_only=True,
        )
        self._model: Any = whisper.model
        self._mel: Any = whisper.feature_extractor
        self._tokens: Any = Tokenizer(
            whisper.hf_tokenizer, whisper.model.is_multilingual, task="transcribe", language="en"
        )
        self._prompt: list[int] = whisper.get_prompt(self._tokens, [], without_timestamps=True)

    def transcribe(self, pcm: bytes) -> str:
        """The words in PCM of 16 bits, mono, 16,000 Hz; "" where nobody speaks."""
        samples = np.frombuffer(pcm, np.int16).astype(np.float32) / np.float32(32_768)
        if _loudest(samples) < _QUIET:
            return ""
        size = int(_PIECE_S * HEARD_HZ)
        pieces = (samples[at : at + size] for at in range(0, len(samples), size))
        return " ".join(filter(None, map(self._piece, pieces)))

    def _piece(self, samples: Samples) -> str:
        seconds = len(samples) / HEARD_HZ
        window_s = min(_FULL_S, max(_LEAST_S, seconds + _ROOM_S))
        text, score, silence = self._decode(samples, window_s)
        if window_s < _FULL_S and (score < _UNSURE or looping(text, seconds)):
            text, score, silence = self._decode(samples, _FULL_S)
        alone = text.lower().strip(" .!?,") in _ALONE
        nothing = silence > _NO_SPEECH and score < (_ALONE_UNSURE if alone else _UNSURE)
        return "" if nothing or looping(text, seconds) or not re.search(r"\w", text) else text

    def _decode(self, samples: Samples, window_s: float) -> tuple[str, float, float]:
        """Words, their mean log probability, and how likely it is that nobody speaks.

        Whisper was made for 30 s; the encoder's time grows with the window, so that a sentence
        in a window of its own takes a third of the time.
        """
        from faster_whisper.transcribe import (  # type: ignore[import-untyped]
            get_ctranslate2_storage,
        )

        frames = math.ceil(window_s * 50) * 2  # even: the encoder halves them
        padded = np.zeros(frames * _FRAME, np.float32)
        padded[_LEAD : _LEAD + len(samples)] = samples
        mel = self._mel(padded, padding=0)[:, :frames].astype(np.float32)
        encoded = self._model.encode(get_ctranslate2_storage(mel[None]))
        # a person says five words a second at most: about eight tokens
        most = len(self._prompt) + int(len(samples) / HEARD_HZ * 8) + 16
        result = self._model.generate(
            encoded,
            [self._prompt],
            beam_size=_BEAM,
            suppress_blank=True,
            suppress_tokens=[-1],
            max_length=min(448, most),
            return_no_speech_prob=True,
            return_scores=True,
        )[0]
        text = self._tokens.decode(result.sequences_ids[0]).strip()
        return text, float(result.scores[0]), float(result.no_speech_prob)


def load(*, at_once: int, known: Path | None) -> Hearing:
    """The model from its package, verified and warm.

    Raises:
        ConfigError: not installed, or not the file that was tested.
    """
    folder = models.whisper_files()
    models.verify(folder, models.WHISPER, known=known)
    hearing = Hearing(folder, at_once=at_once)
    hearing._decode(np.zeros(HEARD_HZ, np.float32), _LEAST_S)
    return hearing


def looping(text: str, seconds: float) -> bool:
    """Whether it looks like whisper's repetition rather than like speech of this length."""
    words = re.findall(r"[a-z0-9']+", text.lower())
    if len(words) > 4.5 * seconds + 3:  # nobody speaks so fast
        return True
    if re.search(r"([^\d\s]{1,4}?)\1{4,}", text):  # "hahahahaha"
        return True
    threes = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
    if len(threes) - len(set(threes)) > len(threes) // 4:
        return True
    halves = (words[:k] == words[k : 2 * k] for k in range(3, len(words) // 2 + 1))
    return any(halves)


def _loudest(samples: Samples) -> float:
    tenth = HEARD_HZ // 10
    if len(samples) < tenth:
        return 0.0
    whole = samples[: len(samples) // tenth * tenth].reshape(-1, tenth)
    return float(np.sqrt((whole**2).mean(axis=1)).max())
