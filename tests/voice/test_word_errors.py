"""How well the offline hearing hears: clean and disturbed speech of our voice, and a real reader."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.recordings import recordings
from tests.support.speaking import ears, spoken, to_16k
from tests.support.words import error_rate

log = logging.getLogger(__name__)

_MOST: Final = 0.06  # of all words
_MOST_RECORDED: Final = 0.10  # 66 words: six of them
_HZ: Final = 16_000

SENTENCES: Final = (
    "When do you open on Saturday?",
    "What can you do for me?",
    "I finished the login page yesterday.",
    "The payment form is blocked by the design team.",
    "Please create a ticket for that.",
    "Who is working on the search?",
    "My order number is seven four two nine one.",
    "Can you repeat that please?",
    "Today I will write the release notes.",
    "We need two more days for testing.",
    "Yes, that is right.",
    "No, please change the second one.",
    "I have no blockers at the moment.",
    "The database migration failed last night.",
    "Let us move the meeting to Thursday.",
    "I am waiting for an answer from the customer.",
    "Thank you, that was all for today.",
    "Put it on the list for the next sprint.",
    "The new version is already in production.",
    "I will be on holiday next week.",
    "Could you assign this task to Maria?",
    "We have found three problems in the report.",
    "The server was slow this morning.",
    "I would like to speak to a human.",
    "How many tickets are open?",
    "It takes about twenty five minutes.",
    "The deadline is the fourteenth of March.",
    "Please read me the last message again.",
    "I fixed the broken link on the home page.",
    "The tests are green, but the build is red.",
    "Nobody has reviewed my changes yet.",
    "We should talk to the marketing department first.",
    "I cannot open the document that you sent.",
    "The contract must be signed before Friday.",
    "Send me a summary of the conversation.",
    "The phone number ends with eight six zero.",
    "There is a mistake in the second paragraph.",
    "I started with the translation of the website.",
    "The old printer does not work any more.",
    "Everything went well, and we are ready to ship.",
    "What is the priority of this problem?",
    "I need access to the shared folder.",
    "The customer wants a bigger button.",
    "Our team has five people now.",
    "Close the ticket, please.",
    "I do not know who wrote this code.",
    "The weather was terrible on the way to work.",
    "We lost an hour because of the network.",
    "Is there anything else that I should know?",
    "Call me back in the afternoon.",
    "The invoice was paid two weeks ago.",
    "Good morning, this is my daily update.",
)


def _varied(pcm: bytes, number: int) -> bytes:
    """Another pitch, level and noise for each sentence, the same in every run."""
    rng = np.random.default_rng(number)
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    pitch = rng.uniform(0.94, 1.07)
    at = np.arange(0, len(samples) - 1, pitch)
    samples = np.interp(at, np.arange(len(samples)), samples) * 10 ** rng.uniform(-0.9, 0.15)
    power = float(np.sqrt((samples**2).mean()))
    noise = rng.normal(0, 1, len(samples)) * power * 10 ** (-rng.uniform(14, 30) / 20)
    return _whole(samples + noise)


def _whole(samples: npt.NDArray[np.float64]) -> bytes:
    pcm: bytes = np.clip(samples, -32_768, 32_767).astype(np.int16).tobytes()
    return pcm


def _slowness(number: int) -> float:
    return float(np.random.default_rng(1_000 + number).uniform(0.85, 1.25))


@pytest.mark.full
def test_of_more_than_fifty_varied_sentences_six_words_in_a_hundred_are_wrong_at_most() -> None:
    assert len(SENTENCES) >= 50
    pairs = []
    for number, text in enumerate(SENTENCES):
        pcm = _varied(to_16k(spoken(text, slowness=_slowness(number))), number)
        pairs.append((text, ears().transcribe(pcm)))
    rate = error_rate(pairs)
    wrong = [pair for pair in pairs if error_rate([pair])]
    log.info("word error rate %.1f %%, wrong: %s", rate * 100, wrong)
    assert rate <= _MOST, wrong


def test_a_real_reader_is_understood() -> None:
    pairs = [(one.text, ears().transcribe(one.pcm)) for one in recordings()]
    rate = error_rate(pairs)
    log.info("word error rate %.1f %%: %s", rate * 100, pairs)
    assert rate <= _MOST_RECORDED, pairs


@pytest.mark.full
def test_silence_around_a_recording_changes_little() -> None:
    silence = _whole(np.random.default_rng(5).normal(0, 6, 2 * _HZ))
    pairs = [(one.text, ears().transcribe(silence + one.pcm + silence)) for one in recordings()]
    assert error_rate(pairs) <= _MOST_RECORDED, pairs
