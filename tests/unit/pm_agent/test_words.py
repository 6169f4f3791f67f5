"""The count of words heard wrongly, which the voice tests stand on."""

from __future__ import annotations

import pytest

from tests.support.words import error_rate, errors, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("seven four two nine one", "74,291."),
        ("seven four two nine one", "7 4 2 9 1"),
        ("at half past three thirty", "at half past 3:30"),
        ("twenty-five tickets", "25 tickets"),
        ("It's okay, Mr. Dashwood.", "its OK mister Dashwood"),
        ("three point one", "3 point 1"),
    ],
)
def test_the_same_words_written_otherwise_are_no_error(one: str, other: str) -> None:
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        ("the form is blocked", 0),
        ("the farm is blocked", 1),
        ("the form is", 1),
        ("the form is not blocked", 1),
        ("", 4),
        ("something else was said here", 5),
    ],
)
def test_wrong_missing_and_added_words_count(heard: str, wrong: int) -> None:
    assert errors("The form is blocked.", heard) == (wrong, 4)


def test_what_sounds_the_same_is_no_error() -> None:
    assert errors("Create two tickets for that.", "Create to tickets four that.") == (0, 5)
    assert errors("I have two.", "I have ten.") == (1, 3)


def test_another_number_is_an_error() -> None:
    assert errors("twenty five", "52") == (1, 1)
    assert errors("twenty, and five", "25")[0] > 0


def test_the_rate_is_over_all_words_not_the_mean_of_the_sentences() -> None:
    assert error_rate([("one", "two"), ("a b c", "a b c")]) == 0.25
