"""What open tabs do when LiveKit or the dashboard dies, and when it is back."""

from __future__ import annotations

from playwright.async_api import expect

from tests.support import steps
from tests.support.browser import Pages
from tests.support.control_room import ControlRoom
from tests.support.participants import People

BACK_MS = 45_000
LOST_MS = 90_000  # a browser tries to come back for half a minute


async def test_pages_say_that_livekit_is_away_and_recover_by_themselves(
    breakable_room: ControlRoom, open_page: Pages, mortal_people: People
) -> None:
    room = breakable_room
    await mortal_people(room.target, "outage", "ana", audio=False)
    overview = await open_page(room.url)
    rooms = await open_page(f"{room.url}/rooms")
    one = await open_page(f"{room.url}/room?name=outage")
    call = await open_page(f"{room.url}/test?agent=pm-agent&mode=text")
    await call.get_by_role("button", name="Chat with pm-agent", exact=True).click()
    await expect(call.get_by_text("Waiting for agent…")).to_be_visible()
    await expect(overview.get_by_text("Answers in")).to_be_visible()
    await expect(steps.people_in(steps.row_of(rooms, "outage"))).to_have_text("1")
    await expect(steps.card_of(one, "ana")).to_be_visible()
    for page in (overview, rooms, one):
        await steps.mark(page)
    mortal_people.kill()
    room.livekit.kill()
    await expect(call.get_by_text("reconnecting")).to_be_visible(timeout=BACK_MS)

    away = "Cannot reach LiveKit"
    await expect(overview.get_by_text(away).first).to_be_visible(timeout=BACK_MS)
    await expect(overview.get_by_text("LiveKit does not answer")).to_be_visible()
    await expect(rooms.get_by_text(away).first).to_be_visible(timeout=BACK_MS)
    await expect(rooms.get_by_text("Updated")).to_be_visible()
    await expect(steps.row_of(rooms, "outage")).to_be_visible()
    await expect(one.get_by_text(away).first).to_be_visible(timeout=BACK_MS)
    await expect(one.get_by_text("Showing data from")).to_be_visible()
    await expect(steps.card_of(one, "ana")).to_be_visible()

    # What cannot be done meanwhile says why, keeps the form, and is offered again later.
    await rooms.get_by_role("button", name="Create room").click()
    dialog = rooms.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill("not-yet")
    await dialog.get_by_role("button", name="Create room").click()
    await expect(dialog.get_by_text(away).first).to_be_visible(timeout=BACK_MS)
    await expect(dialog.get_by_label("Name", exact=True)).to_have_value("not-yet")
    async with steps.http(room.url) as http:
        body = {"user_id": "kim", "agent_id": "pm-agent", "session_duration_hours": 1}
        assert (await http.post("/api/voice/session", json=body)).status_code == 503

    # Who was in a call is told that it is lost, with a way on.
    await expect(call.get_by_text("Connection lost", exact=True)).to_be_visible(timeout=LOST_MS)
    await expect(call.get_by_role("button", name="Rejoin call")).to_be_visible()

    room.livekit.start()
    await expect(overview.get_by_text("Answers in")).to_be_visible(timeout=BACK_MS)
    await dialog.get_by_role("button", name="Create room").click()
    await expect(dialog.get_by_text("Room created")).to_be_visible(timeout=BACK_MS)
    await expect(one.get_by_text("This room has ended.")).to_be_visible(timeout=BACK_MS)
    for page in (overview, rooms, one):
        await steps.assert_not_reloaded(page)

    create = overview.get_by_role("button", name="Create now")
    before = await steps.rooms_at_livekit(room.target)
    await expect(overview.get_by_text("kim with pm-agent").first).to_be_visible()
    await create.first.click()
    await expect(overview.get_by_text("The session was created.")).to_be_visible()
    assert len(await steps.rooms_at_livekit(room.target) - before) == 1


async def test_open_tabs_recover_when_the_dashboard_is_killed_and_started_again(
    breakable_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    room = breakable_room
    await join_room(room.target, "survives", "ana", audio=False)
    overview = await open_page(room.url)
    rooms = await open_page(f"{room.url}/rooms?q=survives")
    one = await open_page(f"{room.url}/room?name=survives")
    await expect(steps.people_in(steps.row_of(rooms, "survives"))).to_have_text("1")
    await expect(steps.card_of(one, "ana")).to_be_visible()
    await expect(overview.get_by_text("Answers in")).to_be_visible()
    await expect(one.get_by_role("button", name="Listen in")).to_be_visible()
    for page in (overview, rooms, one):
        await steps.wait_until_listening(page)
        await steps.mark(page)
    room.dashboard.kill()
    await expect(rooms.get_by_text("Reconnecting")).to_be_visible(timeout=BACK_MS)
    await join_room(room.target, "survives", "ben", audio=False)
    room.dashboard.start()

    await expect(steps.people_in(steps.row_of(rooms, "survives"))).to_have_text(
        "2", timeout=BACK_MS
    )
    await expect(steps.card_of(one, "ben")).to_be_visible(timeout=BACK_MS)
    people = overview.get_by_test_id("stMetric").filter(has_text="Participants")
    await expect(people.get_by_test_id("stMetricValue")).to_have_text("2", timeout=BACK_MS)
    await join_room(room.target, "survives", "cid", audio=False)
    await expect(steps.people_in(steps.row_of(rooms, "survives"))).to_have_text(
        "3", timeout=BACK_MS
    )
    await expect(steps.card_of(one, "cid")).to_be_visible(timeout=BACK_MS)
    await expect(people.get_by_test_id("stMetricValue")).to_have_text("3", timeout=BACK_MS)
    for page in (overview, rooms, one):
        await steps.assert_not_reloaded(page)
