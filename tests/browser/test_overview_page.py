"""The overview: it changes by itself, and its buttons mend what needs attention."""

from __future__ import annotations

from livekit import api
from playwright.async_api import expect

from tests.support import steps
from tests.support.browser import BrowserLog, Pages
from tests.support.control_room import ControlRoom
from tests.support.participants import People
from tests.support.waiting import eventually


async def test_people_who_come_and_go_change_the_figures_without_a_reload(
    mortal_control_room: ControlRoom, open_page: Pages, join_room: People, browser_log: BrowserLog
) -> None:
    page = await open_page(mortal_control_room.url)
    people = page.get_by_test_id("stMetric").filter(has_text="People")
    await expect(people.get_by_test_id("stMetricValue")).to_have_text("0")
    await expect(page.get_by_text("Nothing needs attention.")).to_be_visible()
    await expect(page.get_by_text("No session yet.")).to_be_visible()
    await steps.mark(page)

    person = await join_room(mortal_control_room.target, "figures", "ana", audio=False)
    await expect(people.get_by_test_id("stMetricValue")).to_have_text("1")
    await expect(page.get_by_text("Arriving")).to_be_visible()
    await person.leave()
    await expect(people.get_by_test_id("stMetricValue")).to_have_text("0")
    await steps.assert_not_reloaded(page)

    await page.get_by_role("link", name="figures").click()
    await expect(page.get_by_role("heading", name="figures", level=1)).to_be_visible()
    assert "/session?id=ses_" in page.url
    browser_log.assert_clean(*steps.KNOWN_ERRORS)


async def test_a_session_gets_more_time_and_its_missing_agent_is_asked_for_again(
    control_room: ControlRoom, open_page: Pages
) -> None:
    made = await steps.new_session(control_room.url, "hurry", hours=0.05)
    page = await open_page(control_room.url)
    room = made["room_name"]
    card = (
        page.get_by_test_id("stLayoutWrapper").filter(has_text="about to end").filter(has_text=room)
    )
    await card.last.get_by_role("button", name="One more hour").click()
    await expect(page.get_by_text("It goes on for one more hour.")).to_be_visible()
    await expect(card.last).to_be_hidden()

    lonely = (
        page.get_by_test_id("stLayoutWrapper").filter(has_text="has no agent").filter(has_text=room)
    )
    again = lonely.last.get_by_role("button", name="Ask for it again")
    await again.click(timeout=15_000)  # an agent has ten seconds to come
    await expect(page.get_by_text("was asked for again.")).to_be_visible()

    async def asked_twice() -> bool:
        async with steps.livekit_api(control_room.target) as livekit:
            dispatches = await livekit.agent_dispatch.list_dispatch(room)
        return sum(d.agent_name == "pm-agent" for d in dispatches) == 2

    await eventually(asked_twice)
    async with steps.livekit_api(control_room.target) as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room=room))
    await expect(lonely.last).to_be_hidden()
