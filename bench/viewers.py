"""What viewers cost: calls to LiveKit and processor time, with 1 and with many open pages."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import psutil
from playwright.async_api import Browser, Page

from bench.report import Report
from tests.support.control_room import ControlRoom

MANY = 50
WINDOW_S = 15.0


async def measure(room: ControlRoom, browser: Browser, report: Report) -> None:
    """The same window with one viewer and with fifty, half on each page."""
    context = await browser.new_context()
    pages: list[Page] = []
    rates: dict[int, float] = {}
    for count in (1, MANY):
        while len(pages) < count:
            page = await context.new_page()
            await page.goto(f"{room.url}/{'rooms' if len(pages) % 2 else ''}")
            pages.append(page)
        await asyncio.sleep(3)
        rates[count], cpu = await _window(room)
        report.add(f"LiveKit calls per second, {count} viewers", f"{rates[count]:.2f}")
        report.add(f"dashboard CPU at rest, {count} viewers", f"{cpu:.0f} % of one core")
    report.add(f"calls with {MANY} viewers / with 1", f"{rates[MANY] / rates[1]:.2f}x", "1.0x")
    await context.close()


async def _window(room: ControlRoom) -> tuple[float, float]:
    process = psutil.Process(room.dashboard.process.pid)
    calls, cpu, began = await _calls(room), sum(process.cpu_times()[:2]), time.monotonic()
    await asyncio.sleep(WINDOW_S)
    seconds = time.monotonic() - began
    rate = (await _calls(room) - calls) / seconds
    return rate, (sum(process.cpu_times()[:2]) - cpu) / seconds * 100


async def _calls(room: ControlRoom) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{room.url}/api/metrics") as answer:
        for line in (await answer.text()).splitlines():
            if line.startswith("switchboard_livekit_calls "):
                return float(line.split()[1])
    raise LookupError("the metrics do not name LiveKit calls")
