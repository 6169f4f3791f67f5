"""`python -m bench.recorder`: what the recorder costs a graph, as ratios in one run.

A graph of no-op nodes runs in turn without and with the recorder, so that both see the same
machine; a desk in a process of its own takes the events, as a dashboard would.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from bench.report import Report, quantile
from switchboard_recorder import Recorder
from switchboard_recorder.identity import new_stream_id
from switchboard_recorder.protocol import Hello
from switchboard_recorder.recorder import STREAM_MODES
from tests.support.graphs_to_record import Graph, State, line
from tests.support.recorder_desk import KEY, SECRET, open_desk

NODES: Final = 6
TURNS: Final = 150
MESSAGES: Final = 20  # in the state, as in the middle of a call
BUDGET: Final = "<= 0.5 ms a step"

Turn = Callable[[], Awaitable[None]]


async def measure(report: Report) -> None:
    """Callbacks alone, `run()`, and with a dashboard that is away."""
    with tempfile.TemporaryDirectory() as folder:
        desk = subprocess.Popen(
            [sys.executable, "-m", "bench.recorder", "desk"], stdout=subprocess.PIPE, text=True
        )
        try:
            assert desk.stdout is not None
            url = desk.stdout.readline().strip()
            await _with(report, url, Path(folder), "")
        finally:
            desk.terminate()
            desk.wait(10)
            if desk.stdout is not None:
                desk.stdout.close()
        await _with(report, url, Path(folder), ", dashboard away")


async def _with(report: Report, url: str, folder: Path, when: str) -> None:
    graph = _graph()
    hello = Hello(stream_id=new_stream_id(), room_name="bench")
    recorder = Recorder(hello, url=url, api_key=KEY, api_secret=SECRET, spool_dir=folder)
    state: dict[str, Any] = {
        "messages": [
            (HumanMessage if n % 2 else AIMessage)("a sentence of a stand-up " * 3, id=str(n))
            for n in range(MESSAGES)
        ]
    }
    threads = iter(range(10**9))

    def config() -> Any:
        return {"configurable": {"thread_id": str(next(threads))}}

    async def invoke() -> None:
        await graph.ainvoke(state, config())

    async def stream() -> None:
        modes = list(STREAM_MODES)
        async for _ in graph.astream(state, config(), stream_mode=modes, version="v2"):
            pass

    async def run() -> None:
        async for _ in recorder.run(graph, state, config()):
            pass

    for turn in (invoke, stream):
        await _times([turn], 20)  # warm
    bare_ms, streamed_ms = await _times([invoke, stream], TURNS)
    recorder.start()
    await asyncio.sleep(0.3)
    recorded_ms, run_ms = await _times([invoke, run], TURNS)
    began_s = time.perf_counter()
    for number in range(2_000):
        recorder.emit("step", number=number)
        if number % 100 == 0:
            await asyncio.sleep(0.005)
    emit_us = (time.perf_counter() - began_s - 20 * 0.005) / 2_000 * 1e6
    await recorder.aclose()
    _add(report, f"LangGraph callbacks alone (any agent){when}", bare_ms, recorded_ms)
    _add(report, f"recorder.run() against the same stream{when}", streamed_ms, run_ms)
    report.add(f"recorder.emit() of a small event{when}", f"{emit_us:.0f} us")


def _add(report: Report, what: str, bare_ms: list[float], with_ms: list[float]) -> None:
    bare, full = statistics.median(bare_ms), statistics.median(with_ms)
    step_ms = (full - bare) / NODES
    tail = quantile(with_ms, 0.95) / quantile(bare_ms, 0.95)
    figure = (
        f"{step_ms:.2f} ms a step; a turn of {NODES} steps {full / bare:.2f}x (p95 {tail:.2f}x)"
    )
    report.add(what, f"{figure}; {bare:.1f} -> {full:.1f} ms", BUDGET)


async def _times(turns: list[Turn], count: int) -> list[list[float]]:
    taken: list[list[float]] = [[] for _ in turns]
    for _ in range(count):
        for index, turn in enumerate(turns):
            began_s = time.perf_counter()
            await turn()
            taken[index].append((time.perf_counter() - began_s) * 1e3)
    return taken


def _graph() -> Graph:
    async def nothing(state: State) -> dict[str, str]:
        return {"plan": "x"}

    return line(*((f"node_{n}", nothing) for n in range(NODES)), checkpointer=InMemorySaver())


async def _desk() -> None:
    async with open_desk() as desk:
        sys.stdout.write(desk.url + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["desk"]:
        asyncio.run(_desk())
    else:
        table = Report()
        asyncio.run(measure(table))
        print("\n" + table.markdown())
