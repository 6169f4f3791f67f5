"""Links that were kept or sent: names of every kind, things that are not there."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.support import steps
from tests.support.browser import BrowserLog, Pages
from tests.support.control_room import ControlRoom
from tests.support.participants import People

NAMES = {
    "all at once": '**b** :red[y] <img src=x onerror=alert(1)> it\'s "q" & 100% 🎧 房间 :material/delete:',
    "markdown": "**bold** _x_ `c` :red[y] [l](http://e.invalid)",
    "HTML": "<img src=x onerror=alert(1)>",
    "quotes": 'it\'s "quoted" & 100% + #1?',
    "emoji": "🎧 Ünïcode 房间 🇩🇪",
    "material": ":material/delete: :streamlit:",
    "256 bytes": "long-" + "x" * 243 + "tail-end",
}


async def test_links_to_what_is_not_there_say_so_and_lead_on(
    control_room: ControlRoom, open_page: Pages, browser_log: BrowserLog
) -> None:
    page = await open_page(f"{control_room.url}/room?name=nowhere")
    await expect(page.get_by_text("Room not found.")).to_be_visible()
    await page.get_by_role("link", name="View rooms").click()
    await expect(page.get_by_role("heading", name="Rooms", exact=True)).to_be_visible()
    await page.goto(f"{control_room.url}/session?id=ses_{'0' * 32}")
    await expect(page.get_by_text("no session").first).to_be_visible()
    await page.goto(f"{control_room.url}/session?id=<b>x</b>")
    await expect(page.get_by_text("No session selected.")).to_be_visible()
    browser_log.assert_clean(*steps.KNOWN_ERRORS)


@pytest.mark.parametrize(
    "kinds",
    [
        ("all at once", "256 bytes"),
        pytest.param(("markdown", "HTML", "quotes", "emoji", "material"), marks=pytest.mark.full),
    ],
)
async def test_names_of_every_kind_are_shown_as_they_are(
    control_room: ControlRoom,
    open_page: Pages,
    join_room: People,
    browser_log: BrowserLog,
    kinds: tuple[str, ...],
) -> None:
    names = [NAMES[kind] for kind in kinds]
    for name in names:
        await join_room(control_room.target, name, name, name=name, audio=False)
    page = await open_page(width=420)
    for name in names:
        await page.goto(f"{control_room.url}/rooms?q={quote(name[:40])}")
        await page.get_by_role("link", name=name, exact=True).click()
        await expect(page).to_have_url(re.compile("/room[?]name="))
        assert parse_qs(urlsplit(page.url).query)["name"] == [name]
        card = page.locator("[class*=st-key-room-participant-]").first
        # Streamlit 1.67 makes icons of these even in code; an invisible joiner prevents it.
        shown = name.replace(":material/", ":material\u2060/")
        await card.get_by_text("Details").click()
        await expect(card.get_by_text(shown, exact=True).last).to_be_visible()
        await page.get_by_role("button", name="Remove").click()
        await expect(page.get_by_role("dialog").get_by_text(shown, exact=True)).to_be_visible()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        await page.get_by_role("link", name="Open session").click()
        await expect(page.get_by_role("heading", name="Participants")).to_be_visible()
        await _draws_no_more_than_it_should(page)
    await page.goto(control_room.url)
    await expect(page.get_by_role("heading", name="Latest sessions")).to_be_visible()
    await _draws_no_more_than_it_should(page)
    browser_log.assert_clean(*steps.KNOWN_ERRORS)


async def _draws_no_more_than_it_should(page: Page) -> None:
    assert await page.locator("img[src=x]").count() == 0
    assert await steps.too_wide_by(page) == 0


async def test_a_name_cannot_disguise_itself_by_turning_its_direction(
    control_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    name = "invoice\u202egnp.exe"
    await join_room(control_room.target, name, name, audio=False)
    page = await open_page()
    shown = "invoice\ufffdgnp.exe"
    for path in ("", "rooms?q=invoice", f"room?name={quote(name)}"):
        await page.goto(f"{control_room.url}/{path}")
        await expect(page.get_by_text(shown).first).to_be_visible()
        assert "\u202e" not in await page.get_by_test_id("stMain").inner_text()
