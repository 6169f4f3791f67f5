"""`python -m bench [create|join|session|viewers|thousand|calls|agents|deaths …]`: measure, print one table.

Starts a livekit-server, a dashboard and a Chromium of its own on this machine alone.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench import agent_stream, calls, create, deaths, join, session, thousand, viewers
from bench.report import Report
from tests.support.browser import open_browser
from tests.support.control_room import ControlRoom
from tests.support.livekit_server import livekit_binary

ALL: Final = ("create", "join", "session", "viewers", "thousand", "calls", "agents", "deaths")


async def run(binary: Path, wanted: list[str]) -> Report:
    """Measure what is wanted, each with the same running dashboard."""
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        room = ControlRoom(binary, folder)
        room.start()
        try:
            if "create" in wanted:
                await create.measure(room, report)
            if "agents" in wanted:
                await agent_stream.measure(room, report, folder)
            if {"join", "session", "viewers", "thousand", "calls"} & set(wanted):
                await _in_a_browser(room, report, folder, wanted)
        finally:
            room.stop()
        if "calls" in wanted:
            await calls.measure_clicks(binary, report, folder)
    if "deaths" in wanted:  # with a server, a dashboard and a worker of its own
        await deaths.measure(report, binary)
    return report


async def _in_a_browser(room: ControlRoom, report: Report, folder: Path, wanted: list[str]) -> None:
    async with open_browser() as browser:
        if "join" in wanted:
            await join.measure(room, browser, report, folder)
        if "session" in wanted:
            await session.measure(room, browser, report)
        if "viewers" in wanted:
            await viewers.measure(room, browser, report)
        if "thousand" in wanted:
            await thousand.measure(room, browser, report)
        if "calls" in wanted:
            await calls.measure_listening(room, browser, report)


if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - set(ALL):
        sys.exit(f"unknown: {', '.join(unknown)}; there are {', '.join(ALL)}")
    print("\n" + asyncio.run(run(livekit_binary(), sys.argv[1:] or list(ALL))).markdown())
