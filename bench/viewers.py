"""What viewers cost: calls to LiveKit and processor time, with 1 and with 50 of them.

Four of the fifty are pages in Chromium, half of them on the overview; the others read the same
live stream as a page does, without drawing it: fifty real pages would measure the browser.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

import aiohttp
import psutil
from playwright.async_api import Browser, BrowserContext

from bench.report import Report
from tests.support.control_room import ControlRoom

MANY: Final = 50
PAGES: Final = 4
WINDOW_S: Final = 20.0
_SETTLE_S: Final = 5.0
_MOST_S: Final = 150.0
_CALLS: Final = "switchboard_livekit_calls"


async def measure(room: ControlRoom, browser: Browser, report: Report) -> None:
    """The same window with one viewer and with fifty."""
    async with asyncio.timeout(_MOST_S), AsyncExitStack() as stack:
        context = await browser.new_context()
        stack.push_async_callback(context.close)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None), connector=aiohttp.TCPConnector(limit=0)
            )
        )
        streams = [await _open_page(context, f"{room.url}/rooms")]
        one = await _window(room, report, 1)
        for number in range(1, PAGES):
            path = "rooms" if number % 2 == 0 else ""
            streams.append(await _open_page(context, f"{room.url}/{path}"))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        readers = [
            tasks.create_task(_read(http, streams[number % PAGES]))
            for number in range(MANY - PAGES)
        ]
        many = await _window(room, report, MANY)
        report.add(f"calls with {MANY} viewers / with 1", f"{many / one:.2f}x", "1.0x")
        assert not any(reader.done() for reader in readers), "a live stream ended early"
        for reader in readers:
            reader.cancel()


async def _open_page(context: BrowserContext, url: str) -> str:
    """Open it; gives the address of its live stream, good for ten minutes."""
    page = await context.new_page()
    async with page.expect_request(lambda request: "/api/live?" in request.url) as asked:
        await page.goto(url)
    return (await asked.value).url


async def _read(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(url) as answer:
        answer.raise_for_status()
        async for _ in answer.content:
            pass


async def _window(room: ControlRoom, report: Report, viewers: int) -> float:
    """Reports what one window costs once everybody reads; gives the LiveKit calls per second."""
    async with asyncio.timeout(30):
        while await _metric(room, "switchboard_live_viewers") < viewers:
            await asyncio.sleep(0.2)
    await asyncio.sleep(_SETTLE_S)
    process = psutil.Process(room.dashboard.process.pid)
    calls, cpu, began = await _metric(room, _CALLS), sum(process.cpu_times()[:2]), time.monotonic()
    await asyncio.sleep(WINDOW_S)
    seconds = time.monotonic() - began
    rate = (await _metric(room, _CALLS) - calls) / seconds
    share = (sum(process.cpu_times()[:2]) - cpu) / seconds * 100
    report.add(f"LiveKit calls per second, {viewers} viewers", f"{rate:.2f}")
    report.add(f"dashboard CPU at rest, {viewers} viewers", f"{share:.0f} % of one core")
    return rate


async def _metric(room: ControlRoom, name: str) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{room.url}/api/metrics") as answer:
        for line in (await answer.text()).splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
    raise LookupError(f"the metrics do not name {name}")
