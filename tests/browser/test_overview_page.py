"""The overview: its buttons mend what needs attention."""

from __future__ import annotations

from livekit import api
from playwright.async_api import expect

from tests.support import steps
from tests.support.browser import Pages
from tests.support.control_room import ControlRoom
from tests.support.waiting import eventually


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
    again = lonely.last.get_by_role("button", name="Dispatch again")
    await again.click()  # an agent has ten seconds to come
    await expect(page.get_by_text("dispatched again")).to_be_visible()

    async def asked_twice() -> bool:
        async with steps.livekit_api(control_room.target) as livekit:
            dispatches = await livekit.agent_dispatch.list_dispatch(room)
        return sum(d.agent_name == "pm-agent" for d in dispatches) == 2

    await eventually(asked_twice)
    async with steps.livekit_api(control_room.target) as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room=room))
    await expect(lonely.last).to_be_hidden()
