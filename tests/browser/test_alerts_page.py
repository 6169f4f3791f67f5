"""The alerts page: rules are made and tested, what they find is shown everywhere and ends."""

from __future__ import annotations

from playwright.async_api import expect

from tests.support import steps
from tests.support.browser import Pages
from tests.support.control_room import ControlRoom


async def test_a_rule_is_made_finds_something_and_it_ends(
    mortal_control_room: ControlRoom, open_page: Pages
) -> None:
    room = mortal_control_room
    page = await open_page(f"{room.url}/alerts?tab=rules")
    await page.get_by_role("button", name="Create default rules").click()
    await expect(page.get_by_text("Default rules created")).to_be_visible()
    await page.get_by_text("New rule").click()
    await page.get_by_role("textbox", name="Name").fill("Mine <b>")
    seconds = page.get_by_role("spinbutton", name="Threshold (s)")
    await seconds.fill("5")
    await seconds.press("Tab")
    await page.get_by_role("button", name="Save rule").click()
    await expect(page.get_by_text("Mine <b>").first).to_be_visible()

    made = await steps.new_session(room.url, "ana")
    await page.get_by_role("tab", name="Active").click()
    await expect(page.get_by_text("pm-agent missing for").first).to_be_visible()
    await expect(page.get_by_role("link", name="1 active alert")).to_be_visible()
    await page.get_by_role("link", name="Open session").first.click()
    await page.wait_for_url(f"**/session?id={made['session_id']}*")
    await page.get_by_role("link", name="1 active alert").click()
    async with steps.http(room.url) as http:
        await http.delete(f"/api/voice/session/{made['session_id']}")
    await expect(page.get_by_text("No active alerts")).to_be_visible()
    await page.get_by_role("tab", name="History").click()
    await expect(page.get_by_test_id("stDataFrame")).to_contain_text("pm-agent missing for")
