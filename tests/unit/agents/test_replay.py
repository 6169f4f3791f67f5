"""A call said again to its graph: it passes while the graph goes the same way, and says what not."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from agents.replay import Begins, Decides, Says, Turn, replay
from services.errors import ConfigError

CALL: list[Turn] = [
    Begins(path="hear > greet", contains=["stand-up"]),
    Says("I finished the login page.", path="hear > ask", contains=["NEXT"]),
    Says("Today I will work on the audit log."),
    Says(
        "I am blocked by the missing database access.",
        path="hear > questions + risks > propose > approve",
    ),
    Decides({"type": "accept"}, path="approve > create > tools > summarise"),
]


async def test_a_call_that_goes_as_it_went_passes_again_and_again() -> None:
    for _ in range(2):  # nothing of the first is left for the second
        await replay("pm-agent", CALL, user_id="nate")


@pytest.mark.parametrize(
    ("number", "turn", "says"),
    [
        (0, Begins(path="hear > ask"), "Turn 1 of 5, the beginning: its path was 'hear > ask'"),
        (1, Says("Hello", answer="Goodbye."), "Turn 2 of 5, 'Hello': the answer was 'Goodbye.'"),
        (1, Says("Hello", contains=["tickets", "nobody says"]), "'tickets' is not in"),
        (1, Decides({"type": "accept"}), "was asked None, now it asks []"),
        (4, Decides({"type": "accept"}, asked={"a": 1}), "was asked {'a': 1}, now it asks [{"),
    ],
)
async def test_a_turn_that_goes_otherwise_is_named(number: int, turn: Turn, says: str) -> None:
    turns = [*CALL[:number], turn, *CALL[number + 1 :]]
    with pytest.raises(AssertionError) as caught:
        await replay("pm-agent", turns)
    assert says in str(caught.value)


async def test_a_turn_that_was_cut_off_leaves_the_graph_where_it_was_left() -> None:
    cut = replace(CALL[1], path=None, contains=(), cut_off_after=1)
    later = Says("I said that I finished the login page.", path="hear > ask")
    await replay("pm-agent", [CALL[0], cut, later])


async def test_the_folder_of_a_replay_is_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATA_DIR", str(tmp_path))
    await replay("pm-agent", CALL)
    assert os.environ["SWITCHBOARD_DATA_DIR"] == str(tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv("SWITCHBOARD_DATA_DIR")
    with pytest.raises(ConfigError, match="no graph 'nobody'"):
        await replay("nobody", CALL)
    assert "SWITCHBOARD_DATA_DIR" not in os.environ
