"""Graphs are loaded as LangGraph's CLI loads them; one that cannot be says why in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from agents.registry import agent_names, load_graph
from services.errors import ConfigError
from services.settings import PROJECT_DIR, Settings

BODY: Final = """
from typing import TypedDict
from langgraph.graph import END, START, StateGraph


class State(TypedDict, total=False):
    heard: str


async def listen(state):
    return {"heard": "yes"}


builder = StateGraph(State)
builder.add_node("listen", listen)
builder.add_edge(START, "listen")
compiled = builder.compile()


def bare():
    return builder


def configured(config):
    assert config["configurable"] == {}
    return builder.compile()


async def later():
    return builder


def waiting(state):
    return "One moment."


number = 5
broken = StateGraph(State)


def failing():
    raise OSError("no disk")
"""


def made(tmp_path: Path, variable: str, body: str = BODY, *, as_object: bool = False) -> Settings:
    """A langgraph.json in a folder of its own that names a file outside of it."""
    (tmp_path / "graphs").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "graphs" / "mine.py").write_text(body)
    path = f"../graphs/mine.py:{variable}"
    file = tmp_path / "config" / "langgraph.json"
    file.write_text(json.dumps({"graphs": {"mine": {"path": path} if as_object else path}}))
    return Settings(switchboard_langgraph_json=file)


@pytest.mark.parametrize("as_object", [False, True])
@pytest.mark.parametrize("variable", ["builder", "compiled", "bare", "configured", "later"])
async def test_every_form_is_loaded_and_keeps_its_thread_in_our_checkpointer(
    tmp_path: Path, variable: str, as_object: bool
) -> None:
    settings = made(tmp_path, variable, as_object=as_object)
    saver = InMemorySaver()
    loaded = await load_graph("mine", saver, settings=settings)
    config = {"configurable": {"thread_id": "t"}}
    await loaded.graph.ainvoke({"heard": "no"}, config)
    assert await saver.aget_tuple({"configurable": {"thread_id": "t"}}) is not None
    assert (await loaded.graph.aget_state(config)).values == {"heard": "yes"}
    assert loaded.waiting is not None
    assert loaded.waiting({}) == "One moment."


@pytest.mark.parametrize(
    ("variable", "body", "why"),
    [
        ("absent", BODY, "mine.py has no absent"),
        ("number", BODY, "is a int, not a graph"),
        ("broken", BODY, "does not compile: ValueError"),
        ("failing", BODY, "cannot be made: OSError: no disk"),
        ("graph", "import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("graph", "def (", "SyntaxError"),
        ("graph", "raise SystemExit(3)", "SystemExit: 3"),
    ],
)
async def test_a_graph_that_cannot_be_loaded_says_why(
    tmp_path: Path, variable: str, body: str, why: str
) -> None:
    settings = made(tmp_path, variable, body)
    with pytest.raises(ConfigError, match="The graph 'mine'") as caught:
        await load_graph("mine", InMemorySaver(), settings=settings)
    assert why in str(caught.value)


async def test_a_missing_file_and_an_unknown_name_are_told(tmp_path: Path) -> None:
    settings = made(tmp_path, "graph")
    (tmp_path / "graphs" / "mine.py").unlink()
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        await load_graph("mine", InMemorySaver(), settings=settings)
    with pytest.raises(ConfigError, match=r"no graph 'other'.* names: mine"):
        await load_graph("other", InMemorySaver(), settings=settings)


async def test_the_projects_own_graphs_load_and_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATA_DIR", str(tmp_path))
    settings = Settings()
    assert agent_names(settings) == ("pm-agent", "echo")
    for name, answer in (("pm-agent", "What have you finished?"), ("echo", "You said: hello")):
        loaded = await load_graph(name, InMemorySaver(), settings=settings)
        assert loaded.graph.get_name() == name or name == "echo"
        assert (loaded.waiting is not None) == (name == "pm-agent")
        config = {"configurable": {"thread_id": "t"}}
        state = await loaded.graph.ainvoke({"messages": [HumanMessage("hello")]}, config)
        assert answer in state["messages"][-1].text


def test_describing_prints_nodes_and_edges_and_what_is_wrong_with_a_graph(tmp_path: Path) -> None:
    settings = made(tmp_path, "builder")
    file = settings.switchboard_langgraph_json
    graphs = json.loads(file.read_text())["graphs"]
    file.write_text(json.dumps({"graphs": {**graphs, "bad": "../graphs/mine.py:broken"}}))
    done = subprocess.run(
        [sys.executable, "-m", "agents.registry", "--describe"],
        cwd=PROJECT_DIR,
        env={**os.environ, "SWITCHBOARD_LANGGRAPH_JSON": str(file)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(done.stdout)
    assert [node["id"] for node in found["mine"]["nodes"]] == ["__start__", "listen", "__end__"]
    assert {edge["source"] for edge in found["mine"]["edges"]} == {"__start__", "listen"}
    assert "does not compile" in found["bad"]["error"]


def test_no_graph_imports_livekit_and_a_checkpoint_names_no_class(tmp_path: Path) -> None:
    script = (
        "import agents, os, sys; import agents.pm_agent.graph, agents.echo.graph;"
        "assert os.environ['LANGGRAPH_STRICT_MSGPACK'] == 'true';"
        "assert not [m for m in sys.modules if m.partition('.')[0] == 'livekit']"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT_DIR, timeout=60, check=True)
