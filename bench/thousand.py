"""A thousand open rooms: how long a page takes to show them."""

from __future__ import annotations

import asyncio
import re
import time

import aiohttp
from livekit import api
from playwright.async_api import Browser

from bench.report import Report, spread
from tests.support.control_room import ControlRoom

ROOMS = 1_000
LOADS = 10
_AT_ONCE = 16
_CLIENTS = 50
_COUNTED = re.compile(r"1,00\d rooms")  # a room of an earlier measurement may be left


async def measure(room: ControlRoom, browser: Browser, report: Report) -> None:
    """Open them, then load each page ten times in a fresh tab."""
    target = room.target
    names = [f"thousand-{number:04d}" for number in range(ROOMS)]
    async with api.LiveKitAPI(
        target.url, target.api_key, target.api_secret.get_secret_value()
    ) as livekit:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def create(name: str) -> None:
            async with gate:
                request = api.CreateRoomRequest(name=name, empty_timeout=1800)
                await livekit.room.create_room(request)

        await asyncio.gather(*map(create, names))
        await _all_known(room)
        for path, title, text in (
            ("", "overview", re.compile(r"^1,00\d$")),
            ("rooms", "rooms", _COUNTED),
        ):
            loads = [await _load(browser, f"{room.url}/{path}", text) for _ in range(LOADS)]
            report.add(f"{title} at 1,000 rooms, navigation -> figures shown", spread(loads))
        await _rerun(browser, room, report)
        report.add(
            "50 clients read /api/rooms together, until the last has it",
            spread([await _read_together(room) for _ in range(LOADS)]),
            "p95 <= 150 ms",
        )
        report.add("worst loop lag of the last minute", await _lag(room), "<= 20 ms")


async def _load(browser: Browser, url: str, text: str | re.Pattern[str]) -> float:
    context = await browser.new_context()
    page = await context.new_page()
    began = time.perf_counter()
    await page.goto(url, wait_until="commit")
    await page.get_by_text(text).first.wait_for()
    took = (time.perf_counter() - began) * 1000
    await context.close()
    return took


async def _rerun(browser: Browser, room: ControlRoom, report: Report) -> None:
    """From the menu, in an open tab: what an operator does all day."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(room.url)
    await page.get_by_text("Latest sessions").wait_for()
    took: dict[str, list[float]] = {"rooms": [], "overview": []}
    for _ in range(LOADS):
        for title, text in (("Rooms", _COUNTED), ("Overview", "Latest sessions")):
            began = time.perf_counter()
            await page.get_by_role("link", name=title).first.click()
            await page.get_by_text(text).first.wait_for()
            took[title.lower()].append((time.perf_counter() - began) * 1000)
    for title, values in took.items():
        report.add(f"{title} at 1,000 rooms, click -> shown", spread(values), "p95 <= 500 ms")
    await context.close()


async def _read_together(room: ControlRoom) -> float:
    connector = aiohttp.TCPConnector(limit=_CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as http:

        async def read() -> None:
            async with http.get(f"{room.url}/api/rooms") as answer:
                await answer.read()

        await asyncio.gather(*(read() for _ in range(_CLIENTS)))  # connections are open now
        began = time.perf_counter()
        await asyncio.gather(*(read() for _ in range(_CLIENTS)))
        return (time.perf_counter() - began) * 1000


async def _all_known(room: ControlRoom) -> None:
    async with aiohttp.ClientSession() as http:
        async with asyncio.timeout(60):
            while True:
                async with http.get(f"{room.url}/api/rooms") as answer:
                    if len((await answer.json())["rooms"]) >= ROOMS:
                        return
                await asyncio.sleep(0.2)


async def _lag(room: ControlRoom) -> str:
    async with aiohttp.ClientSession() as http, http.get(f"{room.url}/api/metrics") as answer:
        for line in (await answer.text()).splitlines():
            if line.startswith("switchboard_loop_lag_worst_ms "):
                return f"{float(line.split()[1]):.1f} ms"
    raise LookupError("the metrics do not name the loop's lag")
