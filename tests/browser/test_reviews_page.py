"""The reviews page: a session comes into the queue, is assigned, judged, and leaves it."""

from __future__ import annotations

from playwright.async_api import expect

from services.reviews.queue import is_drawn
from tests.browser.test_sessions_page import choose_row
from tests.support import steps
from tests.support.browser import Pages
from tests.support.control_room import ControlRoom


async def test_a_session_is_assigned_judged_and_leaves_the_queue(
    control_room: ControlRoom, open_page: Pages
) -> None:
    room = control_room
    async with steps.http(room.url) as http:
        drawn = False
        while not drawn:  # by their id: 5 of 100
            made = await steps.new_session(room.url, "ana")
            await http.delete(f"/api/voice/session/{made['session_id']}")
            drawn = is_drawn(made["session_id"])
    page = await open_page(f"{room.url}/reviews")
    grid = page.get_by_test_id("stDataFrame").first
    await expect(grid).to_contain_text("random sample (5%)")
    await choose_row(page, 0)
    await page.get_by_role("button", name="Assign to me").click()
    await expect(page.get_by_text("1 session assigned to you")).to_be_visible()
    await expect(grid).to_contain_text("operator")
    await choose_row(page, 0)
    await expect(page.get_by_text("No transcript.")).to_be_visible()
    await page.get_by_role("radio", name="Fail").click()
    await page.get_by_role("button", name="Save review").click()
    await expect(page.get_by_text("Review saved")).to_be_visible()
    await page.get_by_role("tab", name="Versions").click()
    await expect(page.get_by_text("Lines show the 95 % confidence interval")).to_be_visible()
    await page.get_by_role("tab", name="Agreement").click()
    await expect(page.get_by_text("No session with two reviews")).to_be_visible()
