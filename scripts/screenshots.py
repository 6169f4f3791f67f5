"""Takes the pictures in docs/screenshots, of every page, light and dark: real rooms, real people.

`make screenshots`. Starts a livekit-server, a dashboard and a Chromium of its own.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
import wave
from pathlib import Path
from typing import Any, Final

import aiohttp
from PIL import Image
from playwright.async_api import Browser, Page, ViewportSize

from agents.speech import wire
from services.analytics.rollup_store import RollupStore
from services.clock import utc_now
from services.livekit.synthetic_participant import TextCaller
from services.settings import Settings
from services.store.store import open_store
from tests.support.browser import ColorScheme, open_browser
from tests.support.control_room import ControlRoom
from tests.support.livekit_server import livekit_binary
from tests.support.participants import ParticipantHost, People
from tests.support.past import calls, write_past
from tests.support.speaking import spoken

SHOTS: Final = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
_CALLERS: Final = ("nate", "ana", "kofi", "mei", "lars", "ines", "tariq", "yuki", "sofia")
_HOURS: Final = (2, 0.06, 1)
_SAID: Final = (
    "",  # the agent greets first
    "Yesterday I finished the login page and the export.",
    "Today I will work on the audit log.",
    "I am blocked by the missing database access.",
)
_PAST: Final = 600  # sessions
_COMPARED: Final = "period=30d&agent=pm-agent&version=2.1&against=version&other=2.0"
_ANSWER_S: Final = 90.0  # the first one waits for the worker to start
_SCHEMES: Final[tuple[ColorScheme, ...]] = ("light", "dark")
_SIZE: Final = ViewportSize(width=1280, height=800)
_TALL: Final = ViewportSize(width=1280, height=1760)  # a session from the inside is a long page
_FILM: Final = ViewportSize(width=1280, height=1280)
_FILM_PX: Final = 860


async def main(binary: Path) -> None:
    """Fill a control room, then look at each page."""
    with tempfile.TemporaryDirectory() as name:
        # Two agents for all callers: the other rooms show what waiting for one looks like.
        env = {"SWITCHBOARD_WORKER": "on", "SWITCHBOARD_WORKER_MAX_JOBS": "2"}
        room = ControlRoom(binary, Path(name), env=env)
        host = ParticipantHost(Path(name) / "participants.log")
        await _past(room.dashboard.data_dir)
        room.start()
        try:
            async with open_browser() as browser:
                for scheme in _SCHEMES:  # while the agents have nobody else to talk to
                    await _call(browser, room.url, scheme)
                    await _devices(room.url, scheme, Path(name))
                await _film(browser, room.url)
                sessions, talking = await _fill(room, People(host))
                for scheme in _SCHEMES:
                    await _shoot(browser, room.url, sessions[0], scheme)
            await talking.leave()
        finally:
            host.close()
            room.stop()


async def _past(data_dir: Path) -> None:
    """Two weeks of sessions."""
    settings = Settings(switchboard_data_dir=data_dir, _env_file=None)
    async with open_store(settings) as store:
        await write_past(store, calls(sessions=_PAST, until=utc_now()))
        while await RollupStore(store).catch_up(utc_now()):
            pass


async def _fill(room: ControlRoom, people: People) -> tuple[list[dict[str, Any]], TextCaller]:
    """Sessions, of which the first is a stand-up that waits for a human's answer."""
    sessions: list[dict[str, Any]] = []
    url = f"{room.url}/api/voice/session"
    async with aiohttp.ClientSession() as http:
        for number, caller in enumerate(_CALLERS):
            body = {
                "user_id": caller,
                "agent_id": "pm-agent",
                "session_duration_hours": _HOURS[number % len(_HOURS)],
                "mode": "text" if number == 0 else "voice",
            }
            async with http.post(url, json=body) as answer:
                sessions.append(await answer.json())
        talking = await _stand_up(sessions[0])
        for session in sessions[1:6]:
            await people(
                room.target,
                session["room_name"],
                session["user_id"],
                token=session["token"],
            )
        for session in sessions[7:]:
            async with http.delete(f"{url}/{session['session_id']}") as answer:
                answer.raise_for_status()
    await asyncio.sleep(12)  # a room without its agent is a problem only after ten seconds
    return sessions, talking


async def _film(browser: Browser, url: str) -> None:
    """A stand-up seen from the inside, as a moving picture: each answer, the question, its answer."""
    async with aiohttp.ClientSession() as http:
        body = {"user_id": "mei", "agent_id": "pm-agent", "mode": "text"}
        async with http.post(f"{url}/api/voice/session", json=body) as answer:
            session = await answer.json()
    heard = asyncio.Event()
    caller = TextCaller(heard=lambda *_: heard.set(), state=lambda _: None, left=lambda _: None)
    page = await _page(browser, "light")
    await page.set_viewport_size(_FILM)
    await page.goto(f"{url}/session?id={session['session_id']}")
    frames: list[tuple[Image.Image, int]] = []

    async def frame(ms: int) -> None:
        picture = Image.open(io.BytesIO(await page.screenshot()))
        size = (_FILM_PX, round(picture.height * _FILM_PX / picture.width))
        frames.append((picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), ms))

    await caller.join(session["server_url"], session["token"])
    await page.locator('[data-node="greet"][data-end="done"]').wait_for(timeout=_ANSWER_S * 1000)
    await _settled(page)
    await frame(1_200)
    for said in _SAID[1:]:
        await caller.write(said)
        for _ in range(3):
            await asyncio.sleep(0.15)
            await frame(250)
        await asyncio.sleep(1)
        await frame(1_500)
    accept = page.get_by_role("button", name="Approve", exact=True)
    await accept.wait_for()
    await frame(1_800)
    await accept.click()
    await page.locator('[data-node="create"][data-end="done"]').wait_for()
    await _settled(page)
    await frame(3_000)
    await caller.leave()
    first, *rest = (picture.quantize(128) for picture, _ in frames)
    first.save(
        SHOTS / "session.gif",
        save_all=True,
        append_images=rest,
        duration=[ms for _, ms in frames],
        loop=0,
        optimize=True,
    )
    await page.context.close()


async def _stand_up(session: dict[str, Any]) -> TextCaller:
    heard = asyncio.Event()
    caller = TextCaller(heard=lambda *_: heard.set(), state=lambda _: None, left=lambda _: None)
    await caller.join(session["server_url"], session["token"])
    for said in _SAID:
        heard.clear()
        if said:
            await caller.write(said)
        async with asyncio.timeout(_ANSWER_S):
            await heard.wait()
        await asyncio.sleep(0.5)  # the rest of the answer
    return caller


async def _shoot(browser: Browser, url: str, session: dict[str, Any], scheme: ColorScheme) -> None:
    page = await _page(browser, scheme)
    for name, path in (
        ("overview", ""),
        ("rooms", "rooms"),
        ("room", f"room?name={session['room_name']}"),
        ("session", f"session?id={session['session_id']}"),
        ("sessions", "sessions"),
        ("analytics", "analytics?period=30d"),
        ("analytics-paths", "analytics?period=30d&agent=pm-agent&tab=paths"),
        ("analytics-compare", f"analytics?{_COMPARED}&tab=compare"),
        ("reviews", "reviews"),
        ("alerts", "alerts"),
        ("agents", "agents"),
        ("tokens", f"tokens?room={session['room_name']}"),
        ("system", "system"),
        ("doctor", "system?tab=doctor"),
        ("access", "access"),
        ("retention", "access?tab=retention"),
    ):
        is_long = name == "session" or name.startswith("analytics")
        await page.set_viewport_size(_TALL if is_long else _SIZE)
        await page.goto(f"{url}/{path}")
        if name == "session":
            await page.locator("[data-node]").first.wait_for()
        await _settled(page)
        await page.screenshot(path=SHOTS / f"{name}-{scheme}.png")
        if name == "session":
            await _inside(page, scheme)
    await _listen(page, url, session, scheme)
    await page.goto(f"{url}/rooms")
    await page.get_by_role("button", name="Create room").click()
    await page.get_by_role("textbox", name="Identity").wait_for()
    await _settled(page)
    await page.screenshot(path=SHOTS / f"create-{scheme}.png")
    await page.goto(f"{url}/room?name={session['room_name']}")
    await page.get_by_role("button", name="End room").click()
    await page.get_by_text("will be removed.").wait_for()
    await _settled(page)
    await page.screenshot(path=SHOTS / f"end-{scheme}.png")
    await page.context.close()


async def _listen(page: Page, url: str, session: dict[str, Any], scheme: ColorScheme) -> None:
    """Listening in on a call, straight from LiveKit and through the dashboard."""
    await page.goto(f"{url}/session?id={session['session_id']}")
    await page.get_by_text("Listen in", exact=True).click()
    panel = page.get_by_role("region", name="Listen in")
    await panel.get_by_role("button", name="Listen in").click()
    await panel.get_by_role("button", name="Unmute").wait_for()
    await _settled(page)
    await page.screenshot(path=SHOTS / f"listen-{scheme}.png")
    await panel.get_by_role("button", name="Stop listening").click()
    await page.get_by_text("Relay through dashboard", exact=True).click()
    await page.get_by_role("button", name="Listen in through relay").click()
    await page.get_by_text("Audio is muted").wait_for()
    await _settled(page)
    await page.screenshot(path=SHOTS / f"relayed-{scheme}.png")
    await page.get_by_role("button", name="Stop listening").click()


async def _devices(url: str, scheme: ColorScheme, folder: Path) -> None:
    """The device check, with somebody who speaks."""
    file = folder / "microphone.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(wire.SPOKEN_HZ)
        sound.writeframes(spoken(_SAID[1]) + bytes(2 * wire.SPOKEN_HZ))
    async with open_browser(f"--use-file-for-fake-audio-capture={file}") as browser:
        page = await _page(browser, scheme)
        await page.goto(f"{url}/test?tab=devices")
        await page.get_by_role("button", name="Check browser").click()
        await page.get_by_text("Direct (UDP).").wait_for()
        frame = page.frame_locator("iframe[title*=webrtc]")
        await frame.get_by_role("button", name="Start microphone").click()
        await page.get_by_text("no clipping").wait_for()
        await page.get_by_role("button", name="Play recording").click()
        await page.get_by_role("radio", name="Yes", exact=True).click()
        await _settled(page)
        await page.screenshot(path=SHOTS / f"devices-{scheme}.png")


async def _inside(page: Page, scheme: ColorScheme) -> None:
    """What the last step changed, and the same session at an earlier moment."""
    board = page.locator(".sb")
    await page.get_by_role("tab", name="Changes").click()
    await board.screenshot(path=SHOTS / f"changes-{scheme}.png")
    await page.get_by_role("tab", name="Steps").click()
    await page.get_by_role("list", name="Steps").get_by_role("button").nth(6).click()
    await page.wait_for_url("**at=**")
    await _settled(page)
    await board.screenshot(path=SHOTS / f"moment-{scheme}.png")


async def _page(browser: Browser, scheme: ColorScheme) -> Page:
    context = await browser.new_context(
        viewport=_SIZE,
        color_scheme=scheme,
        locale="en-GB",
        timezone_id="Europe/London",
    )
    return await context.new_page()


async def _call(browser: Browser, url: str, scheme: ColorScheme) -> None:
    """The test page before, during and after a call."""
    page = await _page(browser, scheme)
    await page.goto(f"{url}/test?agent=pm-agent&mode=text&user=ines")
    await _settled(page)
    await page.screenshot(path=SHOTS / f"test-{scheme}.png")
    await page.get_by_role("button", name="Chat with pm-agent").click()
    said = page.get_by_role("log", name="Transcript")
    await said.get_by_text("finished").wait_for(timeout=_ANSWER_S * 1000)
    field = page.get_by_role("textbox", name="Message to the agent")
    await field.fill("Yesterday I finished the login page.")
    await field.press("Enter")
    await said.get_by_text("next").wait_for()
    await _settled(page)
    await page.screenshot(path=SHOTS / f"call-{scheme}.png")
    await page.get_by_role("button", name="End call", exact=True).click()
    await page.get_by_role("button", name="Chat with pm-agent again").wait_for()
    await _settled(page)
    await page.screenshot(path=SHOTS / f"called-{scheme}.png")
    await page.context.close()


async def _settled(page: Page) -> None:
    """No run under way, and what it drew has been drawn; the live connection is never idle."""
    await page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    await asyncio.sleep(2.5)


if __name__ == "__main__":
    SHOTS.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(livekit_binary()))
