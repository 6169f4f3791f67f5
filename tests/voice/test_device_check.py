"""The device check with somebody who speaks: heard, played back, and judged."""

from __future__ import annotations

import wave
from pathlib import Path

from playwright.async_api import expect

from agents.speech import wire
from tests.support.browser import open_browser
from tests.support.control_room import ControlRoom
from tests.support.sound import PEAK
from tests.support.speaking import spoken


async def test_a_tester_speaks_is_recognised_and_hears_the_own_words(
    control_room: ControlRoom, tmp_path: Path
) -> None:
    file = tmp_path / "microphone.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(wire.SPOKEN_HZ)
        pause = bytes(3 * wire.SPOKEN_HZ)
        sound.writeframes(spoken("Yesterday I finished the login page.") + pause)
    async with open_browser(f"--use-file-for-fake-audio-capture={file}") as chromium:
        page = await chromium.new_page()
        await page.goto(f"{control_room.url}/test?tab=devices")
        frame = page.frame_locator("iframe[title*=webrtc]")
        await frame.get_by_role("button", name="Start microphone").click()
        await expect(page.get_by_text("no clipping")).to_be_visible(timeout=30_000)
        replay = page.get_by_role("button", name="Play recording")
        await expect(replay).to_be_enabled()
        await replay.click()
        assert await frame.locator("audio").evaluate(PEAK) > 0.02, "one's own words make no sound"
        await page.get_by_role("radio", name="Yes", exact=True).click()
        await expect(page.get_by_text("You heard the sound.")).to_be_visible()
