"""A page of others, with livekit-client alone, gets its session from us."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.conftest import StartDashboard, StartLiveKit
from tests.support import steps
from tests.support.browser import Pages
from tests.support.need import missing
from tests.support.waiting import eventually

_ROOT = Path(__file__).resolve().parent.parent.parent
_CLIENT = _ROOT / "frontend/node_modules/livekit-client/dist/livekit-client.esm.mjs"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[str]:
    """The example, served from an origin of its own."""
    if not _CLIENT.is_file():
        missing("livekit-client is not installed. Run `python -m scripts.frontend test` once.")
    folder = tmp_path / "outside"
    shutil.copytree(_ROOT / "docs/examples/browser", folder)
    shutil.copy(_CLIENT, folder)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        os_thread = threading.Thread(target=server.serve_forever)
        os_thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        os_thread.join()


async def test_the_example_page_joins_a_session_that_it_asked_us_for(
    outside: str,
    start_livekit: StartLiveKit,
    start_dashboard: StartDashboard,
    open_page: Pages,
) -> None:
    livekit = start_livekit()
    dashboard = start_dashboard(livekit=livekit, env={"SWITCHBOARD_CORS_ORIGINS": outside})
    page = await open_page(f"{outside}/?dashboard={dashboard.url}")
    await page.get_by_role("button", name="Talk").click()
    await expect(page.get_by_text("In pm-agent-")).to_be_visible()
    (name,) = await steps.rooms_at_livekit(livekit.target)

    async def with_a_microphone() -> bool:
        return len(await steps.people_at_livekit(livekit.target, name)) == 1

    await eventually(with_a_microphone)
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_text("Not in a call.")).to_be_visible()


async def test_a_page_of_an_origin_that_nobody_named_gets_nothing(
    outside: str,
    start_livekit: StartLiveKit,
    start_dashboard: StartDashboard,
    open_page: Pages,
) -> None:
    livekit = start_livekit()
    dashboard = start_dashboard(livekit=livekit)
    page = await open_page(f"{outside}/?dashboard={dashboard.url}")
    await page.get_by_role("button", name="Talk").click()
    await expect(page.get_by_text("It did not work")).to_be_visible()
    assert await steps.rooms_at_livekit(livekit.target) == set()
