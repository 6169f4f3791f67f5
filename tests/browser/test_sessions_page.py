"""The sessions page: searched, filtered by link, pages turned, several ended at once."""

from __future__ import annotations

import secrets
from typing import Any

from playwright.async_api import Page, expect

from tests.support import steps
from tests.support.browser import Pages
from tests.support.control_room import ControlRoom


async def note(room: ControlRoom, session_id: str, text: str, *tags: str) -> None:
    async with steps.http(room.url) as http:
        body = {"text": text, "tags": list(tags)}
        made = await http.post(f"/api/voice/session/{session_id}/notes", json=body)
        assert made.status_code == 201, made.text


async def choose_row(page: Page, row: int) -> None:
    """By its box; the table is drawn on a canvas."""
    grid = page.get_by_test_id("stDataFrame")
    await grid.click(position={"x": 18, "y": 52 + 35 * row})


async def test_a_session_is_found_by_its_words_and_a_link_leads_there(
    control_room: ControlRoom, open_page: Pages
) -> None:
    room = control_room
    page = await open_page(f"{room.url}/sessions")
    await steps.wait_until_drawn(page)
    ana = await steps.new_session(room.url, "ana <b>")
    ben = await steps.new_session(room.url, "ben")
    grid = page.get_by_test_id("stDataFrame")
    await expect(grid).to_contain_text("ben")  # it comes by itself
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
    await expect(other.get_by_role("combobox", name="Sort by")).to_have_value("Created")
    await other.get_by_text("Filters · 1").click()
    await expect(other.get_by_role("combobox", name="Tags")).to_have_value("odd")
    await choose_row(other, 0)
    await other.get_by_role("link", name="Open the session").click()
    await other.wait_for_url(f"**/session?id={ana['session_id']}*")
    await steps.go_back(other)  # to the view as it was
    await expect(other.get_by_text("Filters · 1")).to_be_visible()
    await expect(other.get_by_role("textbox", name="Search what was said")).to_have_value(
        "lantern green"
    )

    await search.fill("unheard of")
    await search.press("Enter")
    await expect(page.get_by_text("No sessions match.")).to_be_visible()
    await page.get_by_role("button", name="Clear all").click()
    await expect(grid).to_contain_text("ben")
    await expect(search).to_have_value("")


async def test_several_sessions_are_chosen_and_ended_after_a_question(
    control_room: ControlRoom, open_page: Pages
) -> None:
    room = control_room
    end = f"end-{secrets.token_hex(3)}"
    made = [await steps.new_session(room.url, f"{end}-{number}") for number in range(3)]
    page = await open_page(f"{room.url}/sessions?status=created")
    await expect(page.get_by_test_id("stDataFrame")).to_contain_text(f"{end}-0")
    await choose_row(page, 0)
    await choose_row(page, 1)
    await expect(page.get_by_text("2 sessions selected")).to_be_visible()
    await steps.new_session(room.url, "late")  # the rows do not move under the hand
    await page.get_by_role("button", name="End 2 sessions").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="End them").click()
    await expect(page.get_by_text("2 sessions ended.")).to_be_visible()
    left = await steps.rooms_at_livekit(room.target)
    assert made[0]["room_name"] in left
    assert not {made[1]["room_name"], made[2]["room_name"]} & left


async def test_several_are_tagged_and_what_is_over_is_deleted_for_good(
    control_room: ControlRoom, open_page: Pages
) -> None:
    room = control_room
    mark = secrets.token_hex(3)
    users = [f"user-{mark}-{number}" for number in range(3)]
    made = [(await steps.new_session(room.url, user))["session_id"] for user in users]
    page = await open_page(f"{room.url}/sessions")
    grid = page.get_by_test_id("stDataFrame")
    await expect(grid).to_contain_text(users[0])
    await choose_row(page, 0)
    await choose_row(page, 1)
    await expect(page.get_by_text("2 sessions selected")).to_be_visible()
    await page.get_by_role("button", name="Tag").click()
    tags = page.get_by_role("combobox", name="Add")
    await tags.fill(f"odd <b> {mark}")
    await tags.press("Enter")
    await tags.press("Tab")
    await page.get_by_role("button", name="Save tags").click()
    await expect(page.get_by_text("The tags of 2 sessions were written.")).to_be_visible()
    found = await listed(room, tag=f"odd <b> {mark}")
    assert [one["user_id"] for one in found] == [users[2], users[1]]

    one = found[0]["session_id"]
    async with steps.http(room.url) as http:
        await http.delete(f"/api/voice/session/{one}")
    await page.goto(f"{room.url}/sessions?status=ended")
    await expect(grid).to_contain_text(found[0]["user_id"])
    await choose_row(page, 0)
    await page.get_by_role("button", name="Delete 1 session").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Delete them").click()
    await expect(dialog.get_by_text("ended a moment ago")).to_be_visible()
    await dialog.get_by_role("button", name="Cancel").click()
    assert set(made) <= {left["session_id"] for left in await listed(room)}


async def listed(room: ControlRoom, **view: str) -> list[dict[str, Any]]:
    async with steps.http(room.url) as http:
        reply = await http.get("/api/voice/sessions", params=view)
    found: list[dict[str, Any]] = reply.json()["sessions"]
    return found


async def test_a_view_with_its_columns_is_kept_linked_and_taken_away(
    control_room: ControlRoom, open_page: Pages
) -> None:
    room = control_room
    ana = f"ana-{secrets.token_hex(3)}"
    await steps.new_session(room.url, ana)
    await steps.new_session(room.url, "ben")
    view = f"user_id={ana}&room_name=pm-agent-*&assignee=-&columns=user_id,session_id"
    page = await open_page(f"{room.url}/sessions?{view}")
    grid = page.get_by_test_id("stDataFrame")
    await expect(grid).to_contain_text("ses_")
    await expect(grid).not_to_contain_text("pm-agent")
    await page.get_by_role("button", name="Save view").click()
    await page.get_by_role("textbox", name="Its name").fill(f"{ana}, short")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("saved for all users")).to_be_visible()

    other = await open_page(f"{room.url}/sessions")
    rows = other.get_by_test_id("stDataFrame")
    await expect(rows).to_contain_text("ben")
    await steps.choose(other.get_by_role("combobox", name="View"), f"{ana}, short")
    await expect(rows).not_to_contain_text("ben")
    await other.get_by_text("Filters · 3").click()
    await expect(other.get_by_role("textbox", name="Room")).to_have_value("pm-agent-*")
    await expect(other.get_by_role("combobox", name="Assignee")).to_have_value("none")
    await other.wait_for_url("**columns=user_id%2Csession_id**")
    await other.get_by_role("button", name="Export").click()
    async with other.expect_download() as taken:
        await other.get_by_role("link", name="CSV").click()
    file = await (await taken.value).path()
    head, *lines = file.read_text().splitlines()
    assert head.startswith("session_id,room_name,user_id")
    assert [line.split(",")[2] for line in lines] == [ana]

    await other.get_by_role("button", name="Save view").click()
    await other.get_by_role("button", name=f"Delete {ana}, short").click()
    await expect(other.get_by_text("is deleted")).to_be_visible()
    await other.get_by_role("button", name="Undo").click()
    await expect(other.get_by_text("Undone")).to_be_visible()
