"""Agents are the graphs of langgraph.json; a wrong file says what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.errors import ConfigError, InvalidInputError
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
    with pytest.raises(InvalidInputError) as caught:
        Graphs(file).known("c")
    assert caught.value.field == "agent_id"
    assert "a, b" in caught.value.hint


GRAPH = """
from typing import TypedDict
from langgraph.graph import END, START, StateGraph

print("a graph that prints")


class State(TypedDict, total=False):
    heard: str


async def {node}(state):
    return {{"heard": "yes"}}


graph = StateGraph(State)
graph.add_node("{node}", {node})
graph.add_edge(START, "{node}")
graph.add_edge("{node}", END)
"""


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "a.py").write_text(text)
    file = tmp_path / "langgraph.json"
    file.write_text('{"graphs": {"a": "./a.py:graph"}}')
    return file


async def test_a_graph_is_drawn_once_and_again_when_a_file_beside_it_changes(
    tmp_path: Path,
) -> None:
    graphs = Graphs(written(tmp_path, GRAPH.format(node="listen")))
    drawn = await graphs.drawings()
    assert drawn["a"].error == ""
    assert [(node["id"], node["kind"]) for node in drawn["a"].nodes] == [
        ("__start__", "start"), ("listen", "node"), ("__end__", "end"),
    ]  # fmt: skip
    assert await graphs.drawings() is drawn
    (tmp_path / "a.py").write_text(GRAPH.format(node="hear"))
    assert [node["id"] for node in (await graphs.drawings())["a"].nodes][1] == "hear"


async def test_a_graph_that_does_not_come_to_an_end_is_told_and_tried_again(
    tmp_path: Path,
) -> None:
    file = written(tmp_path, "import threading\n\nthreading.Event().wait()\n")
    graphs = Graphs(file, describe_s=2.0)
    first = await graphs.drawings()
    assert first["a"].error == "It could not be drawn: it took too long"
    assert await graphs.drawings() is not first


async def test_a_graph_that_kills_its_process_is_told(tmp_path: Path) -> None:
    text = "import os, sys\n\nprint('no luck', file=sys.stderr)\nos._exit(3)\n"
    drawn = await Graphs(written(tmp_path, text)).drawings()
    assert drawn["a"].error == "It could not be drawn: no luck"
