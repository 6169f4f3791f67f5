"""How many words were heard wrongly, with a loose reading of numbers.

Before counting, both texts become lower-case words without punctuation and apostrophes. Number
words become digits ("twenty-five" is 25), and digits that follow each other become one word:
"seven four two", "7 4 2", "742" and "7.42" are the same, for whisper writes them in any of these
ways. "Fourteenth" is 14th, "any more" anymore, "okay" ok and "colour" color. "To", "too" and "two"
sound the same, and so do "for" and "four": nobody can hear which it was. Nothing else is forgiven.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_UNITS: Final = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
]
_TENS: Final = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS: Final = [
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    *("tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth"),
    *("seventeenth", "eighteenth", "nineteenth", "twentieth"),
]
_SAME: Final = {
    "okay": "ok",
    "mr": "mister",
    "colour": "color",
    **{word: f"{number}th" for number, word in enumerate(_ORDINALS, 1)},
}

_SOUND_ALIKE: Final = {"to": "2", "too": "2", "for": "4"}


def words(text: str) -> list[str]:
    """The words to be compared."""
    text = re.sub(r"(?<=\d)[.,:](?=\d)", "", text.lower().replace("'", "").replace("’", ""))
    text = text.replace("any more", "anymore")
    text = re.sub(r"(?<=\d)(st|nd|rd)\b", "th", text)
    found: list[str] = []
    after_tens = False
    for word in re.findall(r"[a-z0-9]+", text):
        number = _number(word)
        last = found[-1] if found else ""
        if number is None:
            found.append(_SAME.get(word, word))
        elif word in _UNITS[1:10] and after_tens:
            found[-1] = last[:-1] + number
        elif last.isdigit():
            found[-1] = last + number
        else:
            found.append(number)
        after_tens = word in _TENS
    return found


def _number(word: str) -> str | None:
    if word.isdigit():
        return word
    if word in _UNITS:
        return str(_UNITS.index(word))
    return str((_TENS.index(word) + 2) * 10) if word in _TENS else None


def errors(said: str, heard: str) -> tuple[int, int]:
    """Words that are wrong, missing or too many in `heard`, and the words of `said`."""
    wanted, got = _sounds(said), _sounds(heard)
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1], len(wanted)


def _sounds(text: str) -> list[str]:
    return [_SOUND_ALIKE.get(word, word) for word in words(text)]


def error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """The share of all words said that were heard wrongly, 0 to 1 and more."""
    counts = [errors(said, heard) for said, heard in pairs]
    return sum(wrong for wrong, _ in counts) / sum(total for _, total in counts)
