"""The story of the control room, in a real browser: create, watch, act, end."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.support.browser import BrowserLog, Pages
from tests.support.control_room import ControlRoom
from tests.support.http import http_status
from tests.support.participants import ParticipantError, People
from tests.support.waiting import eventually

# Streamlit 1.67 asks for these two relative to a deep link; they are not there and not needed.
KNOWN = (r"_stcore/(health|host-config)", r"404 \(Not Found\)")


async def _create_a_room(page: Page, url: str, name: str) -> str:
    """Through the dialog; gives the token that it shows."""
    await page.goto(f"{url}/rooms")
    await page.get_by_role("button", name="Create a room").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill(name)
    await dialog.get_by_role("button", name="Create the room").click()
    await dialog.get_by_text("The room is open").wait_for()
    code = await dialog.get_by_test_id("stCode").first.inner_text()
    return "".join(code.split())


async def test_a_room_is_created_watched_and_ended_in_the_browser(
    control_room: ControlRoom, open_page: Pages, join_room: People, browser_log: BrowserLog
) -> None:
    page = await open_page()
    token = await _create_a_room(page, control_room.url, "story")
    assert token.startswith("eyJ")
    await page.goto(f"{control_room.url}/rooms?q=story")
    row = page.get_by_role("row").filter(has_text="story")
    await expect(row).to_contain_text("pm-agent")
    search = page.get_by_placeholder("Name, agent or session")
    await search.focus()

    # Nobody touches the page: what happens at LiveKit arrives by itself.
    await page.evaluate("window.__untouched = true")
    await join_room(control_room.target, "story", token=token)
    await expect(row.get_by_role("gridcell").nth(3)).to_have_text("1")
    assert await page.evaluate("window.__untouched") is True
    await expect(search).to_be_focused()

    await row.get_by_role("link").click()
    await expect(page.get_by_role("button", name="Remove")).to_be_visible()
    await expect(page.get_by_text("audio from microphone")).to_be_visible()
    await page.get_by_role("button", name="End room").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("will be put out")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="End room").click()
    await dialog.get_by_role("button", name="End room").click()
    await page.get_by_text("This room has ended.").wait_for()
    await page.get_by_role("link", name="Open its session").click()
    await page.get_by_text("What happened").wait_for()
    browser_log.assert_clean(*KNOWN)


async def test_a_removed_participant_cannot_come_back_until_it_is_let_in(
    control_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    page = await open_page()
    token = await _create_a_room(page, control_room.url, "kick")
    caller = await join_room(control_room.target, "kick", token=token)
    await join_room(control_room.target, "kick", "witness", audio=False)
    await page.goto(f"{control_room.url}/room?name=kick")
    card = page.locator("[class*=st-key-room]").filter(has_text=caller.identity).last
    await card.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(caller.identity)
    await dialog.get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("Kept out")).to_be_visible()

    async def put_out() -> bool:
        return not (await caller.seen()).connected

    await eventually(put_out)
    try:
        again = await join_room(control_room.target, "kick", token=token)
    except ParticipantError:
        pass  # it was put out while it joined
    else:

        async def out_again() -> bool:
            return not (await again.seen()).connected

        await eventually(out_again)
    await page.get_by_role("button", name="Let back in").click()
    await expect(page.get_by_text("Kept out")).to_be_hidden()
    back = await join_room(control_room.target, "kick", token=token)
    assert (await back.seen()).connected


async def test_a_deep_link_on_a_fresh_process_opens_its_page_through_the_gate(
    mortal_control_room: ControlRoom, open_page: Pages
) -> None:
    page = await open_page(f"{mortal_control_room.url}/system")
    await expect(page.get_by_role("heading", name="System")).to_be_visible()
    await expect(page.get_by_test_id("stSidebarNav")).to_be_visible()
    await expect(page).to_have_title("System · Switchboard")


async def test_wrong_json_is_refused_and_nothing_typed_is_lost(
    control_room: ControlRoom, open_page: Pages
) -> None:
    page = await open_page(f"{control_room.url}/rooms")
    await page.get_by_role("button", name="Create a room").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill("never-made")
    await dialog.get_by_text("More options").click()
    metadata = dialog.get_by_role("textbox", name="Metadata (a JSON object)")
    await metadata.fill("{not json")
    await dialog.get_by_role("button", name="Create the room").click()
    await expect(dialog).to_contain_text("is not JSON")
    await expect(dialog.get_by_label("Name", exact=True)).to_have_value("never-made")
    await expect(metadata).to_have_value("{not json")
    assert http_status(f"{control_room.url}/api/rooms/never-made") == 404


async def test_pages_say_that_livekit_is_away_and_recover_by_themselves(
    mortal_control_room: ControlRoom, open_page: Pages
) -> None:
    page = await open_page(mortal_control_room.url)
    await expect(page.get_by_text("Answers in")).to_be_visible()
    mortal_control_room.livekit.kill()
    await expect(page.get_by_text("LiveKit could not be reached").first).to_be_visible(
        timeout=15_000
    )
    mortal_control_room.livekit.start()
    await expect(page.get_by_text("Answers in")).to_be_visible(timeout=15_000)


async def test_names_that_look_like_markup_are_shown_as_they_are(
    control_room: ControlRoom, open_page: Pages, join_room: People, browser_log: BrowserLog
) -> None:
    name = "<b>bold</b> **x** :red[y] `z`"
    await join_room(control_room.target, name, "<img src=x onerror=alert(1)>", audio=False)
    page = await open_page()
    await page.goto(f"{control_room.url}/rooms?q=bold")
    await expect(page.get_by_role("row").filter(has_text=name)).to_be_visible()
    await page.get_by_role("link", name=name).click()
    await expect(page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_visible()
    assert await page.locator("img[src=x]").count() == 0
    browser_log.assert_clean(*KNOWN)
