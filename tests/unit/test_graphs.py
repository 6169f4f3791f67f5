"""Agents are the graphs of langgraph.json; a wrong file says what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.errors import BadInputError, ConfigError
from services.graphs import Graphs
from services.settings import PROJECT_DIR


def test_the_projects_own_file_names_pm_agent() -> None:
    entry = Graphs(PROJECT_DIR / "langgraph.json").known("pm-agent")
    path = entry.path.partition(":")[0]
    assert (PROJECT_DIR / path).is_file()


def test_both_forms_that_langgraph_takes_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "langgraph.json"
    file.write_text('{"graphs": {"b": "./b.py:graph", "a": {"path": "./a.py:make"}}}')
    found = [(entry.name, entry.path) for entry in Graphs(file).all()]
    assert found == [("b", "./b.py:graph"), ("a", "./a.py:make")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"graphs": []}',
        '{"graphs": null}',
        '{"graphs": {"a": 5}}',
        '{"graphs": {"a": "./no_colon.py"}}',
        '{"graphs": {"a": {}}}',
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start_with_one_sentence(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "langgraph.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"langgraph\.json cannot be used"):
        Graphs(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.json"):
        Graphs(tmp_path / "absent.json")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "langgraph.json"
    file.write_text('{"graphs": {"a": "./a.py:graph"}}')
    graphs = Graphs(file)
    file.write_text('{"graphs": {"b": "./b.py:graph"}}')
    os.utime(file, ns=(1, 1))
    assert [entry.name for entry in graphs.all()] == ["b"]


def test_an_unknown_agent_is_refused_with_the_names_that_there_are(tmp_path: Path) -> None:
    file = tmp_path / "langgraph.json"
    file.write_text('{"graphs": {"a": "./a.py:graph", "b": "./b.py:graph"}}')
    with pytest.raises(BadInputError) as caught:
        Graphs(file).known("c")
    assert caught.value.field == "agent_id"
    assert "a, b" in caught.value.hint
