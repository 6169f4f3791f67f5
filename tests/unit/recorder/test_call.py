"""One line in a LiveKit agent: a real AgentSession, the stock way to run a graph, and no harm."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import (
    Agent,
    AgentSession,
    JobContext,
    RunContext,
    RunResult,
    function_tool,
    llm,
)
from livekit.agents.testing import fake_job_context

import switchboard_recorder.recorder as recorder_module
from switchboard_recorder import EventKind, Recorder, record
from switchboard_recorder.call_events import CallEvents, metrics_ms
from switchboard_recorder.guard import Guard
from switchboard_recorder.journal import Journal
from switchboard_recorder.runs import Runs
from switchboard_recorder.values import Plain
from tests.support import graphs_to_record as graphs
from tests.support.recorder_desk import KEY, SECRET, Desk, open_desk
from tests.support.stock_adapter import GraphLLM


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setenv("LIVEKIT_API_KEY", KEY)
    monkeypatch.setenv("LIVEKIT_API_SECRET", SECRET)
    async with open_desk() as desk:
        monkeypatch.setenv("SWITCHBOARD_URL", desk.url)
        yield desk


@contextmanager
def a_job(metadata: str = "") -> Iterator[JobContext]:
    """LiveKit's own context of a job, without a worker."""
    with fake_job_context(job_metadata=metadata) as ctx:
        try:
            yield ctx
        finally:
            ctx._tempdir.cleanup()  # livekit-agents 1.8.9 leaves it to the worker


async def say(session: AgentSession[None], text: str) -> list[str | None]:
    """One turn by text, and what the agent says."""
    result: RunResult[None] = await session.run(user_input=text)
    return [event.item.text_content for event in result.events if event.type == "message"]


async def shut_down(ctx: JobContext, reason: str = "the caller left") -> None:
    """What LiveKit does at the end of a job."""
    await asyncio.gather(*(callback(reason) for callback in ctx._shutdown_callbacks))


async def a_call(desk: Desk, spool_dir: Path, agent: Agent, *turns: str, **options: Any) -> None:
    """A whole job: the one line, some turns by text, the end."""
    with a_job('{"session_id": "ses_9", "note": 1}') as ctx:
        session: AgentSession[None] = AgentSession(llm=options.pop("llm", None))
        record(ctx, session, spool_dir=spool_dir, **options)
        await session.start(agent)
        for turn in turns:
            await say(session, turn)
        await session.aclose()
        await shut_down(ctx)


async def test_the_stock_adapter_needs_one_line(desk: Desk, tmp_path: Path) -> None:
    adapter = GraphLLM(graphs.with_model(), {"configurable": {"thread_id": "t9"}})
    await a_call(desk, tmp_path, Agent(instructions=""), "hi", "again", llm=adapter)
    told = desk.told
    assert [one["node"] for one in told.of(EventKind.NODE_STARTED)] == ["think", "think"]
    assert [one["tokens_in"] for one in told.of(EventKind.MODEL_FINISHED)] == [11, 11]
    assert {one["thread_id"] for one in told.of(EventKind.RUN_STARTED)} == {"t9"}
    (drawn,) = told.of(EventKind.GRAPH_DESCRIBED)
    assert [node["id"] for node in drawn["nodes"]] == ["__start__", "think", "__end__"]


async def test_what_is_said_is_told_with_livekits_metrics(desk: Desk, tmp_path: Path) -> None:
    adapter = GraphLLM(graphs.with_model())
    await a_call(desk, tmp_path, Agent(instructions=""), "hi", llm=adapter)
    said = desk.told.of(EventKind.MESSAGE)
    assert [(one["role"], one["text"]) for one in said] == [
        ("user", "hi"),
        ("assistant", "hello from me"),
    ]
    assert said[1]["metrics"]["llm_node_ttft"] > 0.01, "milliseconds, not seconds"
    states = [(one["old"], one["new"]) for one in desk.told.of(EventKind.AGENT_STATE)]
    assert ("initializing", "listening") in states
    others = desk.told.of(EventKind.OTHER)
    assert [one["kind"] for one in others] == ["agent_handoff", "close"]
    assert others[1]["data"] == {"reason": "user_initiated", "error": None}


async def test_a_job_begins_and_ends_with_who_it_is(desk: Desk, tmp_path: Path) -> None:
    await a_call(desk, tmp_path, Agent(instructions=""), llm=GraphLLM(graphs.with_model()))
    told = desk.told
    (hello,) = told.hellos
    assert (hello.room_name, hello.session_id, hello.job_id) == ("fake-room", "ses_9", "fake-job")
    assert hello.pid == os.getpid()
    assert hello.host
    assert told.kinds[0] == EventKind.JOB_STARTED
    (started,) = told.of(EventKind.JOB_STARTED)
    assert started["pid"] == os.getpid()
    assert json.loads(started["metadata"]) == {"session_id": "ses_9", "note": 1}
    assert {"python", "livekit-agents", "langgraph"} <= set(started["versions"])
    assert told.kinds[-1] == EventKind.JOB_ENDED
    assert told.of(EventKind.JOB_ENDED) == [{"reason": "the caller left"}]
    assert [bye.reason for bye in told.byes] == ["the caller left"]
    assert list(tmp_path.iterdir()) == []


async def test_livekits_own_report_ends_a_recording(desk: Desk, tmp_path: Path) -> None:
    await a_call(desk, tmp_path, Agent(instructions=""), "hi", llm=GraphLLM(graphs.with_model()))
    (report,) = desk.told.of(EventKind.REPORT)
    kept = report["report"]
    assert kept["job_id"] == "fake-job"
    assert not [name for name in kept if name.startswith("audio")]
    assert "events" not in kept
    assert [one["role"] for one in kept["chat_history"]["items"] if one["type"] == "message"] == [
        "user",
        "assistant",
    ]


class CallsATool(llm.LLM[Any]):
    """Asks for a tool first, then says what it got."""

    def chat(self, *, chat_ctx: llm.ChatContext, **kwargs: Any) -> llm.LLMStream:
        return CallsAToolStream(
            self,
            chat_ctx=chat_ctx,
            tools=kwargs.get("tools") or [],
            conn_options=kwargs["conn_options"],
        )


class CallsAToolStream(llm.LLMStream):
    async def _run(self) -> None:
        got = [item for item in self._chat_ctx.items if item.type == "function_call_output"]
        delta = llm.ChoiceDelta(role="assistant", content="it is " + got[0].output if got else None)
        if not got:
            call = llm.FunctionToolCall(name="look_up", arguments='{"city": "Bonn"}', call_id="c1")
            delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


class Weather(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="")

    @function_tool
    async def look_up(self, context: RunContext[None], city: str) -> str:
        """The weather."""
        return f"dry in {city}"


async def test_an_agent_without_any_graph_is_recorded_with_its_tools(
    desk: Desk, tmp_path: Path
) -> None:
    await a_call(desk, tmp_path, Weather(), "weather?", llm=CallsATool())
    told = desk.told
    (started,), (finished,) = told.of(EventKind.TOOL_STARTED), told.of(EventKind.TOOL_FINISHED)
    assert (started["tool"], started["args"]) == ("look_up", {"city": "Bonn"})
    assert (finished["tool"], finished["call"]) == ("look_up", started["call"])
    assert "dry in Bonn" in finished["output"]
    assert finished["error"] is None
    assert told.of(EventKind.NODE_STARTED) == []


# -- no harm


def hooks() -> list[tuple[type, str]]:
    """Every entrance that the call, LiveKit or LangGraph has into the recorder."""
    return [
        (Plain, "measured"), (Plain, "data"), (Plain, "__call__"), (Journal, "put"),
        (Journal, "start"), (Journal, "close"), (Journal, "finish"),
        *((Runs, name) for name in vars(Runs) if not name.startswith("__")),
        *((CallEvents, name) for name in vars(CallEvents) if name[0] == "_" != name[1]),
        (Recorder, "_put"), (Recorder, "_describe"), (Recorder, "_install_callbacks"),
        (Recorder, "_part"), (Recorder, "_with_callbacks"), (Recorder, "_close"), (Recorder, "start"),
        (Recorder, "_welcomed"), (Recorder, "_hello_now"), (Recorder, "_owner"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "name"), hooks(), ids=lambda value: getattr(value, "__name__", value)
)
async def test_whatever_fails_in_the_recorder_the_call_goes_on(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the recorder is broken")

    monkeypatch.setattr(owner, name, fail)
    with a_job() as ctx:
        session: AgentSession[None] = AgentSession(llm=GraphLLM(graphs.with_model()))
        recorder = record(ctx, session, spool_dir=tmp_path)
        await session.start(Agent(instructions=""))
        assert "hello from me" in await say(session, "hi")
        parts = [part async for part in recorder.run(graphs.simple(), {"messages": []})]
        assert [part["data"]["name"] for part in parts if part["type"] == "tasks"]
        recorder.emit("step", number=1)
        recorder.live("step", number=1)
        recorder.describe(graphs.simple())
        await session.aclose()
        await shut_down(ctx)


@pytest.mark.parametrize("name", ["hello_of", "versions", "new_stream_id", "report_of", "graph_of"])
async def test_a_job_that_cannot_be_read_is_served_all_the_same(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the recorder is broken")

    monkeypatch.setattr(recorder_module, name, fail)
    adapter = GraphLLM(graphs.with_model())
    await a_call(desk, tmp_path, Agent(instructions=""), "hi", llm=adapter)


async def test_the_wrong_objects_are_not_an_error(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = record(None, None, spool_dir=tmp_path)
    recorder.emit("step", number=1)
    recorder.live("step", number=1)
    recorder.describe(None)
    await recorder.aclose("over")
    assert recorder.connected is False
    assert "not recorded" in caplog.text


def test_outside_of_an_event_loop_it_says_so_and_does_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ctx = SimpleNamespace(job=SimpleNamespace(room=SimpleNamespace(name="r"), metadata=""))
    recorder = record(ctx, SimpleNamespace(), spool_dir=tmp_path)
    recorder.emit("step", number=1)
    assert "The recorder failed in" in caplog.text


async def test_the_end_waits_no_longer_than_two_seconds_for_a_dashboard_that_hangs(
    desk: Desk, tmp_path: Path
) -> None:
    desk.silent = True
    with a_job() as ctx:
        session: AgentSession[None] = AgentSession()
        recorder = record(ctx, session, spool_dir=tmp_path)
        recorder.emit("step", number=1)
        began_s = asyncio.get_running_loop().time()
        await shut_down(ctx)
        assert asyncio.get_running_loop().time() - began_s < 3
    assert list(tmp_path.rglob("*.jsonl")), "what was not taken stays for later"


async def test_closing_twice_is_closing_once(desk: Desk, tmp_path: Path) -> None:
    with a_job() as ctx:
        recorder = record(ctx, AgentSession(), spool_dir=tmp_path)
        await recorder.aclose("first")
        await recorder.aclose("second")
        await shut_down(ctx)
    assert desk.told.of(EventKind.JOB_ENDED) == [{"reason": "first"}]


# -- shapes


def call_events() -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """The hooks by their names, and what they tell."""
    told: list[tuple[str, dict[str, Any]]] = []
    found: dict[str, Any] = {}

    class Session:
        def on(self, event: Any, callback: Any) -> None:
            found[event] = callback

    def emit(kind: str, **data: Any) -> None:
        told.append((kind, data))

    def live(kind: str, **data: Any) -> None:
        told.append((f"live {kind}", data))

    CallEvents(emit, live, Guard(), lambda: None).hook(Session())
    return found, told


def test_interim_words_are_live_and_final_ones_are_kept() -> None:
    from livekit.agents import UserInputTranscribedEvent

    hook, told = call_events()
    for text, final in (("hel", False), ("hello", True)):
        event = UserInputTranscribedEvent(transcript=text, is_final=final)
        hook["user_input_transcribed"](event)
    assert [(kind, data["text"]) for kind, data in told] == [
        ("live user_input_transcribed", "hel"),
        ("user_input_transcribed", "hello"),
    ]


def test_an_error_tells_its_source_and_whether_it_goes_on() -> None:
    from livekit.agents import ErrorEvent

    hook, told = call_events()
    error = llm.LLMError(
        type="llm_error", timestamp=1.0, label="x", error=ValueError("bad"), recoverable=True
    )
    hook["error"](ErrorEvent(error=error, source=GraphLLM(None)))
    assert told == [
        ("error", {"source": "GraphLLM", "message": "ValueError: bad", "recoverable": True})
    ]


def test_metrics_are_milliseconds_and_moments() -> None:
    made = metrics_ms(
        {"e2e_latency": 0.4732, "llm_node_tps": 20.0, "started_speaking_at": 0.0, "more": {"x": 1}}
    )
    assert made == {
        "e2e_latency": 473.2,
        "llm_node_tps": 20.0,
        "started_speaking_at": "1970-01-01T00:00:00.000000Z",
        "more": {"x": 1},
    }


def test_a_trouble_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard()

    def fail() -> None:
        raise RuntimeError

    with caplog.at_level(logging.WARNING):
        assert [guard(fail) for _ in range(5)] == [None] * 5
    assert len(caplog.records) == 1
