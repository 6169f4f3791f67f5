"""A dashboard that somebody looks at ends as soon as it is asked to."""

from __future__ import annotations

import asyncio
import time

from tests.conftest import StartDashboard
from tests.support.browser import BrowserLog, Pages
from tests.support.livekit_server import LiveKitServer


async def test_an_open_page_with_a_live_connection_does_not_keep_the_dashboard_from_ending(
    start_dashboard: StartDashboard,
    livekit_server: LiveKitServer,
    open_page: Pages,
    browser_log: BrowserLog,
) -> None:
    dashboard = await asyncio.to_thread(start_dashboard, livekit=livekit_server)
    page = await open_page()
    async with page.expect_websocket(lambda socket: "/api/live" in socket.url) as opened:
        await page.goto(f"{dashboard.url}/rooms")
    await (await opened.value).wait_for_event("framereceived")
    began_s = time.monotonic()
    await asyncio.to_thread(dashboard.stop)
    assert time.monotonic() - began_s < 4
    browser_log.errors.clear()  # that its server is gone
