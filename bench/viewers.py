"""What viewers cost: calls to LiveKit and processor time, with 1, with 8 and with 50 of them.

Eight of the fifty are pages in one Chromium, half of them on the overview; the others hold the
same live connection as a page does, without drawing it: fifty real pages would measure the browser.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from typing import Final

import aiohttp
import psutil
from playwright.async_api import Browser, BrowserContext, Page, WebSocket

from bench.report import Report
from tests.support.control_room import ControlRoom
from tests.support.live_tab import open_tab
from tests.support.waiting import eventually

MANY: Final = 50
PAGES: Final = 8
WINDOW_S: Final = 20.0
_SETTLE_S: Final = 5.0
_MOST_S: Final = 240.0
_CALLS: Final = "switchboard_livekit_calls"
_SUBSCRIPTIONS: Final = 2  # of a page: what it shows, and the questions in the menu


async def measure(room: ControlRoom, browser: Browser, report: Report) -> None:
    """The same window with one viewer, with eight pages, and with fifty viewers."""
    async with asyncio.timeout(_MOST_S), AsyncExitStack() as stack:
        context = await browser.new_context()
        stack.push_async_callback(context.close)
        tickets = [await open_page(context, f"{room.url}/rooms")]
        one = await _window(room, report, 1)
        for number in range(1, PAGES):
            path = "rooms" if number % 2 == 0 else ""
            tickets.append(await open_page(context, f"{room.url}/{path}"))
        await _window(room, report, PAGES)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        readers = [
            tasks.create_task(read(room.url, tickets[number % PAGES]))
            for number in range(MANY - PAGES)
        ]
        many = await _window(room, report, MANY)
        report.add(f"calls with {MANY} viewers / with 1", f"{many / one:.2f}x", "1.0x")
        assert not any(reader.done() for reader in readers), "a live connection ended early"
        for reader in readers:
            reader.cancel()


async def open_page(context: BrowserContext, url: str) -> list[dict[str, object]]:
    """Open it in a tab of its own; gives what it subscribes to."""
    page = await context.new_page()
    frames = subscriptions_of(page)
    await page.goto(url)
    await eventually(lambda: len(frames) >= _SUBSCRIPTIONS)
    return frames


def subscriptions_of(page: Page) -> list[dict[str, object]]:
    """Fills with the frames by which the page subscribes; their tickets are good for ten minutes."""
    frames: list[dict[str, object]] = []

    def sent(payload: str | bytes) -> None:
        frame: dict[str, object] = json.loads(payload)
        if frame["type"] == "subscribe":
            frames.append(frame)

    def opened(socket: WebSocket) -> None:
        if socket.url.endswith("/api/live"):
            socket.on("framesent", sent)

    page.on("websocket", opened)
    return frames


async def read(url: str, frames: list[dict[str, object]]) -> None:
    """Hold a live connection as the page does that sent these frames."""
    async with open_tab(url) as tab:
        for frame in frames:
            await tab.say(**frame)
        await tab.read()


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
