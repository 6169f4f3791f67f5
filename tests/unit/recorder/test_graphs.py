"""LangGraph runs as events: ours by `run()`, anybody's by the callbacks that add themselves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from switchboard_recorder import EventKind, Recorder
from switchboard_recorder.commands import current_command
from tests.support import graphs_to_record as graphs
from tests.support.recorder_desk import Desk, Told, open_desk
from tests.support.recorders import recording

INPUT: dict[str, Any] = {"messages": [HumanMessage("hello", id="m1")], "plan": ""}
GRAPH_KINDS = {
    kind.value
    for kind in EventKind
    if kind.value.startswith(("run_", "node_", "tool_", "model_", "interrupt_", "state_", "custom"))
}


class Bench:
    """A recorder, and what the desk was told once it has closed."""

    def __init__(self, recorder: Recorder, desk: Desk) -> None:
        self.recorder = recorder
        self.desk = desk

    async def told(self) -> Told:
        await self.recorder.aclose()
        return self.desk.told


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_desk() as desk, recording(desk, tmp_path) as recorder:
        yield Bench(recorder, desk)


def config(thread: str = "t1") -> dict[str, Any]:
    return {"configurable": {"thread_id": thread}}


async def by_run(bench: Bench, graph: Any, input_: Any, thread: str = "t1") -> None:
    """As our own worker does."""
    async for _ in bench.recorder.run(graph, input_, config(thread)):
        pass


async def by_callbacks(bench: Bench, graph: Any, input_: Any, thread: str = "t1") -> None:
    """As LiveKit's LLMAdapter does: in a task of the session, without a word of us."""

    async def stream() -> None:
        async for _ in graph.astream(input_, config(thread), stream_mode="messages"):
            pass

    await asyncio.create_task(stream())


WAYS = pytest.mark.parametrize("way", [by_run, by_callbacks])


def nodes(told: Told, kind: EventKind = EventKind.NODE_STARTED) -> list[str]:
    return [data["node"] for data in told.of(kind)]


@WAYS
async def test_every_node_is_told_once_with_its_time_and_update(bench: Bench, way: Any) -> None:
    await way(bench, graphs.simple(), INPUT)
    told = await bench.told()
    assert nodes(told) == ["understand", "answer"]
    assert nodes(told, EventKind.NODE_FINISHED) == ["understand", "answer"]
    first, second = told.of(EventKind.NODE_FINISHED)
    assert first["update"] == {"plan": "a plan"}
    assert second["update"]["messages"][0]["content"] == "done"
    assert (first["step"], second["step"]) == (1, 2)
    assert 0 <= first["ms"] < 1_000
    assert (first["error"], first["interrupted"], first["cancelled"]) == (None, False, False)
    started = told.of(EventKind.NODE_STARTED)
    assert [one["task"] for one in started] == [first["task"], second["task"]]


@WAYS
async def test_a_run_begins_and_ends_around_its_nodes(bench: Bench, way: Any) -> None:
    await way(bench, graphs.simple(InMemorySaver()), INPUT, "thread-7")
    told = await bench.told()
    kinds = [kind for kind in told.kinds if kind in GRAPH_KINDS]
    assert kinds[0] == EventKind.RUN_STARTED
    assert kinds[-1] == EventKind.RUN_FINISHED
    (started,), (finished,) = told.of(EventKind.RUN_STARTED), told.of(EventKind.RUN_FINISHED)
    assert started == {"run": started["run"], "thread_id": "thread-7", "cause": "message"}
    assert (finished["next"], finished["interrupts"]) == ([], [])
    runs = {
        data["run"]
        for kind in GRAPH_KINDS
        for data in told.of(kind)
    }  # fmt: skip
    assert runs == {started["run"]}


@WAYS
async def test_the_state_is_told_after_each_super_step(bench: Bench, way: Any) -> None:
    await way(bench, graphs.simple(InMemorySaver()), INPUT)
    told = await bench.told()
    states = [one for one in told.of(EventKind.CHECKPOINT_SAVED) if one["step"] >= 0]
    assert [one["step"] for one in states] == [0, 1, 2]
    assert [one["values"].get("plan") for one in states] == ["", "a plan", "a plan"]
    assert [len(one["values"]["messages"]) for one in states] == [1, 1, 2]
    assert [sorted(one["changed"]) for one in states[1:]] == [["plan"], ["messages"]]
    assert states[0]["next"] == ["understand"]
    assert states[-1]["next"] == []
    assert states[0]["values"]["messages"] == [{"type": "human", "content": "hello", "id": "m1"}]
    if way is by_run:
        assert all(one["checkpoint_id"] for one in states)


@WAYS
async def test_an_interrupt_and_its_resume_carry_the_same_id(bench: Bench, way: Any) -> None:
    graph = graphs.approving(InMemorySaver())
    await way(bench, graph, INPUT)
    (pending,) = (await graph.aget_state(config())).interrupts
    decision = {"type": "accept", "args": None}
    await way(bench, graph, Command(resume={pending.id: decision}))
    told = await bench.told()
    (raised,) = told.of(EventKind.INTERRUPT_RAISED)
    assert (raised["interrupt_id"], raised["node"]) == (pending.id, "approve")
    assert raised["value"] == pending.value
    (resumed,) = told.of(EventKind.INTERRUPT_RESUMED)
    assert (resumed["interrupt_id"], resumed["decision"]) == (pending.id, decision)
    first, second = told.of(EventKind.RUN_FINISHED)
    assert (first["next"], first["interrupts"]) == (["approve"], [pending.id])
    assert (second["next"], second["interrupts"]) == ([], [])
    assert nodes(told) == ["understand", "approve", "approve", "answer"]
    finished = told.of(EventKind.NODE_FINISHED)
    assert [one["interrupted"] for one in finished] == [False, True, False, False]
    assert finished[1]["task"] == finished[2]["task"]
    assert [one["error"] for one in finished] == [None] * 4


@WAYS
async def test_a_resume_without_an_id_answers_what_was_asked(bench: Bench, way: Any) -> None:
    graph = graphs.approving(InMemorySaver())
    await way(bench, graph, INPUT)
    await way(bench, graph, Command(resume="yes"))
    told = await bench.told()
    (raised,), (resumed,) = (
        told.of(EventKind.INTERRUPT_RAISED),
        told.of(EventKind.INTERRUPT_RESUMED),
    )
    assert resumed["interrupt_id"] == raised["interrupt_id"]
    assert resumed["decision"] == "yes"


async def test_a_resume_names_the_command_that_caused_it(bench: Bench) -> None:
    graph = graphs.approving(InMemorySaver())
    await by_run(bench, graph, INPUT)
    token = current_command.set("cmd_7")
    await asyncio.create_task(by_run(bench, graph, Command(resume="yes")))
    current_command.reset(token)
    told = await bench.told()
    assert [one["command_id"] for one in told.of(EventKind.INTERRUPT_RESUMED)] == ["cmd_7"]


@WAYS
async def test_tools_are_told_with_arguments_answer_and_error(bench: Bench, way: Any) -> None:
    await way(bench, graphs.with_tools(), INPUT)
    told = await bench.told()
    started, finished = told.of(EventKind.TOOL_STARTED), told.of(EventKind.TOOL_FINISHED)
    assert [(one["tool"], one["node"]) for one in started] == [("add", "tools"), ("fall", "more")]
    assert started[0]["args"] == {"x": 1, "y": 2}
    assert [one["call"] for one in started] == [one["call"] for one in finished]
    assert finished[0]["output"]["content"] == "3"
    assert finished[0]["error"] is None
    assert "no such ticket" in str(finished[1])


@WAYS
async def test_a_model_is_told_with_its_tokens(bench: Bench, way: Any) -> None:
    await way(bench, graphs.with_model(), INPUT)
    told = await bench.told()
    (model,) = told.of(EventKind.MODEL_FINISHED)
    assert (model["node"], model["error"]) == ("think", None)
    assert model["model"]
    assert (model["tokens_in"], model["tokens_out"]) == (11, 5)
    assert 0 <= model["ttft_ms"] <= model["ms"], "it was streamed"


@WAYS
async def test_parallel_branches_are_told_each_by_itself(bench: Bench, way: Any) -> None:
    await way(bench, graphs.parallel(), INPUT)
    told = await bench.told()
    started = told.of(EventKind.NODE_STARTED)
    assert sorted(one["node"] for one in started) == ["join", "left_branch", "right_branch"]
    assert len({one["task"] for one in started}) == 3
    order = [kind for kind in told.kinds if kind.startswith("node_")]
    assert order[:2] == [EventKind.NODE_STARTED, EventKind.NODE_STARTED], "both ran at once"
    assert sorted(nodes(told, EventKind.NODE_FINISHED)) == ["join", "left_branch", "right_branch"]


@WAYS
async def test_a_graph_in_a_graph_is_told_with_its_place(bench: Bench, way: Any) -> None:
    graph = graphs.nested(InMemorySaver())
    await way(bench, graph, INPUT)
    await way(bench, graph, Command(resume="yes"))
    told = await bench.told()
    first_run = told.of(EventKind.RUN_STARTED)[0]["run"]
    started = [one for one in told.of(EventKind.NODE_STARTED) if one["run"] == first_run]
    assert [(one["node"], bool(one["ns"])) for one in started] == [
        ("understand", False),
        ("inside", False),
        ("inner_ask", True),
    ]
    assert started[2]["ns"].startswith("inside:")
    assert len(told.of(EventKind.INTERRUPT_RAISED)) == 1, "it comes by on two levels"
    assert told.of(EventKind.INTERRUPT_RAISED)[0]["node"] == "inner_ask"
    assert told.of(EventKind.RUN_FINISHED)[0]["next"] == ["inside"]
    assert len(told.of(EventKind.RUN_STARTED)) == 2, "the inner graph is no run of its own"


@WAYS
async def test_a_barge_in_is_told_as_cancelled(bench: Bench, way: Any) -> None:
    entered = asyncio.Event()
    turn = asyncio.create_task(way(bench, graphs.slow(entered), INPUT))
    await entered.wait()
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    told = await bench.told()
    (failed,) = told.of(EventKind.RUN_FAILED)
    assert failed["cancelled"] is True
    assert told.of(EventKind.RUN_FINISHED) == []
    last = told.of(EventKind.NODE_FINISHED)[-1]
    assert (last["node"], last["cancelled"]) == ("wait", True)


async def test_a_reader_that_leaves_cancels_the_run(bench: Bench) -> None:
    async with aclosing(bench.recorder.run(graphs.simple(), INPUT, config())) as stream:
        async for _ in stream:
            break
    told = await bench.told()
    (failed,) = told.of(EventKind.RUN_FAILED)
    assert failed["cancelled"] is True


@WAYS
async def test_an_error_of_a_node_is_told_and_passed_on(bench: Bench, way: Any) -> None:
    with pytest.raises(ValueError, match="a node fails"):
        await way(bench, graphs.line(("fails", graphs.fails)), INPUT)
    told = await bench.told()
    (node,), (run,) = told.of(EventKind.NODE_FINISHED), told.of(EventKind.RUN_FAILED)
    assert node["error"] == run["error"] == "ValueError: a node fails"
    assert (node["cancelled"], run["cancelled"]) == (False, False)


async def test_what_a_node_writes_is_told(bench: Bench) -> None:
    await by_run(bench, graphs.line(("writes", graphs.writes)), INPUT)
    told = await bench.told()
    assert [one["data"] for one in told.of(EventKind.CUSTOM)] == [{"progress": 0.5}]


@WAYS
async def test_a_node_that_jumps_is_told_with_its_update(bench: Bench, way: Any) -> None:
    await way(bench, graphs.jumping(), INPUT)
    told = await bench.told()
    assert nodes(told) == ["jump", "answer"]
    assert told.of(EventKind.NODE_FINISHED)[0]["update"]["update"] == {"plan": "jumped"}


async def test_run_yields_langgraphs_own_parts(bench: Bench) -> None:
    parts = [part async for part in bench.recorder.run(graphs.with_model(), INPUT)]
    assert {part["type"] for part in parts} >= {"tasks", "messages"}
    spoken = [part["data"][0].content for part in parts if part["type"] == "messages"]
    assert "".join(spoken) == "hello from me"


async def test_a_slow_reader_does_not_make_the_nodes_look_slow(bench: Bench) -> None:
    async for _ in bench.recorder.run(graphs.simple(), INPUT):
        await asyncio.sleep(0.05)  # somebody who speaks while the graph runs
    told = await bench.told()
    assert all(one["ms"] < 45 for one in told.of(EventKind.NODE_FINISHED))


async def test_callbacks_of_others_are_still_called(bench: Bench) -> None:
    class Others(BaseCallbackHandler):
        seen = 0

        def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            Others.seen += 1

    mine = Others()
    async for _ in bench.recorder.run(graphs.simple(), INPUT, {"callbacks": [mine]}):
        pass
    bound = graphs.simple().with_config(callbacks=[mine])
    before = Others.seen
    async for _ in bench.recorder.run(bound, INPUT):
        pass
    assert before > 0
    assert Others.seen > before
    told = await bench.told()
    assert nodes(told) == ["understand", "answer"] * 2


async def test_a_graph_inside_a_chain_is_a_run(bench: Bench) -> None:
    chain = RunnableLambda(lambda text: {"messages": [HumanMessage(text)]}) | graphs.simple()
    await chain.ainvoke("hi")
    told = await bench.told()
    assert nodes(told) == ["understand", "answer"]
    assert len(told.of(EventKind.RUN_FINISHED)) == 1


async def test_a_graph_that_runs_in_a_thread_is_told_too(bench: Bench) -> None:
    nodes_ = (("answer", graphs.sync_answer),)
    await asyncio.to_thread(graphs.line(*nodes_).invoke, INPUT)
    told = await bench.told()
    assert nodes(told) == ["answer"]


async def test_a_task_that_began_before_the_recorder_is_told_too(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def early() -> None:
        await go.wait()
        await graphs.simple().ainvoke(INPUT)

    aio_task = asyncio.create_task(early())  # its context knows nothing of the recorder
    await asyncio.sleep(0)
    async with open_desk() as desk, recording(desk, tmp_path) as recorder:
        go.set()
        await aio_task
        await recorder.aclose()
        assert nodes(desk.told) == ["understand", "answer"]


async def test_after_the_end_nothing_is_recorded_any_more(bench: Bench) -> None:
    told = await bench.told()
    await graphs.simple().ainvoke(INPUT)
    assert nodes(told) == []


async def test_a_graph_is_described_once_with_its_inner_graphs(bench: Bench) -> None:
    graph = graphs.nested()
    bench.recorder.describe(graph)
    bench.recorder.describe(graph)
    told = await bench.told()
    (drawn,) = told.of(EventKind.GRAPH_DESCRIBED)
    assert drawn["graph"] == "nested"
    assert {"id": "understand", "name": "understand", "kind": "node"} in drawn["nodes"]
    assert any("inner_ask" in node["id"] for node in drawn["nodes"])
    assert {node["kind"] for node in drawn["nodes"]} == {"start", "node", "end"}
    edges = [(edge["source"], edge["target"]) for edge in drawn["edges"]]
    assert ("__start__", "understand") in edges
    assert all(edge["conditional"] is False for edge in drawn["edges"])


async def test_a_hostile_state_does_not_stop_the_run(bench: Bench) -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError

        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    async def rude(state: graphs.State) -> Any:
        return {"plan": Rude(), "left": float("nan"), "right": b"\xff" * 10}

    await by_run(bench, graphs.line(("rude", rude)), INPUT)
    told = await bench.told()
    (node,) = told.of(EventKind.NODE_FINISHED)
    assert node["update"]["left"] == "nan"
    assert node["update"]["right"] == "[10 bytes]"
    assert "Rude" in node["update"]["plan"]


async def test_secrets_in_the_state_are_blanked_out(tmp_path: Path) -> None:
    async def tells(state: graphs.State) -> Any:
        return {"plan": "call +49 170 123", "left": "x"}

    redact = [re.compile(r"\+[\d ]+"), "left"]
    async with open_desk() as desk, recording(desk, tmp_path, redact=redact) as recorder:
        async for _ in recorder.run(graphs.line(("tells", tells)), INPUT):
            pass
        await recorder.aclose()
        (node,) = desk.told.of(EventKind.NODE_FINISHED)
        assert node["update"] == {"plan": "call [redacted]", "left": "[redacted]"}
