"""Calls in the browser: from the click to the answer; what a listener costs, and how late one hears.

Two ways to listen: straight from LiveKit, and through the dashboard. The delay is from the moment
at which a burst of sound is handed to LiveKit's SDK to its arrival in Chromium, by one clock.
"""

from __future__ import annotations

import asyncio
import math
import time
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final

import httpx
import psutil
from livekit import rtc
from playwright.async_api import Browser, Page, expect

from agents.speech import wire
from bench.report import Report, quantile
from services.clock import utc_now
from services.ids import new_session_id, room_name_for
from services.livekit.tokens import Grants, TokenMinter, TokenRequest
from tests.support import steps
from tests.support.browser import open_browser
from tests.support.control_room import ControlRoom
from tests.support.speaking import spoken

CLICKS: Final = 10
LISTENERS: Final = 5
_SAID: Final = (
    "Yesterday I finished the login page.",
    "I fixed the payment bug.",
    "I wrote the release notes.",
    "I have reviewed two pull requests.",
    "We deployed the new search.",
)
_BURSTS: Final = 12
_EVERY_S: Final = 1.0
_WINDOW_S: Final = 10.0
_SETTLE_S: Final = 3.0
_HZ: Final = 48_000
_FRAME: Final = _HZ // 100
_FRAME_MS: Final = 40_000
_EDGES = """async (element, [count, ms]) => {
  const context = new AudioContext({ sampleRate: 48000, latencyHint: 'interactive' });
  const meter = new AnalyserNode(context, { fftSize: 256 });
  new MediaStreamAudioSourceNode(context, { mediaStream: element.srcObject }).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  const edges = [];
  let quiet = 0;
  const end = performance.now() + ms;
  while (performance.now() < end && edges.length < count) {
    meter.getFloatTimeDomainData(samples);
    const peak = Math.max(...samples.map(Math.abs));
    const now = performance.timeOrigin + performance.now();
    if (peak < 0.02) quiet += 1;
    else {
      if (quiet > 20) edges.push(now);
      quiet = 0;
    }
    await new Promise((done) => setTimeout(done, 4));
  }
  await context.close();
  return edges;
}"""


async def measure_listening(room: ControlRoom, browser: Browser, report: Report) -> None:
    """Processor time of both servers, and the delay, by each way."""
    name = room_name_for(new_session_id(), "listening")
    async with _bursting(room, name) as sent:
        for way in ("straight", "through the dashboard"):
            relayed = way != "straight"
            before = await _processor_time(room)
            pages = [await _listen(room, browser, name, relayed=relayed)]
            report.add(
                f"delay of what is heard {way}", await _delay(pages[0], sent, relayed=relayed)
            )
            one = await _processor_time(room)
            while len(pages) < LISTENERS:
                pages.append(await _listen(room, browser, name, relayed=relayed))
            many = await _processor_time(room)
            for server, at in (("dashboard", 0), ("livekit-server", 1)):
                each = (many[at] - one[at]) / (LISTENERS - 1)
                report.add(
                    f"{server}'s share of a core, heard {way}: the first listener, each further",
                    f"{one[at] - before[at]:+.1f} %, {each:+.1f} %",
                )
            for page in pages:
                await page.context.close()


async def measure_clicks(binary: Path, report: Report, folder: Path) -> None:
    """Ten calls by voice with pm-agent, each with one spoken sentence; servers of their own."""
    room = ControlRoom(binary, folder / "clicks", env={"SWITCHBOARD_WORKER": "on"})
    try:
        room.start()
        await _warm(room)
        await _clicks(room, report, folder)
    finally:
        room.stop()


async def _clicks(room: ControlRoom, report: Report, folder: Path) -> None:
    took: dict[str, list[float]] = {"joined": [], "agent listening": [], "first audio": []}
    answered: list[float] = []
    for number in range(CLICKS):
        file = _microphone(folder / f"microphone-{number}.wav", _SAID[number % len(_SAID)])
        async with open_browser(f"--use-file-for-fake-audio-capture={file}%noloop") as browser:
            page = await browser.new_page()
            await page.goto(f"{room.url}/test?agent=pm-agent")
            async with page.expect_response(
                lambda it: it.url.endswith("/api/voice/session")
            ) as made:
                await page.get_by_role("button", name="Talk to pm-agent", exact=True).click()
            times = page.get_by_text("Joined in ")
            await expect(times).to_contain_text("first audio", timeout=_FRAME_MS)
            lines = page.get_by_role("log", name="Transcript").get_by_text("Agent")
            await expect(lines).to_have_count(2, timeout=_FRAME_MS)
            for part in (await times.inner_text()).lower().split(" · "):
                word, figure = part.removesuffix(" s").split(" in ")
                took[word].append(float(figure))
            status = page.get_by_role("region", name="Call").get_by_role("status").first
            await expect(status).to_have_text("Listening", timeout=_FRAME_MS)  # it has spoken
            session_id = (await (await made.value).json())["session_id"]
            answered += await _answers(room, session_id)
            await page.get_by_role("button", name="End call", exact=True).click()
            await expect(page.get_by_text("Turns")).to_be_visible()
    for word, budget in (("joined", ""), ("agent listening", "2 s"), ("first audio", "")):
        values = took[word]
        report.add(
            f"click on Talk -> {word}, by voice (n={len(values)})",
            f"median {median(values):.2f} s, highest {max(values):.2f} s",
            budget,
        )
    report.add(
        f"in these calls: end of speech -> first audio (n={len(answered)})",
        f"median {median(answered):.0f} ms, p95 {quantile(answered, 0.95):.0f} ms",
        "750 ms",
    )


def _microphone(path: Path, said: str) -> Path:
    """Nothing until the agent has greeted, then a sentence, then nothing."""
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(wire.SPOKEN_HZ)
        second = bytes(2 * wire.SPOKEN_HZ)
        sound.writeframes(second * 9 + spoken(said) + second * 60)
    return path


async def _warm(room: ControlRoom) -> None:
    made = await steps.new_session(room.url, "warm")
    async with asyncio.timeout(90):
        while not await steps.people_at_livekit(room.target, made["room_name"]):
            await asyncio.sleep(0.2)
    await steps.end_room(room.target, made["room_name"])


async def _answers(room: ControlRoom, session_id: str) -> list[float]:
    async with httpx.AsyncClient(base_url=room.url, timeout=10) as http:
        told = await http.get(f"/api/voice/session/{session_id}/export")
    turns = told.json()["turns"]
    return [one["answer_ms"] for one in turns if one["caller"] and one["answer_ms"] is not None]


async def _listen(room: ControlRoom, browser: Browser, name: str, *, relayed: bool) -> Page:
    page = await (await browser.new_context()).new_page()
    await page.goto(f"{room.url}/room?name={name}")
    if relayed:
        await page.get_by_text("Relay through dashboard", exact=True).click()
        await page.get_by_role("button", name="Listen in through relay").click()
    else:
        panel = page.get_by_role("region", name="Listen in")
        await panel.get_by_role("button", name="Listen in").click()
    await page.get_by_text("Audio is muted").wait_for()
    return page


async def _delay(page: Page, sent: list[float], *, relayed: bool) -> str:
    place = page.frame_locator("iframe[title*=webrtc]") if relayed else page
    await asyncio.sleep(_SETTLE_S)
    begun = len(sent)
    ms = (_BURSTS + 3) * _EVERY_S * 1000
    edges: list[float] = await place.locator("audio").first.evaluate(_EDGES, [_BURSTS, ms])
    late = []
    for edge in edges:
        before = [at for at in sent[max(0, begun - 2) :] if at * 1000 <= edge]
        if before:
            late.append(edge - before[-1] * 1000)
    return f"median {median(late):.0f} ms, p95 {quantile(late, 0.95):.0f} ms (n={len(late)})"


async def _processor_time(room: ControlRoom) -> tuple[float, float]:
    """Shares of a core, in %, of the dashboard and of livekit-server."""
    await asyncio.sleep(_SETTLE_S)
    both = [psutil.Process(one.process.pid) for one in (room.dashboard, room.livekit)]
    first, began = [sum(one.cpu_times()[:2]) for one in both], time.monotonic()
    await asyncio.sleep(_WINDOW_S)
    seconds = time.monotonic() - began
    after = [sum(one.cpu_times()[:2]) for one in both]
    dashboard, livekit = ((b - a) / seconds * 100 for a, b in zip(first, after, strict=True))
    return dashboard, livekit


@asynccontextmanager
async def _bursting(room: ControlRoom, name: str) -> AsyncIterator[list[float]]:
    """Somebody in the room who beeps once a second; gives the moments, and keeps adding to them."""
    minter = TokenMinter(room.target, utc_now)
    token = minter.mint(TokenRequest(identity="beeper", room=name, grants=Grants(room_join=True)))
    there = rtc.Room()
    await there.connect(room.target.url, token.token)
    source = rtc.AudioSource(_HZ, 1, queue_size_ms=20)
    track = rtc.LocalAudioTrack.create_audio_track("beeps", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
    await there.local_participant.publish_track(track, options)
    sent: list[float] = []
    playing = asyncio.create_task(_play(source, sent))
    try:
        yield sent
    finally:
        playing.cancel()
        await there.disconnect()


async def _play(source: rtc.AudioSource, sent: list[float]) -> None:
    step = 2 * math.pi * 600 / _HZ
    beep = array("h", (int(9000 * math.sin(step * i)) for i in range(_FRAME))).tobytes()
    silence = bytes(2 * _FRAME)
    following, number = time.monotonic(), 0
    while True:
        beeps = number % 100 < 10
        if number % 100 == 0:
            sent.append(time.time())
        await source.capture_frame(rtc.AudioFrame(beep if beeps else silence, _HZ, 1, _FRAME))
        number += 1
        following += 0.01
        await asyncio.sleep(max(0.0, following - time.monotonic()))
