"""Agents in the browser: a chat with pm-agent, its question answered on the page, its answer seen."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support import steps
from tests.support.browser import BrowserLog, Pages
from tests.support.control_room import ControlRoom

pytestmark = pytest.mark.timeout(180)


async def test_a_question_of_the_graph_is_answered_on_the_page_and_the_agent_goes_on(
    staffed_room: ControlRoom, open_page: Pages, browser_log: BrowserLog
) -> None:
    page = await open_page(f"{staffed_room.url}/agents")
    await expect(page.get_by_text("Accepting jobs for pm-agent, echo.")).to_be_visible()
    await expect(page.locator("svg text").get_by_text("approve", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Start text chat").first.click()
    await expect(page.get_by_text("What have you finished?")).to_be_visible()
    box = page.get_by_test_id("stChatInputTextArea")
    for said, answer in (
        ("Yesterday I finished the login page.", "What will you do next?"),
        ("Today I will work on the audit log.", "Is anything blocking you?"),
        ("I am blocked by the missing database access.", "I will ask a colleague to approve."),
    ):
        await box.fill(said)
        await box.press("Enter")
        await expect(page.get_by_text(answer).last).to_be_visible()
        await expect(box).to_be_focused()

    overview = await open_page(staffed_room.url)
    await expect(overview.get_by_text("Pending question").first).to_be_visible()
    await overview.get_by_role("link", name="Answer").first.click()
    # The badge in the menu and the timeline name it, too.
    await expect(overview.get_by_text("create_tickets").first).to_be_visible()
    await overview.get_by_role("button", name="Approve", exact=True).click()
    await expect(overview.get_by_text("Answer sent")).to_be_visible()
    await expect(page.get_by_text("Approved. I created two tickets").first).to_be_visible()
    await expect(overview.get_by_text("approved by operator")).to_be_visible()

    await page.get_by_role("button", name="End chat").click()
    await expect(page.get_by_text("You ended it.")).to_be_visible()
    await expect(box).to_be_disabled()
    browser_log.assert_clean(*steps.KNOWN_ERRORS)
