"""The session page: from a node's start to its pixel, opening a long session, what viewers cost."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Final

import psutil
from playwright.async_api import Browser, Page

from bench.report import Report, spread
from bench.viewers import read, subscriptions_of
from services.clock import utc_now
from tests.support import steps
from tests.support.control_room import ControlRoom
from tests.support.job_stream import JobStream, open_stream

STEPS: Final = 200
NODES: Final = 12
LONG_STEPS: Final = 2_000
LONG_TURNS: Final = 300
VIEWERS: Final = 20
_WINDOW_S: Final = 10.0
_BATCH: Final = 150
_REST_S: Final = 60.0

_WATCH: Final = """(graph) => {
  window.seen = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      if (target.dataset.end !== "running") continue;
      requestAnimationFrame(() => window.seen.push([target.dataset.node, Date.now()]));
    }
  }).observe(graph, { subtree: true, attributes: true, attributeFilter: ["data-end"] });
}"""
_SCROLL: Final = """async (box) => {
  let frames = 0;
  const began = performance.now();
  let worst = 0;
  let before = began;
  while (performance.now() - began < 3000) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    worst = Math.max(worst, now - before);
    before = now;
    frames += 1;
    box.scrollTop = (box.scrollTop + 60) % Math.max(1, box.scrollHeight - box.clientHeight);
  }
  return [frames / ((performance.now() - began) / 1000), worst];
}"""


async def measure(room: ControlRoom, browser: Browser, report: Report) -> None:
    """All of it, with one dashboard."""
    await _live(room, browser, report)
    await _long(room, browser, report)
    await _memory(room, browser, report)


async def _live(room: ControlRoom, browser: Browser, report: Report) -> None:
    made = await steps.new_session(room.url, "bench")
    async with (
        open_stream(room.url, room.target, made["room_name"], stream_id="str_bench_live") as job,
        AsyncExitStack() as stack,
    ):
        await job.send(job.record("graph_described", **_graph()))
        context = await browser.new_context(viewport={"width": 1440, "height": 1300})
        stack.push_async_callback(context.close)
        page = await context.new_page()
        frames = subscriptions_of(page)
        await page.goto(f"{room.url}/session?id={made['session_id']}")
        await page.locator('[data-node="n0"]').wait_for()
        await page.locator(".sg").evaluate(_WATCH)
        report.add("node starts -> pixel", spread(await _steps(job, page)), "p95 <= 100 ms")

        await _viewers(room, job, frames, report)


async def _steps(job: JobStream, page: Page) -> list[float]:
    took: list[float] = []
    for number in range(STEPS):
        node: Any = {"run": "r", "task": str(number), "node": f"n{number % NODES}", "step": number}
        began_ms = time.time() * 1000
        await job.send(job.record("node_started", **node, ns=""))
        await page.wait_for_function(f"window.seen.length > {number}", polling=5)
        seen_ms: float = await page.evaluate(f"window.seen[{number}][1]")
        took.append(seen_ms - began_ms)
        await job.send(job.record("node_finished", **node, ns="", ms=5, update={}, error=None))
        await asyncio.sleep(0.05)
    return took


async def _viewers(
    room: ControlRoom, job: JobStream, frames: list[dict[str, object]], report: Report
) -> None:
    """The dashboard's processor time while ten events a second go to 1 and to many readers."""
    process = psutil.Process(room.dashboard.process.pid)
    async with asyncio.TaskGroup() as tasks:
        shares: list[float] = []
        readers: list[asyncio.Task[None]] = []
        for count in (0, VIEWERS - 1):
            readers += [tasks.create_task(read(room.url, frames)) for _ in range(count)]
            await asyncio.sleep(1)
            cpu, began = sum(process.cpu_times()[:2]), time.monotonic()
            number = 0
            while time.monotonic() - began < _WINDOW_S:
                number += 1
                said: Any = {"role": "user", "id": f"{count}:{number}", "text": "x", "metrics": {}}
                await job.send(job.record("conversation_item_added", **said))
                await asyncio.sleep(0.1)
            seconds = time.monotonic() - began
            shares.append((sum(process.cpu_times()[:2]) - cpu) / seconds * 100)
        for reader in readers:
            reader.cancel()
    one, many = shares
    report.add("10 events a second, 1 viewer: the dashboard's share of a core", f"{one:.0f} %")
    report.add(
        f"the same, {VIEWERS} viewers: more than with 1", f"{many - one:+.1f} %", "< 10 % of a core"
    )


async def _long(room: ControlRoom, browser: Browser, report: Report) -> None:
    made = await steps.new_session(room.url, "bench-long")
    async with open_stream(
        room.url, room.target, made["room_name"], stream_id="str_bench_long"
    ) as job:
        await job.send(job.record("graph_described", **_graph()))
        records = list(_long_session(job))
        for start in range(0, len(records), _BATCH):
            await job.send(*records[start : start + _BATCH])
    opened: list[float] = []
    context = await browser.new_context(viewport={"width": 1440, "height": 1300})
    try:
        page = await context.new_page()
        await page.goto(f"{room.url}/session?id={made['session_id']}")  # caches are warm after it
        address = f"{room.url}/session?id={made['session_id']}"
        for _ in range(5):
            await page.goto(f"{room.url}/tokens")
            await page.get_by_role("heading", name="Tokens").first.wait_for()
            async with page.expect_request(lambda request: "/trace?" in request.url):
                await page.goto(address, wait_until="commit")
            began = time.monotonic()
            await page.locator(".tr-line").nth(2 * LONG_TURNS - 1).wait_for(state="attached")
            opened.append((time.monotonic() - began) * 1000)
        what = f"{LONG_STEPS:,} steps and {LONG_TURNS} turns"
        report.add(f"{what}: history asked for -> all of it drawn", spread(opened), "<= 1,000 ms")
        frames, worst = await page.locator(".tr-lines").evaluate(_SCROLL)
        report.add(
            f"{what}: scrolling the transcript",
            f"{frames:.0f} frames/s, worst {worst:.0f} ms",
            "60",
        )
    finally:
        await context.close()


async def _memory(room: ControlRoom, browser: Browser, report: Report) -> None:
    """The page's heap after a collection, while it stands open and a session goes on, and at rest."""
    made = await steps.new_session(room.url, "bench-memory")
    async with (
        open_stream(room.url, room.target, made["room_name"], stream_id="str_bench_mem") as job,
        AsyncExitStack() as stack,
    ):
        await job.send(job.record("graph_described", **_graph()))
        context = await browser.new_context(viewport={"width": 1440, "height": 1300})
        stack.push_async_callback(context.close)
        page = await context.new_page()
        await page.goto(f"{room.url}/session?id={made['session_id']}")
        await page.locator('[data-node="n0"]').wait_for()
        records = list(_long_session(job))
        half = len(records) // 2
        heaps: list[float] = []
        for part in (records[:half], records[half:], []):
            for start in range(0, len(part), _BATCH):
                await job.send(*part[start : start + _BATCH])
                await asyncio.sleep(0.2)
            await asyncio.sleep(_REST_S if not part else 3)
            heaps.append(await _heap_mb(page))
    first, second, rested = heaps
    report.add(
        f"heap of an open page after {LONG_STEPS // 2:,} and {LONG_STEPS:,} steps told live",
        f"{first:.1f} and {second:.1f} MB",
    )
    report.add(f"the same after {_REST_S:.0f} s more", f"{rested:.1f} MB", "flat")


async def _heap_mb(page: Page) -> float:
    client = await page.context.new_cdp_session(page)
    await client.send("HeapProfiler.collectGarbage")
    found = await client.send("Runtime.getHeapUsage")
    await client.detach()
    return float(found["usedSize"]) / 1e6


def _graph() -> dict[str, Any]:
    nodes = [{"id": f"n{n}", "name": f"n{n}", "kind": "node"} for n in range(NODES)]
    edges = [
        {"source": f"n{n}", "target": f"n{n + 1}", "label": "", "conditional": False}
        for n in range(NODES - 1)
    ]
    return {"graph": "bench", "nodes": nodes, "edges": edges}


def _long_session(job: JobStream) -> Any:
    zero = utc_now() - timedelta(minutes=60)

    def at(milliseconds: float) -> datetime:
        return zero + timedelta(milliseconds=milliseconds)

    each = LONG_STEPS // LONG_TURNS + 1
    number = 0
    for turn in range(LONG_TURNS):
        base = turn * 10_000
        said: Any = {
            "role": "user",
            "id": f"u{turn}",
            "text": f"Sentence {turn}. " * 6,
            "metrics": {},
        }
        yield job.record("conversation_item_added", at(base), **said)
        for index in range(each):
            if number >= LONG_STEPS:
                break
            when = base + 20 + index * 30
            node: Any = {"run": str(turn), "task": str(number), "node": f"n{index}", "step": number}
            yield job.record("node_started", at(when), **node, ns="")
            yield job.record(
                "node_finished", at(when + 20), **node, ns="", ms=20, update={}, error=None
            )
            values = {"messages": ["text " * 40] * 5, "step": number}
            yield job.record(
                "checkpoint_saved",
                at(when + 21),
                run=str(turn),
                step=number,
                values=values,
                changed=[],
            )
            number += 1
        metrics = {"llm_node_ttft": 20.0 + turn % 40}
        said = {"role": "assistant", "id": f"a{turn}", "text": "Answer. " * 12, "metrics": metrics}
        yield job.record("conversation_item_added", at(base + 600), **said)
