"""The device check: this browser, its way to LiveKit, and what the microphone gives."""

from __future__ import annotations

from playwright.async_api import expect

from services.ids import DOCTOR_PREFIX
from tests.conftest import StartDashboard, StartLiveKit
from tests.support import steps
from tests.support.browser import Pages, open_browser
from tests.support.control_room import ControlRoom
from tests.support.waiting import eventually

_CHECK = "Check browser"
_CLOSED_MS = 60_000  # WebRTC gives up after a quarter of a minute


async def test_a_browser_is_checked_with_its_way_to_livekit_and_nothing_stays(
    control_room: ControlRoom, open_page: Pages
) -> None:
    before = await steps.rooms_at_livekit(control_room.target)
    page = await open_page(f"{control_room.url}/test?tab=devices")
    await page.get_by_role("button", name=_CHECK).click()
    await expect(page.get_by_text("Direct (UDP).")).to_be_visible()
    await expect(page.get_by_text("Connected in")).to_be_visible()
    await expect(page.get_by_role("button", name="Check browser again")).to_be_enabled()

    async def gone() -> bool:
        return await steps.rooms_at_livekit(control_room.target) <= before

    await eventually(gone, within_s=60)
    async with steps.http(control_room.url) as http:
        listed = (await http.get("/api/voice/sessions", params={"limit": 500})).json()["sessions"]
    assert not [one for one in listed if one["room_name"].startswith(DOCTOR_PREFIX)]


async def test_a_way_that_is_closed_to_sound_is_said_by_the_check_and_by_a_call(
    start_livekit: StartLiveKit, start_dashboard: StartDashboard, open_page: Pages
) -> None:
    livekit = start_livekit(media=False)  # it signals, and no sound reaches it
    dashboard = start_dashboard(livekit=livekit)
    page = await open_page(f"{dashboard.url}/test?tab=devices")
    await page.get_by_role("button", name=_CHECK).click()
    call = await open_page(f"{dashboard.url}/test?agent=pm-agent")
    await call.get_by_role("button", name="Talk to pm-agent", exact=True).click()
    await expect(page.get_by_text("No audio path could be established.").first).to_be_visible(
        timeout=_CLOSED_MS
    )
    await expect(page.get_by_text("UDP 50000-60000")).to_be_visible()
    await expect(call.get_by_text("No audio connection")).to_be_visible(timeout=_CLOSED_MS)

    async def nothing_stays() -> bool:
        return await steps.rooms_at_livekit(livekit.target) == set()

    await eventually(nothing_stays)


async def test_a_microphone_is_measured_and_what_is_no_speech_is_said(
    control_room: ControlRoom, open_page: Pages
) -> None:
    page = await open_page(f"{control_room.url}/test")
    await page.get_by_role("tab", name="Check devices").click()
    sound = page.frame_locator("iframe[title*=webrtc]")
    await sound.get_by_role("button", name="Start microphone").click()
    await expect(page.get_by_role("progressbar")).to_be_visible()
    # Chromium's own microphone beeps.
    await expect(page.get_by_text("No speech detected").first).to_be_visible()
    await page.get_by_role("button", name="Play test sound").click()
    await page.get_by_role("radio", name="No", exact=True).click()
    await expect(page.get_by_text("You heard no sound.").first).to_be_visible()

    await sound.get_by_role("button", name="Stop microphone").click()
    await expect(page.get_by_role("progressbar")).to_have_count(0)
    await expect(page.get_by_text("No speech detected").first).to_be_visible()
    await expect(page.get_by_text("You heard no sound.").first).to_be_visible()

    await sound.get_by_role("button", name="Start microphone").click()  # all of it anew
    await expect(page.get_by_text("Play a sound, then answer").first).to_be_visible()
    await expect(page.get_by_text("You heard no sound.")).to_have_count(0)


async def test_a_blocked_microphone_is_said_by_both_halves(control_room: ControlRoom) -> None:
    options = ("--deny-permission-prompts", "--use-fake-device-for-media-stream")
    async with open_browser(*options, fake_microphone=False) as chromium:
        page = await chromium.new_page()
        await page.goto(f"{control_room.url}/test?tab=devices")
        sound = page.frame_locator("iframe[title*=webrtc]")
        await sound.get_by_role("button", name="Start microphone").click()
        await expect(sound.get_by_text("NotAllowedError")).to_be_visible()
        await expect(page.get_by_text("run the browser check")).to_be_visible()
        await page.get_by_role("button", name=_CHECK).click()
        await expect(page.get_by_text("is blocked for this page").first).to_be_visible()
        await expect(page.get_by_text("Direct (UDP).")).to_be_visible()  # it needs none
