"""What a microphone gives is measured and judged: silence, noise, level, speech."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from services.audio.microphone_check import HZ, Microphone, Reading, chime, judge, level_db
from services.health.findings import Finding, Status

Pcm = npt.NDArray[np.int16]


def noise(db: float, seconds: float) -> Pcm:
    rms = 32_768 * 10 ** (db / 20)
    return np.random.default_rng(7).normal(0, rms, round(seconds * HZ)).astype(np.int16)


def reading(**changes: float | None) -> Reading:
    facts: dict[str, object] = {
        "heard_s": 8.0,
        "spoken_s": 3.0,
        "level_db": -30.0,
        "speaks": False,
        "speech_db": -25.0,
        "noise_db": -70.0,
        "clipped": 0.0,
    }
    return Reading(**{**facts, **changes})  # type: ignore[arg-type]


def statuses(found: tuple[Finding, ...]) -> dict[str, Status]:
    return {one.code.removeprefix("device_"): one.status for one in found}


def test_a_level_is_in_db_below_full_scale() -> None:
    assert level_db(np.full(480, 32_767, np.int16)) == pytest.approx(0, abs=0.01)
    assert level_db(noise(-30, 0.1)) == pytest.approx(-30, abs=0.5)
    assert level_db(np.zeros(480, np.int16)) == -96
    assert level_db(np.zeros(0, np.int16)) == -96


def test_pieces_of_any_size_are_measured_the_same() -> None:
    sound = noise(-30, 1.0)
    whole, pieces = Microphone(), Microphone()
    whole.hear(sound)
    for at in range(0, len(sound), 777):
        pieces.hear(sound[at : at + 777])
    assert whole.read() == pieces.read()
    assert whole.read().heard_s == pytest.approx(1.0, abs=0.04)


def test_nothing_is_known_before_something_came() -> None:
    found = judge(Microphone().read())
    assert statuses(found) == {"sound": Status.UNKNOWN}


def test_a_microphone_that_is_muted_by_itself_is_named() -> None:
    held = Microphone()
    held.hear(np.zeros(2 * HZ, np.int16))
    (found,) = judge(held.read())
    assert found.status is Status.PROBLEM
    assert "silence" in found.message
    assert "muted" in found.fix


def test_noise_is_no_speech_and_there_is_nothing_to_play_back() -> None:
    held = Microphone()
    held.hear(noise(-30, 7.0))
    got = held.read()
    assert got.spoken_s < 0.6
    assert got.noise_db == pytest.approx(-30, abs=1)
    assert not len(held.last())
    found = statuses(judge(got))
    assert found == {
        "sound": Status.OK,
        "speech": Status.WARNING,
        "noise": Status.WARNING,
    }


def test_who_has_not_spoken_yet_is_asked_to() -> None:
    found = judge(reading(heard_s=2.0, spoken_s=0.0, speech_db=None))
    assert statuses(found)["speech"] is Status.UNKNOWN


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({}, "level", Status.OK),
        ({"speech_db": -50.0}, "level", Status.WARNING),
        ({"clipped": 0.1}, "level", Status.WARNING),
        ({}, "noise", Status.OK),
        ({"noise_db": -35.0}, "noise", Status.WARNING),
        ({"noise_db": -44.0, "speech_db": -20.0}, "noise", Status.OK),
        ({"noise_db": None}, "noise", Status.UNKNOWN),
    ],
)
def test_each_weakness_has_its_verdict(
    changes: dict[str, float | None], code: str, status: Status
) -> None:
    found = judge(reading(**changes))
    assert statuses(found)[code] is status
    assert all(one.fix for one in found if one.status is Status.WARNING)


def test_the_sound_to_hear_is_soft_and_short() -> None:
    sound = chime()
    assert sound.dtype == np.int16
    assert len(sound) / HZ == pytest.approx(0.9)
    assert np.max(np.abs(sound)) < 0.35 * 32_767
