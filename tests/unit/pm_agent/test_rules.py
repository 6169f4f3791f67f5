"""What a caller means, from what speech recognition gives: a table."""

from __future__ import annotations

from typing import Final

import pytest

from agents.pm_agent.planning import open_questions, risks
from agents.pm_agent.rules import MAX_CHARS, MAX_ITEM_CHARS, MAX_ITEMS, understand
from agents.pm_agent.words import count, listed

SAID: Final[list[tuple[str, str, str, dict[str, list[str]]]]] = [
    # all slots at once, as written, and as heard
    ("Yesterday I fixed the search. Today I'll do the export. No blockers.", "", "update", {"done": ["fixed the search"], "next": ["do the export"], "blockers": []}),
    ("yesterday i finished the login page today i will write the tests and im blocked by the missing api key", "", "update", {"done": ["finished the login page"], "next": ["write the tests"], "blockers": ["the missing api key"]}),
    ("done: login. next: export. blockers: vpn", "", "update", {"done": ["login"], "next": ["export"], "blockers": ["vpn"]}),
    ("I finished the report and then I will go home", "done", "update", {"done": ["finished the report"], "next": ["go home"]}),
    # the slot that was asked for
    ("the login page", "done", "update", {"done": ["the login page"]}),
    ("um so i worked on the audit log, and fixed two bugs", "done", "update", {"done": ["worked on the audit log", "fixed two bugs"]}),
    ("im done with the login page", "done", "update", {"done": ["the login page"]}),
    ("I finished the blocker analysis", "done", "update", {"done": ["finished the blocker analysis"]}),
    ("today i finished the migration", "done", "update", {"done": ["finished the migration"]}),
    ("I will finish the export tomorrow", "next", "update", {"next": ["finish the export tomorrow"]}),
    ("waiting for the review from anna", "blockers", "update", {"blockers": ["waiting for the review from anna"]}),
    ("I am blocked because Anna is ill", "blockers", "update", {"blockers": ["anna is ill"]}),
    ("My blockers are the VPN and the missing licence.", "next", "update", {"blockers": ["the vpn", "the missing licence"]}),
    # nothing
    ("No.", "blockers", "none", {"blockers": []}),
    ("no block hers", "blockers", "update", {"blockers": []}),
    ("There are no blockers at the moment.", "next", "update", {"blockers": []}),
    ("I'm not blocked", "blockers", "update", {"blockers": []}),
    ("nothing planned", "next", "none", {"next": []}),
    ("skip", "next", "skip", {"next": []}),
    ("No.", "", "none", {}),
    # corrections
    ("No, I meant the export page.", "next", "correct", {"done": ["the export page"]}),
    ("actually the blocker is the firewall", "next", "correct", {"blockers": ["the firewall"]}),
    ("scratch that", "next", "correct", {}),
    # the call itself
    ("Good bye.", "done", "goodbye", {}),
    ("Thank you, bye bye.", "", "goodbye", {}),
    ("No thanks, that's all.", "", "finish", {}),
    ("I'm done.", "blockers", "finish", {}),
    ("no blockers thanks bye", "blockers", "finish", {"blockers": []}),
    ("Can you repeat that please?", "done", "repeat", {}),
    ("What?", "done", "repeat", {}),
    ("help me", "done", "help", {}),
    ("Stand up.", "", "yes", {}),
    ("Hello? Are you there?", "next", "hello", {}),
    ("What are my open tickets?", "", "recall", {}),
    ("what did i say last time", "done", "recall", {}),
    # odd input
    ("", "done", "unheard", {}),
    (" ... !", "done", "unheard", {}),
    ("ich habe gestern die Seite fertig gemacht", "done", "foreign", {}),
    ("你好世界", "done", "foreign", {}),
    ("shut up", "done", "unclear", {}),
    ("the weather is nice", "", "unclear", {}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "asking", "intent", "slots"), SAID)
def test_it_means(text: str, asking: str, intent: str, slots: dict[str, list[str]]) -> None:
    meant = understand(text, asking=asking, told=("done",))
    assert (meant.intent, meant.slots) == (intent, slots)


@pytest.mark.parametrize("shout", [str.upper, str.title, lambda text: text.replace(".", "")])
def test_capitals_and_full_stops_change_nothing(shout: object) -> None:
    assert callable(shout)
    for text, asking, intent, slots in SAID:
        if intent in {"update", "none"} and "," not in text and ":" not in text:
            meant = understand(shout(text), asking=asking, told=("done",))
            assert (meant.intent, meant.slots) == (intent, slots), text


@pytest.mark.parametrize(
    "text",
    ["x" * 100_000, "and " * 50_000, "i will i will " * 5000, ", " * 50_000, "no blockers " * 5000,
     "'" * 9000, "\x00\ud800\u202e", "thing, " * 900, "what " * 4000 + "tickets", "((((" * 999],
)  # fmt: skip
@pytest.mark.timeout(5)
def test_any_text_is_taken_quickly_and_within_bounds(text: str) -> None:
    meant = understand(text, asking="done")
    assert len(text[:MAX_CHARS]) <= MAX_CHARS
    for items in meant.slots.values():
        assert len(items) <= MAX_ITEMS
        assert all(len(item) <= MAX_ITEM_CHARS for item in items)


def test_risks_and_questions_are_told_from_the_items() -> None:
    slots = {"done": [], "next": ["deploy the api"], "blockers": ["waiting for anna", "the vpn"]}
    assert risks(slots) == [
        "The vpn may take longer to get than it looks.",
        "Deploy the api can break what works.",
    ]
    assert open_questions(slots) == ["Who can help with the vpn?"]


def test_numbers_and_lists_can_be_spoken() -> None:
    assert [count(n, "ticket") for n in (0, 1, 2, 13)] == [
        "no tickets", "one ticket", "two tickets", "13 tickets",
    ]  # fmt: skip
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefg")) == "a, b, c, d, e, and two more"
