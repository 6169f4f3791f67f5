"""What pm-agent says: short sentences for the ear, no markup, small numbers as words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agents.pm_agent.state import PMState, Slot

GREETING: Final = "Hello, this is your project manager. Let's do the stand-up."
QUESTIONS: Final[dict[Slot, str]] = {
    "done": "What have you finished?",
    "next": "What will you do next?",
    "blockers": "Is anything blocking you?",
}
HELP: Final = (
    "I take your stand-up: what you finished, what comes next, and what blocks you. "
    "You can say skip, repeat, or, no, I meant. You can ask what you said last time. "
    "Say goodbye to hang up."
)
UNHEARD: Final = "Sorry, I did not catch that."
FOREIGN: Final = "Sorry, I only understand English."
UNCLEAR: Final = "Sorry, I did not understand."
ANYTHING_ELSE: Final = "Anything else?"
NOT_CREATED: Final = "I could not create the tickets, sorry. I will try again in a moment."
GOODBYE: Final = "Thank you, and goodbye."
ADD_SOMETHING: Final = "You can add what you finished, what comes next, or what blocks you."
DROPPED: Final = "Okay, I dropped that."
NOBODY: Final = "I do not know who you are, so I cannot look back."
NO_NOTES: Final = "Sorry, I cannot find my notes right now."
NO_MEMORY: Final = "I have no notes from an earlier stand-up of yours."

_NUMBERS: Final = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
)  # fmt: skip
_NAMES: Final[dict[str, str]] = {"done": "Done", "next": "Next", "blockers": "Blocked by"}
_SPOKEN: Final = 5  # of a list; the rest is counted


def count(number: int, noun: str) -> str:
    """As in "one ticket", "two tickets"; digits above twelve."""
    word = _NUMBERS[number] if 0 <= number < len(_NUMBERS) else str(number)
    return f"{word} {noun}" if number == 1 else f"{word} {noun}s"


def listed(items: Sequence[str]) -> str:
    """As in "a, b and c"; of a long list the first five, and how many more."""
    shown = list(items[:_SPOKEN])
    if len(items) > _SPOKEN:
        return f"{', '.join(shown)}, and {count(len(items) - _SPOKEN, 'more')[:-1]}"
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def noted(slots: Mapping[str, Sequence[str]], which: Iterable[str]) -> str:
    """What was written down for these slots."""
    return " ".join(
        f"{_NAMES[slot]}: {listed(slots[slot])}."
        if slots.get(slot)
        else {"done": "Nothing finished.", "next": "Nothing planned.", "blockers": "No blockers."}[
            slot
        ]
        for slot in which
    )


def titles(tickets: Sequence[Mapping[str, str]]) -> str:
    """The tickets' titles, in one breath."""
    return listed([ticket["title"] for ticket in tickets])


def waiting(state: PMState | Mapping[str, object]) -> str:
    """What to say while a human decides on the tickets."""
    proposal = state.get("proposal")
    number = len(proposal) if isinstance(proposal, list) else 0
    what = f"the {count(number, 'ticket')}" if number else "your tickets"
    return f"One moment please. A colleague is looking at {what}."
