"""The review on the session's page: a note about a moment, its undo, a verdict that stays."""

from __future__ import annotations

from playwright.async_api import expect

from tests.support import steps
from tests.support.browser import Pages
from tests.support.control_room import ControlRoom


async def test_a_note_is_pinned_removed_and_put_back_and_a_verdict_stays_over_a_reload(
    control_room: ControlRoom, open_page: Pages
) -> None:
    made = await steps.new_session(control_room.url, "reviewed")
    page = await open_page(f"{control_room.url}/session?id={made['session_id']}")
    await page.get_by_role("button", name="Add note N").click()
    text = page.get_by_role("textbox", name="Note")
    await expect(page.get_by_role("textbox", name="Note", exact=True)).to_have_count(0)
    await text.fill("Too slow here")
    await page.get_by_role("button", name="Add note", exact=True).click()
    await expect(page.get_by_text("Note added")).to_be_visible()
    await expect(text).to_have_value("")
    # It stands in the transcript, too, at its moment.
    await expect(page.get_by_role("log", name="Transcript")).to_contain_text("Too slow here")

    await page.get_by_role("button", name="Remove note").click()
    await expect(page.get_by_text("Note removed")).to_be_visible()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("button", name="Remove note")).to_be_visible()

    await page.get_by_role("button", name="Save review").click()
    await expect(page.get_by_text("No result selected.")).to_be_visible()
    await page.get_by_role("radio", name="Fail").click()
    await page.get_by_role("textbox", name="Comment").fill("It never came")
    await page.get_by_role("button", name="Save review").click()
    await expect(page.get_by_text("Review saved")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("radio", name="Fail")).to_be_checked()
    await expect(page.get_by_role("textbox", name="Comment")).to_have_value("It never came")
