"""The Rooms page: several at once, its dialogs, and the keyboard alone."""

from __future__ import annotations

from playwright.async_api import expect

from tests.support import steps
from tests.support.browser import Pages
from tests.support.control_room import ControlRoom
from tests.support.participants import People


async def test_several_rooms_end_at_once_after_a_question_that_names_them(
    control_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    await join_room(control_room.target, "many-1", "ana", audio=False)
    await join_room(control_room.target, "many-2", "ben", audio=False)
    await join_room(control_room.target, "many-3", "cid", audio=False)
    page = await open_page(f"{control_room.url}/rooms?q=many-")
    for name in ("many-1", "many-2"):
        await expect(steps.people_in(steps.row_of(page, name))).to_have_text("1")
        await steps.row_of(page, name).get_by_role("gridcell").first.click()
        await expect(page.get_by_role("checkbox", name=f"Select {name}")).to_be_checked()
    end = page.get_by_role("button", name="End 2 rooms")
    await end.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("many-1: 1 participant, 0 agents")
    await expect(dialog).to_contain_text("many-2: 1 participant, 0 agents")
    await expect(dialog).not_to_contain_text("many-3")

    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    await end.click()
    await expect(dialog).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    ours = {"many-1", "many-2", "many-3"}
    assert ours <= await steps.rooms_at_livekit(control_room.target)

    await end.click()
    await dialog.get_by_role("button", name="End 2 rooms").click()
    await expect(page.get_by_text("2 rooms ended")).to_be_visible()
    await expect(end).to_be_hidden()
    await expect(steps.row_of(page, "many-3")).to_be_visible()
    assert ours & await steps.rooms_at_livekit(control_room.target) == {"many-3"}


async def test_an_open_dialog_keeps_what_was_typed_while_rooms_come_and_go(
    control_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    page = await open_page(f"{control_room.url}/rooms?q=while-typing")
    await expect(page.get_by_placeholder("Search rooms, agents, sessions")).to_be_visible()
    await page.get_by_role("button", name="Create room").click()
    dialog = page.get_by_role("dialog")
    name = dialog.get_by_label("Name", exact=True)
    await name.press_sequentially("half-ty")
    await join_room(control_room.target, "while-typing", audio=False)
    row = page.locator("[role=row]").filter(has_text="while-typing")  # the dialog hides it
    await expect(row).to_be_attached()
    await name.press_sequentially("ped")
    await expect(name).to_have_value("half-typed")
    await expect(name).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    assert "half-typed" not in await steps.rooms_at_livekit(control_room.target)


async def test_rooms_are_found_chosen_opened_and_created_without_a_mouse(
    control_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    await join_room(control_room.target, "keys-1", audio=False)
    await join_room(control_room.target, "keys-2", audio=False)
    page = await open_page(f"{control_room.url}/rooms?sort=name")
    await expect(steps.row_of(page, "keys-2")).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("keys-")
    await expect(page.get_by_text("2 of")).to_be_visible()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Space")
    await expect(page.get_by_role("checkbox", name="Select keys-1")).to_be_checked()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="End 2 rooms")).to_be_visible()
    await page.wait_for_url("**q=keys-**")  # the run that tells it draws a dialog anew

    await page.get_by_role("button", name="End 2 rooms").focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_visible()
    # The focus goes round in the dialog, and comes to Cancel before it comes to the deed. What
    # happens in the rooms meanwhile may draw the dialog anew and begin the round again.
    reached: list[str] = []
    while "End 2 rooms" not in reached and len(reached) < 12:
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.innerText.trim()"))
    assert "Cancel" in reached
    assert "End 2 rooms" in reached
    assert reached.index("Cancel") < reached.index("End 2 rooms")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="End 2 rooms")).to_be_focused()

    await page.get_by_role("grid", name="Open rooms").focus()
    await page.keyboard.press("Home")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="keys-1")).to_be_visible()
    await expect(page).to_have_url(f"{control_room.url}/room?name=keys-1")
    await steps.go_back(page)
    await expect(page.get_by_role("heading", name="Rooms", exact=True)).to_be_visible()

    await page.get_by_role("button", name="Create room").focus()
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_visible()
    await dialog.get_by_label("Name", exact=True).focus()
    await page.keyboard.type("by-keys")
    submit = dialog.get_by_role("button", name="Create room")
    for _ in range(12):
        if await submit.evaluate("button => button === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await dialog.get_by_text("Room created").wait_for()
    assert "by-keys" in await steps.rooms_at_livekit(control_room.target)
