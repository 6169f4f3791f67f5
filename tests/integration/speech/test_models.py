"""The model files, and what hearing does with silence, noise and repetition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from agents.speech import models
from agents.speech.hearing import looping
from agents.speech.speaking import pieces
from services.errors import ConfigError
from tests.support.speaking import ears, spoken, to_16k

HZ: Final = 16_000


def _pcm(samples: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bytes:
    return (np.clip(samples, -1, 1) * 32_767).astype(np.int16).tobytes()


def test_a_model_file_with_another_content_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"something else")
    with pytest.raises(ConfigError, match="not the one that Switchboard was tested with") as info:
        models.verify(tmp_path, models.WHISPER)
    assert "pip install" in info.value.hint


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.bin cannot be read"):
        models.verify(tmp_path, models.WHISPER)


def test_the_installed_models_are_the_tested_ones() -> None:
    models.verify(models.whisper_files(), models.WHISPER)
    models.verify(models.voice_files(), models.VOICE)


def test_what_was_summed_before_is_not_read_again_until_the_file_changes(tmp_path: Path) -> None:
    model, known = tmp_path / "model.bin", tmp_path / "cache" / "known.json"
    model.write_bytes(b"good")
    good = {"model.bin": models.checksum(model)}
    models.verify(tmp_path, good, known=known)
    sums = json.loads(known.read_text())
    assert list(sums.values()) == list(good.values())

    inode_kept = model.stat()
    model.write_bytes(b"evil")  # the same size, another time of change
    assert model.stat().st_mtime_ns != inode_kept.st_mtime_ns
    with pytest.raises(ConfigError):
        models.verify(tmp_path, good, known=known)


def test_a_damaged_memory_of_sums_does_no_harm(tmp_path: Path) -> None:
    model, known = tmp_path / "model.bin", tmp_path / "known.json"
    model.write_bytes(b"good")
    for rubbish in ("", "[]", '{"a": ', "null"):
        known.write_text(rubbish)
        models.verify(tmp_path, {"model.bin": models.checksum(model)}, known=known)


@pytest.mark.parametrize("level", [0.0, 0.0005, 0.002])
def test_silence_and_line_noise_have_no_words(level: float) -> None:
    rng = np.random.default_rng(1)
    assert ears().transcribe(_pcm(rng.normal(0, 1, 2 * HZ) * level)) == ""


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("kind", ["white", "brown", "hum"])
def test_noise_has_no_words(kind: str, level: float) -> None:
    rng = np.random.default_rng(2)
    white = rng.normal(0, 1, 2 * HZ)
    noise = {
        "white": white,
        "brown": np.cumsum(white) / 100,
        "hum": np.sin(2 * np.pi * 50 * np.arange(2 * HZ) / HZ),
    }[kind]
    assert ears().transcribe(_pcm(noise * level)) == ""


def test_a_short_yes_is_heard() -> None:
    assert "yes" in ears().transcribe(to_16k(spoken("Yes."))).lower()


def test_a_repetition_is_told_from_speech() -> None:
    assert looping("the the the the the the the the the the", 1.5)
    assert looping("I am here to help you I am here to help you I am here to help you", 6.0)
    assert looping("hahahahahahaha", 2.0)
    assert looping("one two three four five six seven eight nine ten eleven twelve", 1.0)
    assert not looping("My order number is 7 4 2 9 1.", 2.4)
    assert not looping("No, no, that is not what I said.", 2.4)
    assert not looping("I finished the login page and the search page.", 3.0)


def test_the_first_piece_of_an_answer_is_short_and_nothing_is_lost() -> None:
    text = (
        "I wrote down that the payment form is blocked, and I will ask the design team about it. "
        "Is there anything else?"
    )
    found = pieces(text)
    assert found[0] == "I wrote down that the payment form is blocked,"
    assert " ".join(found) == text


def test_numbers_and_titles_do_not_end_a_sentence() -> None:
    assert pieces("It takes 3.5 hours. Ask Dr. Smith.") == ("It takes 3.5 hours.", "Ask Dr. Smith.")


def test_a_text_without_words_has_no_pieces_and_an_endless_one_has_bounded_ones() -> None:
    assert pieces(" … -- !") == ()
    assert max(map(len, pieces("word " * 700))) <= 220
    assert max(map(len, pieces("x" * 3_000))) <= 220
