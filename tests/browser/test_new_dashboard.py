"""A dashboard that has just been started: its first page, what is empty, its end."""

from __future__ import annotations

import asyncio
import time

import pytest
from playwright.async_api import Page, WebSocket, expect

from services.processes import guard
from tests.support import steps
from tests.support.browser import BrowserLog, Pages
from tests.support.control_room import ControlRoom
from tests.support.participants import People
from tests.support.waiting import eventually

EMPTY = {
    "sessions": "There is no session yet.",
    "reviews": "No sessions to review.",
    "alerts": "nothing is monitored",
    "access?tab=keys": "No API keys.",
}


async def test_a_deep_link_is_the_first_page_that_it_draws_and_people_change_its_figures(
    mortal_control_room: ControlRoom, open_page: Pages, join_room: People, browser_log: BrowserLog
) -> None:
    room = mortal_control_room
    page = await open_page(f"{room.url}/rooms?q=kept")
    await _is_drawn_through_the_gate(page, "Rooms")
    await expect(page.get_by_placeholder("Search rooms, agents, sessions")).to_have_value("kept")
    for path, said in EMPTY.items():
        await page.goto(f"{room.url}/{path}")
        await expect(page.get_by_text(said)).to_be_visible()

    await page.goto(room.url)
    people = page.get_by_test_id("stMetric").filter(has_text="Participants")
    await expect(people.get_by_test_id("stMetricValue")).to_have_text("0")
    await expect(page.get_by_text("Nothing needs attention.")).to_be_visible()
    await expect(page.get_by_text("No session yet.")).to_be_visible()
    await steps.mark(page)

    person = await join_room(room.target, "figures", "ana", audio=False)
    await expect(people.get_by_test_id("stMetricValue")).to_have_text("1")
    await expect(page.get_by_text("Arriving")).to_be_visible()
    await person.leave()
    await expect(people.get_by_test_id("stMetricValue")).to_have_text("0")
    await steps.assert_not_reloaded(page)

    await page.get_by_role("link", name="figures").click()
    await expect(page.get_by_role("heading", name="figures", level=1)).to_be_visible()
    assert "/session?id=ses_" in page.url
    browser_log.assert_clean(*steps.KNOWN_ERRORS)
    await _an_open_page_does_not_keep_it_from_ending(room, page)
    browser_log.errors.clear()  # that its server is gone


async def _is_drawn_through_the_gate(page: Page, title: str) -> None:
    await expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
    await expect(page.get_by_test_id("stSidebarNav")).to_be_visible()
    await expect(page).to_have_title(f"{title} · Switchboard")


async def _an_open_page_does_not_keep_it_from_ending(room: ControlRoom, page: Page) -> None:
    told: list[object] = []

    def listen(socket: WebSocket) -> None:
        if "/api/live" in socket.url:
            socket.on("framereceived", lambda frame: told.append(frame))

    page.on("websocket", listen)
    await page.goto(f"{room.url}/rooms")
    await eventually(lambda: told)
    began_s = time.monotonic()
    await asyncio.to_thread(room.dashboard.stop)
    assert time.monotonic() - began_s < guard.STOP_S, "it had to be killed"


@pytest.mark.full
@pytest.mark.parametrize("first", ["room?name=nowhere", "session?id=x", "tokens", "system"])
async def test_a_deep_link_opens_its_page_through_the_gate(
    mortal_control_room: ControlRoom, open_page: Pages, browser_log: BrowserLog, first: str
) -> None:
    """Each on a process of its own: the first page that it ever draws."""
    page = await open_page(f"{mortal_control_room.url}/{first}")
    await _is_drawn_through_the_gate(page, first.partition("?")[0].capitalize())
    browser_log.assert_clean(*steps.KNOWN_ERRORS)
