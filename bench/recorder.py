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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from bench.report import Report, quantile
from switchboard_recorder import Recorder
from switchboard_recorder.callbacks import Callbacks, current
from switchboard_recorder.identity import new_stream_id
from switchboard_recorder.protocol import Hello
from switchboard_recorder.recorder import STREAM_MODES
from tests.support.graphs_to_record import Graph, State, line
from tests.support.recorder_desk import KEY, SECRET, open_desk

NODES: Final = 6
TURNS: Final = 150
MESSAGES: Final = 20  # in the state, as in the middle of a call
BUDGET: Final = "<= 0.5 ms a step"

WARM: Final = 20

Turn = Callable[[], Awaitable[None]]
Turns = tuple[tuple[Turn, bool], ...]  # and whether the handler adds itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One turn: how long it took, and how much processor time until all was quiet."""

    wall_ms: float
    cpu_ms: float


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
    state = _state()
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

    recorder.start()
    await asyncio.sleep(0.3)
    callbacks = recorder.callbacks
    assert callbacks is not None
    turns = ((invoke, False), (invoke, True), (stream, False), (run, False))
    taken = await _taken(turns, callbacks)
    emit_us = await _emit_us(recorder)
    await recorder.aclose()
    _add(report, f"LangGraph callbacks alone (any agent){when}", taken[0], taken[1])
    _add(report, f"recorder.run() against the same stream{when}", taken[2], taken[3])
    report.add(f"recorder.emit() of a small event{when}", f"{emit_us:.0f} us")


async def _taken(turns: Turns, callbacks: Callbacks) -> list[list[Cost]]:
    taken: list[list[Cost]] = [[] for _ in turns]
    for number in range(WARM + TURNS):
        for costs, (turn, by_itself) in zip(taken, turns, strict=True):
            (current.install if by_itself else current.remove)(callbacks)
            cost = await _cost(turn)
            if number >= WARM:
                costs.append(cost)
    return taken


async def _emit_us(recorder: Recorder) -> float:
    spent_s = 0.0
    for _ in range(20):
        began_s = time.perf_counter()
        for number in range(100):
            recorder.emit("step", number=number)
        spent_s += time.perf_counter() - began_s
        await asyncio.sleep(0.01)
    return spent_s / 2_000 * 1e6


def _add(report: Report, what: str, bare: list[Cost], recorded: list[Cost]) -> None:
    for name, unit in (("wall_ms", "until the turn is over"), ("cpu_ms", "processor, all threads")):
        without = [getattr(cost, name) for cost in bare]
        with_it = [getattr(cost, name) for cost in recorded]
        less, more = statistics.median(without), statistics.median(with_it)
        figure = f"{(more - less) / NODES:.2f} ms a step; {less:.1f} -> {more:.1f} ms a turn, "
        tails = quantile(with_it, 0.95) / quantile(without, 0.95)
        report.add(f"{what}, {unit}", f"{figure}{more / less:.2f}x (p95 {tails:.2f}x)", BUDGET)


async def _cost(turn: Turn) -> Cost:
    began_s, cpu_s = time.perf_counter(), time.process_time()
    await turn()
    wall_ms = (time.perf_counter() - began_s) * 1e3
    await asyncio.sleep(0.012)  # what the turn left to do in the background is its cost, too
    return Cost(wall_ms=wall_ms, cpu_ms=(time.process_time() - cpu_s) * 1e3)


def _state() -> dict[str, Any]:
    text = "a sentence of a stand-up " * 3
    kinds = (AIMessage, HumanMessage)
    return {"messages": [kinds[n % 2](text, id=str(n)) for n in range(MESSAGES)]}


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
