"""The call of the test page without an agent: how it begins, what goes wrong, how it ends."""

from __future__ import annotations

import pytest
from livekit import api
from playwright.async_api import Page, expect

from tests.support import steps
from tests.support.browser import Pages, open_browser
from tests.support.control_room import ControlRoom
from tests.support.participants import People
from tests.support.sound import PEAK
from tests.support.waiting import eventually

_COMES_MS = 60_000
_UNHEARD_S = 90  # a player whose good-bye is lost is missed after half a minute


async def rooms_of(room: ControlRoom, before: set[str]) -> set[str]:
    return await steps.rooms_at_livekit(room.target) - before


async def begin(page: Page, room: ControlRoom, address: str = "test?agent=pm-agent") -> None:
    await page.goto(f"{room.url}/{address}")
    verb = "Chat with" if "mode=text" in address else "Talk to"
    await page.get_by_role("button", name=f"{verb} pm-agent", exact=True).click()


async def test_opening_the_page_creates_nothing_one_click_a_room_that_end_closes_and_one_judges(
    control_room: ControlRoom, open_page: Pages
) -> None:
    before = await steps.rooms_at_livekit(control_room.target)
    page = await open_page(f"{control_room.url}/test?agent=pm-agent")
    button = page.get_by_role("button", name="Talk to pm-agent", exact=True)
    await expect(button).to_be_visible()
    assert await rooms_of(control_room, before) == set()
    await button.click()
    await expect(page.get_by_text("Waiting for agent…")).to_be_visible()
    (name,) = await rooms_of(control_room, before)
    await expect(page.get_by_role("meter", name="Microphone level")).to_be_visible()

    # No worker runs here: that is said, and where to look.
    await expect(page.get_by_text("The agent has not joined")).to_be_visible(timeout=_COMES_MS)
    await page.get_by_role("button", name="End call", exact=True).click()
    await expect(page.get_by_role("button", name="Talk to pm-agent again")).to_be_visible()
    assert name not in await steps.rooms_at_livekit(control_room.target)

    # What came of it is judged where it ended.
    await expect(page.get_by_role("heading", name="Result")).to_be_visible()
    await page.get_by_role("radio", name="Fail").click()
    await page.get_by_role("textbox", name="Comment").fill("No agent came.")
    await page.get_by_role("button", name="Save review").click()
    await expect(page.get_by_text("by operator")).to_be_visible()
    session_id = await steps.session_in(control_room.url, name)
    async with steps.http(control_room.url) as http:
        found = (await http.get(f"/api/voice/session/{session_id}/review")).json()
    assert [(one["verdict"], one["remark"]) for one in found["verdicts"]] == [
        ("fail", "No agent came.")
    ]


async def test_a_call_goes_on_over_reruns_and_pages_and_says_that_the_microphone_is_open(
    control_room: ControlRoom, open_page: Pages
) -> None:
    before = await steps.rooms_at_livekit(control_room.target)
    page = await open_page()
    await begin(page, control_room)
    await expect(page.get_by_text("Waiting for agent…")).to_be_visible()
    (name,) = await rooms_of(control_room, before)
    await page.get_by_text("Options").click()
    await page.get_by_role("textbox", name="User ID").fill("ana")
    await page.get_by_role("textbox", name="User ID").press("Enter")  # a rerun
    await expect(page.get_by_role("button", name="Mute")).to_be_enabled()

    await page.get_by_role("link", name="Tokens").click()
    call = page.get_by_role("region", name="Ongoing call")
    await expect(call.get_by_text("Microphone on")).to_be_visible()
    await call.get_by_role("button", name="Mute").click()
    await expect(call.get_by_text("Microphone muted")).to_be_visible()
    assert name in await steps.rooms_at_livekit(control_room.target)

    await call.get_by_role("button", name="Open call").click()
    await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    await page.get_by_role("link", name="Rooms").click()
    await call.get_by_role("button", name="End").click()
    await expect(call).to_have_count(0)
    assert name not in await steps.rooms_at_livekit(control_room.target)


async def test_a_reload_in_mid_call_offers_the_way_back_and_an_operator_or_a_closed_tab_ends_it(
    control_room: ControlRoom, open_page: Pages
) -> None:
    before = await steps.rooms_at_livekit(control_room.target)
    page = await open_page()
    await begin(page, control_room, "test?agent=pm-agent&mode=text")
    await expect(page.get_by_text("Waiting for agent…")).to_be_visible()
    (name,) = await rooms_of(control_room, before)
    await page.reload()
    await expect(page.get_by_text("reloaded during a call")).to_be_visible()
    await page.get_by_role("button", name="Rejoin call").click()
    await expect(page.get_by_text("Waiting for agent…")).to_be_visible()
    assert await rooms_of(control_room, before) == {name}
    await page.get_by_role("button", name="End call", exact=True).click()
    await expect(page.get_by_role("button", name="Chat with pm-agent again")).to_be_visible()
    assert await rooms_of(control_room, before) == set()

    await begin(page, control_room)
    await expect(page.get_by_text("Waiting for agent…")).to_be_visible()
    (name,) = await rooms_of(control_room, before)
    await steps.end_room(control_room.target, name)
    again = page.get_by_role("button", name="Talk to pm-agent again")
    await expect(again).to_be_visible()

    await again.click()
    await expect(page.get_by_text("Waiting for agent…")).to_be_visible()
    (name,) = await rooms_of(control_room, before)
    await page.close(run_before_unload=True)

    async def empty() -> bool:
        return not await steps.people_at_livekit(control_room.target, name)

    await eventually(empty)
    await steps.end_room(control_room.target, name)


async def test_a_refused_microphone_creates_nothing_and_writing_still_works(
    control_room: ControlRoom,
) -> None:
    before = await steps.rooms_at_livekit(control_room.target)
    async with open_browser("--deny-permission-prompts", fake_microphone=False) as chromium:
        page = await chromium.new_page()
        await begin(page, control_room)
        problem = page.get_by_role("alert")
        await expect(problem).to_contain_text("microphone")
        assert await rooms_of(control_room, before) == set()
        await problem.get_by_role("button", name="Switch to text").click()
        await expect(page.get_by_text("Waiting for agent…")).to_be_visible()
        await page.get_by_role("button", name="End call", exact=True).click()
        await expect(page.get_by_role("button", name="again")).to_be_visible()
    assert await rooms_of(control_room, before) == set()


async def test_a_network_that_comes_back_in_time_brings_the_call_back(
    breakable_room: ControlRoom, open_page: Pages
) -> None:
    room = breakable_room
    before = await steps.rooms_at_livekit(room.target)
    page = await open_page()
    await begin(page, room)
    await expect(page.get_by_text("Waiting for agent…")).to_be_visible()
    (name,) = await rooms_of(room, before)
    there = await steps.people_at_livekit(room.target, name)
    with room.livekit.process.paused():
        await expect(page.get_by_text("reconnecting")).to_be_visible(timeout=60_000)
    await expect(page.get_by_text("reconnecting")).to_have_count(0, timeout=60_000)
    assert await steps.people_at_livekit(room.target, name) == there

    async def published() -> bool:
        async with steps.livekit_api(room.target) as livekit:
            asked = api.ListParticipantsRequest(room=name)
            people = (await livekit.room.list_participants(asked)).participants
        return [track.muted for one in people for track in one.tracks] == [False]

    await eventually(published)
    await page.get_by_role("button", name="Mute").click()
    await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    await page.get_by_role("button", name="End call", exact=True).click()
    await expect(page.get_by_role("button", name="Talk to pm-agent again")).to_be_visible()
    assert await rooms_of(room, before) == set()


async def test_an_operator_listens_in_unheard_joins_when_asked_and_leaves_with_the_last_person(
    control_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    ana = await join_room(control_room.target, "listened", "ana")
    page = await open_page(f"{control_room.url}/room?name=listened")
    panel = page.get_by_role("region", name="Listen in")
    await panel.get_by_role("button", name="Listen in").click()
    await expect(panel.get_by_text("Audio is muted")).to_be_visible()
    await expect(panel.get_by_role("listitem")).to_contain_text("ana")
    there = await steps.people_at_livekit(control_room.target, "listened")
    (observer,) = there - {"ana"}
    assert observer.startswith("switchboard-observer-")
    assert (await ana.seen()).people == ()  # nobody sees who listens

    audio = page.locator("audio")

    async def plays(volume: int) -> bool:
        found: list[float] = await audio.evaluate("it => [Number(it.paused), it.volume]")
        return found == [0, volume]

    await eventually(lambda: plays(0))
    await panel.get_by_role("button", name="Unmute").click()
    await eventually(lambda: plays(1))

    # Joining as a person is asked first.
    await panel.get_by_role("button", name="Join as participant…").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Everyone in the room can see you join")
    await dialog.get_by_role("button", name="Cancel").click()
    assert (await ana.seen()).people == ()
    await panel.get_by_role("button", name="Join as participant…").click()
    await dialog.get_by_role("button", name="Join", exact=True).click()
    await expect(panel.get_by_text("Your microphone is on")).to_be_visible()

    async def heard() -> bool:
        seen = await ana.seen()
        return [who.startswith("operator-") for who in seen.people] == [True] and bool(seen.hears)

    await eventually(heard)
    await panel.get_by_role("button", name="Mute microphone").click()
    await expect(panel.get_by_text("Your microphone is muted")).to_be_visible()
    await panel.get_by_role("button", name="Leave room").click()

    async def alone() -> bool:
        return await steps.people_at_livekit(control_room.target, "listened") == {"ana"}

    await eventually(alone)

    await panel.get_by_role("button", name="Listen in").click()
    await expect(panel.get_by_text("Audio is muted")).to_be_visible()
    (observer,) = await steps.people_at_livekit(control_room.target, "listened") - {"ana"}
    await ana.leave()
    await expect(panel.get_by_text("You were disconnected")).to_be_visible()
    assert observer not in await steps.people_at_livekit(control_room.target, "listened")


@pytest.mark.timeout(240)
async def test_an_operator_listens_through_the_dashboard_and_leaves_with_the_page(
    control_room: ControlRoom, open_page: Pages, join_room: People
) -> None:
    target = control_room.target
    ana = await join_room(target, "relayed", "ana")
    page = await open_page(f"{control_room.url}/room?name=relayed")
    await page.get_by_text("Relay through the dashboard", exact=True).click()
    await page.get_by_role("button", name="Listen in through relay").click()
    await expect(page.get_by_text("Audio is muted")).to_be_visible(timeout=_COMES_MS)
    audio = page.frame_locator("iframe[title*=webrtc]").locator("audio")
    assert await audio.evaluate("it => it.muted")
    assert await audio.evaluate(PEAK) > 0.02, "what ana plays does not arrive"
    assert (await ana.seen()).people == ()
    (observer,) = await steps.people_at_livekit(target, "relayed") - {"ana"}
    await expect(page.get_by_text("Also listening: operator")).to_be_visible()

    await page.get_by_role("link", name="Tokens").click()

    async def gone() -> bool:
        return observer not in await steps.people_at_livekit(target, "relayed")

    await eventually(gone, within_s=_UNHEARD_S)


async def test_options_are_checked_and_kept_as_a_preset_that_another_tab_takes_and_deletes(
    control_room: ControlRoom, open_page: Pages
) -> None:
    page = await open_page(f"{control_room.url}/test?agent=pm-agent&mode=text&user=zoe")
    await page.get_by_text("Options").click()
    name = page.get_by_role("textbox", name="Preset name")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("The preset has no name.")).to_be_visible()
    await name.fill("Zoë <b> by text")
    await name.press("Enter")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Zoë <b> by text saved")).to_be_visible()

    # What a session cannot begin with is said before it could.
    metadata = page.get_by_role("textbox", name="Room metadata")
    await metadata.fill("[1]")
    await metadata.press("Control+Enter")
    await expect(page.get_by_text("not a JSON object")).to_be_visible()
    await expect(page.get_by_role("button", name="Talk to")).to_be_disabled()

    other = await open_page(f"{control_room.url}/test")
    await expect(other.get_by_role("button", name="Talk to")).to_be_visible()
    await other.get_by_text("Options").click()
    await steps.choose(other.get_by_role("combobox", name="Preset"), "Zoë <b> by text")
    await expect(other.get_by_role("textbox", name="User ID")).to_have_value("zoe")
    await expect(other.get_by_role("button", name="Chat with pm-agent", exact=True)).to_be_visible()
    await other.get_by_role("button", name="Delete preset").click()
    await expect(other.get_by_text("Zoë <b> by text deleted")).to_be_visible()
    await expect(other.get_by_role("combobox", name="Preset")).to_have_count(0)
    await other.get_by_role("button", name="Undo").click()
    await expect(other.get_by_role("combobox", name="Preset")).to_be_visible()
