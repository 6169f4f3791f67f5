"""The story of the control room, in a real browser: create, watch, act, end."""

from __future__ import annotations

import json
import re

from playwright.async_api import expect

from tests.support import signalling, steps
from tests.support.browser import BrowserLog, Pages
from tests.support.control_room import ControlRoom
from tests.support.http import http_status
from tests.support.participants import People
from tests.support.waiting import eventually


async def test_a_room_is_created_watched_and_ended_in_the_browser(
    control_room: ControlRoom, open_page: Pages, join_room: People, browser_log: BrowserLog
) -> None:
    page = await open_page(f"{control_room.url}/rooms")
    token = await steps.create_room(page, "story", metadata='{"topic": "stand-up"}')
    assert token.startswith("eyJ")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    row = steps.row_of(page, "story")
    await expect(row).to_contain_text("pm-agent")
    search = page.get_by_placeholder("Search rooms, agents, sessions")
    await search.press_sequentially("stor")
    await expect(page).to_have_url(f"{control_room.url}/rooms?q=stor")

    # Nobody touches the page: what happens at LiveKit arrives by itself.
    await steps.mark(page)
    await row.evaluate("row => row.setAttribute('data-kept', 'yes')")
    caller = await join_room(control_room.target, "story", token=token)
    await expect(steps.people_in(row)).to_have_text("1")
    await steps.assert_not_reloaded(page)
    await expect(row).to_have_attribute("data-kept", "yes")  # written into, not drawn anew
    await expect(search).to_be_focused()
    await expect(search).to_have_value("stor")

    await row.get_by_role("link").click()
    card = steps.card_of(page, caller.identity)
    await expect(card.get_by_text("(audio/")).to_be_visible()
    await card.get_by_role("button", name="Mute").click()
    await expect(card.get_by_text("muted", exact=True)).to_be_visible()

    async def is_muted() -> bool:
        return (await caller.seen()).muted

    await eventually(is_muted)
    assert json.loads((await caller.seen()).room_metadata)["topic"] == "stand-up"

    await page.get_by_role("button", name="End room").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(f"{caller.identity} will be removed")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    assert "story" in await steps.rooms_at_livekit(control_room.target)
    await page.get_by_role("button", name="End room").click()
    await dialog.get_by_role("button", name="End room").click()
    await page.get_by_text("This room has ended.").wait_for()
    assert "story" not in await steps.rooms_at_livekit(control_room.target)

    await page.get_by_role("link", name="Open session").click()
    await expect(page.get_by_role("heading", name="operator with pm-agent")).to_be_visible()
    await expect(page.get_by_text("Ended by an operator.").first).to_be_visible()
    happened = page.get_by_role("region", name=re.compile(r"^\d+ events of the session"))
    await expect(happened).to_be_visible()
    browser_log.assert_clean(*steps.KNOWN_ERRORS)


async def test_a_removed_participant_cannot_come_back_until_it_is_let_in(
    control_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    page = await open_page(f"{control_room.url}/rooms")
    token = await steps.create_room(page, "kick")
    caller = await join_room(control_room.target, "kick", token=token)
    await join_room(control_room.target, "kick", "witness", audio=False)
    await page.get_by_role("button", name="Open room").click()
    card = steps.card_of(page, caller.identity)
    await card.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(caller.identity)
    await expect(dialog).to_contain_text("can't revoke the token")
    await dialog.get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("heading", name="Blocked participants")).to_be_visible()
    await expect(card).to_be_hidden()

    async def put_out() -> bool:
        seen = await caller.seen()
        return not seen.connected and seen.left_because == "PARTICIPANT_REMOVED"

    await eventually(put_out)
    assert await signalling.put_out(control_room.target, token)
    await expect(steps.card_of(page, "witness")).to_be_visible()

    await page.get_by_role("button", name="Unblock").click()
    await expect(page.get_by_role("heading", name="Blocked participants")).to_be_hidden()
    back = await join_room(control_room.target, "kick", token=token)
    assert (await back.seen()).connected
    await expect(steps.card_of(page, caller.identity)).to_be_visible()


async def test_wrong_json_is_refused_and_nothing_typed_is_lost(
    control_room: ControlRoom, open_page: Pages
) -> None:
    page = await open_page(f"{control_room.url}/rooms")
    await page.get_by_role("button", name="Create room").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill("mended")
    await dialog.get_by_role("textbox", name="Identity").fill("ana")
    await dialog.get_by_text("More options").click()
    metadata = dialog.get_by_role("textbox", name="Metadata (JSON object)")
    await metadata.fill("{not json")
    await dialog.get_by_role("button", name="Create room").click()
    await expect(dialog).to_contain_text("is not JSON")
    await expect(dialog.get_by_label("Name", exact=True)).to_have_value("mended")
    await expect(dialog.get_by_role("textbox", name="Identity")).to_have_value("ana")
    await expect(metadata).to_have_value("{not json")
    await expect(metadata).to_be_visible()
    assert http_status(f"{control_room.url}/api/rooms/mended") == 404

    await metadata.fill('{"now": "json"}')
    await dialog.get_by_role("button", name="Create room").click()
    await dialog.get_by_text("Room created").wait_for()
    assert "mended" in await steps.rooms_at_livekit(control_room.target)
