"""The graph of pm-agent, loaded as langgraph.json names it, compiles and answers."""

from __future__ import annotations

import importlib
from typing import Any

from services.graphs import Graphs
from services.settings import PROJECT_DIR


def _load() -> Any:
    path, _, name = Graphs(PROJECT_DIR / "langgraph.json").known("pm-agent").path.partition(":")
    module = importlib.import_module(path.removeprefix("./").removesuffix(".py").replace("/", "."))
    return getattr(module, name)


async def test_the_graph_answers_with_what_it_heard() -> None:
    graph = _load()
    assert await graph.ainvoke({"heard": "stand-up is at ten"}) == {
        "heard": "stand-up is at ten",
        "answer": "stand-up is at ten",
    }
    assert (await graph.ainvoke({"heard": ""}))["answer"] == ""


async def test_the_graph_carries_the_agents_name() -> None:
    graph = _load()
    assert graph.get_name() == "pm-agent"
    assert set(graph.get_graph().nodes) == {"__start__", "respond", "__end__"}
