"""A call in the browser by voice: one click, heard, answered aloud, ended."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Page, expect

from agents.speech import wire
from tests.support import steps
from tests.support.browser import Pages, open_browser
from tests.support.control_room import ControlRoom
from tests.support.sound import PEAK
from tests.support.speaking import spoken

pytestmark = pytest.mark.timeout(180)

_SAID: Final = "Yesterday I finished the login page."
_GREETING_S: Final = 9  # the agent speaks first; the microphone plays its file from the click on
_HEARD_MS: Final = 60_000
_AGAIN_S: Final = 12  # then says it once more, should the agent have come late on a busy machine


def microphone_file(folder: Path) -> Path:
    path = folder / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(wire.SPOKEN_HZ)
        second = bytes(2 * wire.SPOKEN_HZ)
        file.writeframes(second * _GREETING_S + spoken(_SAID) + second * _AGAIN_S)
    return path


async def state_of(page: Page, *, is_: str) -> None:
    await expect(page.get_by_role("status").get_by_text(is_)).to_be_visible(timeout=_HEARD_MS)


async def test_a_tester_talks_to_the_agent_in_the_browser(
    staffed_room: ControlRoom, tmp_path: Path
) -> None:
    room = staffed_room
    heard = microphone_file(tmp_path)
    async with open_browser(f"--use-file-for-fake-audio-capture={heard}") as chromium:
        context = await chromium.new_context(permissions=["microphone"])
        page = await context.new_page()
        await page.goto(f"{room.url}/test?agent=pm-agent")
        before = await steps.rooms_at_livekit(room.target)
        await page.get_by_role("button", name="Talk to pm-agent", exact=True).click()
        await state_of(page, is_="Speaking")
        assert await page.evaluate(PEAK) > 0.02, "the greeting makes no sound"

        lines = page.get_by_role("log", name="Transcript")
        await expect(lines).to_contain_text("login page", timeout=_HEARD_MS)
        await expect(lines).to_contain_text("next", timeout=_HEARD_MS)
        (name,) = await steps.rooms_at_livekit(room.target) - before
        session_id = await steps.session_in(room.url, name)
        assert {"greet", "hear", "ask"} <= await _nodes(room, session_id)

        await page.get_by_role("button", name="End call", exact=True).click()
        await expect(page.get_by_role("heading", name="Result")).to_be_visible()
        await expect(page.get_by_role("button", name="Talk to pm-agent again")).to_be_visible()
        assert name not in await steps.rooms_at_livekit(room.target)


async def _nodes(room: ControlRoom, session_id: str) -> set[str]:
    where = f"/api/voice/session/{session_id}/events"
    async with steps.http(room.url) as http:
        found = (await http.get(where, params={"kinds": "node_started"})).json()
    return {event["data"]["node"] for event in found["events"]}


async def test_a_script_is_run_from_the_page_and_its_result_shown(
    staffed_room: ControlRoom, open_page: Pages
) -> None:
    script = "name: Mine\nlines: [{expect: {contains: [finished]}}, {say: Hm, expect: {path: [x]}}]"
    page = await open_page(f"{staffed_room.url}/test")
    await page.get_by_role("tab", name="Scripts").click()
    await page.get_by_role("button", name="Clear all").click()
    await expect(page.get_by_role("button", name="Run scripts", exact=True)).to_be_disabled()
    await page.get_by_text("Upload or write a script").click()
    text = page.get_by_role("textbox", name="Script")
    await text.fill("name: Mine")
    await text.press("Control+Enter")
    await expect(page.get_by_text("lines: Field required")).to_be_visible()
    await text.fill(script)
    await text.press("Control+Enter")
    await page.get_by_role("button", name="Run 1 script").click()
    await expect(page.get_by_text("0 of 1 passed")).to_be_visible(timeout=_HEARD_MS)
    await expect(page.get_by_role("link", name="Open session")).to_be_visible()
    await expect(page.get_by_role("button", name="Export JUnit XML")).to_be_visible()
