"""The sessions page: searched, filtered by link, pages turned, several ended at once."""

from __future__ import annotations

import httpx
from playwright.async_api import Page, expect

from tests.support import steps
from tests.support.browser import Pages
from tests.support.control_room import ControlRoom


async def note(room: ControlRoom, session_id: str, text: str, *tags: str) -> None:
    async with httpx.AsyncClient(base_url=room.url) as http:
        body = {"text": text, "tags": list(tags)}
        made = await http.post(f"/api/voice/session/{session_id}/notes", json=body)
        assert made.status_code == 201, made.text


async def choose_row(page: Page, row: int) -> None:
    """By its box; the table is drawn on a canvas."""
    grid = page.get_by_test_id("stDataFrame")
    await grid.click(position={"x": 18, "y": 52 + 35 * row})


async def test_a_session_is_found_by_its_words_and_a_link_leads_there(
    mortal_control_room: ControlRoom, open_page: Pages
) -> None:
    room = mortal_control_room
    page = await open_page(f"{room.url}/sessions")
    await expect(page.get_by_text("There is no session yet.")).to_be_visible()
    ana = await steps.new_session(room.url, "ana <b>")
    ben = await steps.new_session(room.url, "ben")
    grid = page.get_by_test_id("stDataFrame")
    await expect(grid).to_contain_text("ben", timeout=15_000)  # it comes by itself
    await note(room, ana["session_id"], "She asks about the green lantern", "odd")
    await note(room, ben["session_id"], "Nothing to see")

    search = page.get_by_role("textbox", name="Search what was said and noted")
    await search.fill("lantern green")
    await search.press("Enter")
    await expect(grid).to_contain_text("ana <b>")
    await expect(grid).not_to_contain_text("ben")
    await page.wait_for_url("**q=lantern**")

    other = await open_page(f"{page.url}&tag=odd")
    await expect(other.get_by_text("Filters · 1")).to_be_visible()
    await expect(other.get_by_test_id("stDataFrame")).to_contain_text("ana <b>")
    await choose_row(other, 0)
    await other.get_by_role("link", name="Open the session").click()
    await other.wait_for_url(f"**/session?id={ana['session_id']}*")

    await search.fill("unheard of")
    await search.press("Enter")
    await expect(page.get_by_text("No session is like that.")).to_be_visible()
    await page.get_by_role("button", name="Clear all").click()
    await expect(grid).to_contain_text("ben")
    await expect(search).to_have_value("")


async def test_several_sessions_are_chosen_and_ended_after_a_question(
    mortal_control_room: ControlRoom, open_page: Pages
) -> None:
    room = mortal_control_room
    made = [await steps.new_session(room.url, f"user-{number}") for number in range(3)]
    page = await open_page(f"{room.url}/sessions?status=created")
    await expect(page.get_by_test_id("stDataFrame")).to_contain_text("user-0")
    await choose_row(page, 0)
    await choose_row(page, 1)
    await expect(page.get_by_text("2 sessions chosen")).to_be_visible()
    await steps.new_session(room.url, "late")  # the rows do not move under the hand
    await page.get_by_role("button", name="End 2 sessions").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="End them").click()
    await expect(page.get_by_text("2 sessions ended.")).to_be_visible()
    left = await steps.rooms_at_livekit(room.target)
    assert made[0]["room_name"] in left
    assert not {made[1]["room_name"], made[2]["room_name"]} & left
