"""The Room page: acting on who is there while people come and go."""

from __future__ import annotations

import asyncio

from livekit import api
from playwright.async_api import expect

from tests.support import steps
from tests.support.browser import BrowserLog, Pages
from tests.support.control_room import ControlRoom
from tests.support.participants import People
from tests.support.waiting import eventually


async def test_a_message_reaches_the_chosen_participant_and_metadata_everybody(
    control_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    ana = await join_room(control_room.target, "message", "ana", audio=False)
    ben = await join_room(control_room.target, "message", "ben", audio=False)
    page = await open_page(f"{control_room.url}/room?name=message")
    message = page.get_by_label("Message")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("The message is empty.")).to_be_visible()

    await message.fill("Grüße 🎧 <b>")
    to = page.get_by_role("combobox", name="To")
    await to.press_sequentially("ben")
    await page.get_by_role("option", name="ben").click()
    await to.press("Escape")
    await expect(page.get_by_role("group", name="Selected values")).to_contain_text("ben")
    await page.get_by_role("textbox", name="Topic").fill("desk")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("Message sent to ben")).to_be_visible()
    await expect(message).to_have_value("")

    async def ben_got_it() -> bool:
        return [(m.text, m.topic) for m in (await ben.seen()).data] == [("Grüße 🎧 <b>", "desk")]

    await eventually(ben_got_it)
    assert not (await ana.seen()).data

    metadata = page.get_by_label("Metadata", exact=True)
    await metadata.fill('{"a": ')
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("The metadata is not valid JSON")).to_be_visible()
    await expect(metadata).to_have_value('{"a": ')
    await metadata.fill('{"a": 1}')
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Metadata saved")).to_be_visible()

    async def told() -> bool:
        return (await ana.seen()).room_metadata == '{"a": 1}'

    await eventually(told)

    # Somebody else changes it: what is typed here is not replaced by itself.
    await metadata.fill("{half")
    async with steps.livekit_api(control_room.target) as livekit:
        await livekit.room.update_room_metadata(
            api.UpdateRoomMetadataRequest(room="message", metadata='{"b": 2}')
        )
    await expect(page.get_by_text("metadata has changed")).to_be_visible()
    await expect(metadata).to_have_value("{half")
    await page.get_by_role("button", name="Load current metadata").click()
    await expect(metadata).to_have_value('{\n  "b": 2\n}')
    await expect(page.get_by_text("metadata has changed")).to_be_hidden()


async def test_nothing_is_lost_while_people_come_and_go(
    control_room: ControlRoom, open_page: Pages, join_room: People, browser_log: BrowserLog
) -> None:
    first = await join_room(control_room.target, "lively", "first", audio=False)
    for name in ("second", "third", "fourth"):
        await join_room(control_room.target, "lively", name, attributes={"desk": f"of {name}"})
    page = await open_page(f"{control_room.url}/room?name=lively")
    await steps.mark(page)
    second = steps.card_of(page, "second")
    await second.get_by_text("Details").click()
    await expect(second.get_by_text("of second")).to_be_visible()
    message = page.get_by_label("Message")
    await message.press_sequentially("half a mess")
    before = await steps.height_of(message)

    fifth = await join_room(control_room.target, "lively", "fifth", audio=False)
    await expect(steps.card_of(page, "fifth")).to_be_visible()
    await fifth.leave()
    await expect(steps.card_of(page, "fifth")).to_be_hidden()
    assert abs(await steps.height_of(message) - before) <= 1
    await first.leave()  # the cards below move up, and take along what is open in them
    await expect(steps.card_of(page, "first")).to_be_hidden()

    await expect(second.get_by_text("of second")).to_be_visible()
    for name in ("third", "fourth"):
        await expect(steps.card_of(page, name).get_by_text(f"of {name}")).to_be_hidden()
    await message.press_sequentially("age")
    await expect(message).to_have_value("half a message")
    await expect(message).to_be_focused()
    await steps.assert_not_reloaded(page)
    browser_log.assert_clean(*steps.KNOWN_ERRORS)


async def test_a_dialog_stays_open_while_people_come_and_opens_and_closes_in_their_midst(
    control_room: ControlRoom, open_page: Pages, join_room: People, browser_log: BrowserLog
) -> None:
    await join_room(control_room.target, "asked", "ana", audio=False)
    page = await open_page(f"{control_room.url}/room?name=asked")
    await page.get_by_role("button", name="End room").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("ana will be removed.")
    await join_room(control_room.target, "asked", "ben", audio=False)
    await expect(dialog).to_contain_text("ana and ben will be removed.")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    assert "asked" in await steps.rooms_at_livekit(control_room.target)

    # Drawn by a part that is drawn anew at the same moment they would blank the whole page.
    async def come_and_go() -> None:
        for number in range(4):
            person = await join_room(control_room.target, "asked", f"p{number}", audio=False)
            await person.leave()

    coming = asyncio.create_task(come_and_go())
    opened = 0
    while not coming.done() or opened < 4:
        await page.get_by_role("button", name="End room").click()
        await expect(dialog).to_contain_text("will be removed.")
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        opened += 1
    await coming
    await expect(steps.card_of(page, "ana")).to_be_visible()
    browser_log.assert_clean(*steps.KNOWN_ERRORS)


async def test_a_room_that_ends_elsewhere_says_so_and_leads_to_its_session(
    control_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    await join_room(control_room.target, "elsewhere", "ana", audio=False)
    page = await open_page(f"{control_room.url}/room?name=elsewhere")
    await expect(steps.card_of(page, "ana")).to_be_visible()
    async with steps.livekit_api(control_room.target) as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room="elsewhere"))
    await expect(page.get_by_text("This room has ended.")).to_be_visible()
    await expect(page.get_by_label("Message")).to_be_hidden()
    await page.get_by_role("link", name="Open session").click()
    await expect(page.get_by_role("heading", name="elsewhere")).to_be_visible()
