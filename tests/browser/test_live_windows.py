"""A wall of windows in one browser: all of them stay live, and hidden ones give theirs back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.support import steps
from tests.support.browser import BrowserLog
from tests.support.control_room import ControlRoom
from tests.support.job_stream import open_stream
from tests.support.participants import People
from tests.support.waiting import eventually

_HIDE: Final = """(state) => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@asynccontextmanager
async def one_browser(browser: Browser, log: BrowserLog) -> AsyncIterator[BrowserContext]:
    """Windows that share their connections, as those of one person do."""
    context = await browser.new_context(reduced_motion="reduce")
    context.on("page", log.watch)
    try:
        yield context
    finally:
        await context.close()
        log.assert_nothing_from_outside()


async def viewers(room: ControlRoom) -> float:
    async with httpx.AsyncClient(timeout=15) as http:
        text = (await http.get(f"{room.url}/api/metrics")).text
    name = "switchboard_live_viewers "
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[1])


@pytest.mark.timeout(400)
@pytest.mark.parametrize("windows", [8, pytest.param(20, marks=pytest.mark.full)])
async def test_more_visible_windows_than_a_browser_opens_connections_stay_live(
    control_room: ControlRoom,
    browser: Browser,
    browser_log: BrowserLog,
    join_room: People,
    windows: int,
) -> None:
    """A browser opens six HTTP/1.1 connections to a host."""
    room = control_room
    made = await steps.new_session(room.url, "wall")
    name = made["room_name"]
    sockets: list[list[str]] = []
    async with (
        open_stream(room.url, room.target, name) as job,
        one_browser(browser, browser_log) as context,
    ):
        pages: list[Page] = []
        for number in range(windows):
            page = await context.new_page()
            sockets.append(_sockets_of(page))
            on_rooms = number % 2 == 0
            path = f"rooms?q={name}" if on_rooms else f"session?id={made['session_id']}"
            await page.goto(f"{room.url}/{path}")
            pages.append(page)
        rooms, sessions = pages[::2], pages[1::2]
        people = [steps.people_in(steps.row_of(page, name)) for page in rooms]
        for cell in people:
            await expect(cell).to_have_text("0")
        for page in sessions:
            await expect(page.get_by_role("region", name="Transcript")).to_be_visible()
        await eventually(lambda: _all_are_seen(room, windows))

        ana = await join_room(room.target, name, "ana", audio=False)
        said = "All the others read this as well."
        words = {"role": "user", "id": "m1", "text": said, "metrics": {}}
        await job.tell("conversation_item_added", **words)
        for cell in people:
            await expect(cell).to_have_text("1")
        for page in sessions:
            await expect(page.get_by_text(said).first).to_be_visible()
        await ana.leave()
        for cell in people:
            await expect(cell).to_have_text("0")
        for page, asked in zip(pages, sockets, strict=True):
            assert await page.evaluate("document.visibilityState") == "visible"
            assert len([url for url in asked if "/api/live" in url]) == 1
    browser_log.assert_clean(*steps.KNOWN_ERRORS)


def _sockets_of(page: Page) -> list[str]:
    """Fills with the addresses of the sockets that the page opens."""
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(socket.url))
    return opened


async def _all_are_seen(room: ControlRoom, windows: int) -> bool:
    return await viewers(room) == windows


async def test_a_hidden_window_gives_its_connection_back_and_misses_nothing(
    control_room: ControlRoom, browser: Browser, browser_log: BrowserLog, join_room: People
) -> None:
    room = control_room
    name = (await steps.new_session(room.url, "hidden"))["room_name"]
    async with one_browser(browser, browser_log) as context:
        page = await context.new_page()
        await page.goto(f"{room.url}/rooms?q={name}")
        people = steps.people_in(steps.row_of(page, name))
        await expect(people).to_have_text("0")
        assert await viewers(room) == 1
        await page.evaluate(_HIDE, "hidden")

        async def nobody() -> bool:
            return await viewers(room) == 0

        await eventually(nobody)
        await join_room(room.target, name, "ana", audio=False)
        await expect(people).to_have_text("0")
        await page.evaluate(_HIDE, "visible")
        await expect(people).to_have_text("1")
        assert await viewers(room) == 1
