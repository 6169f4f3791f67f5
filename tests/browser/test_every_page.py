"""What holds for every page: named controls, headings in order, no error, nothing cut off."""

from __future__ import annotations

import itertools

import pytest
from playwright.async_api import Page

from tests.support import steps
from tests.support.browser import BrowserLog, ColorScheme, Pages
from tests.support.control_room import ControlRoom
from tests.support.participants import People
from tests.support.waiting import eventually

PAGES = [
    "", "rooms", "room?name=every", "sessions", "session?id={session}", "analytics", "analytics?tab=paths", "reviews", "alerts",
    "alerts?tab=rules", "agents", "test", "tokens",
    "system", "access", "access?tab=keys", "access?tab=people", "room",
]  # fmt: skip


@pytest.mark.parametrize(
    ("color_scheme", "width"),
    [
        ("light", 1440),
        pytest.param("dark", 1024, marks=pytest.mark.full),
        pytest.param("light", 420, marks=pytest.mark.full),
    ],
)
async def test_every_page_is_named_ordered_and_without_an_error(
    control_room: ControlRoom,
    open_page: Pages,
    join_room: People,
    browser_log: BrowserLog,
    color_scheme: ColorScheme,
    width: int,
) -> None:
    await join_room(control_room.target, "every", "ana")
    made = await steps.new_session(control_room.url, "every")
    page = await open_page(color_scheme=color_scheme, width=width)
    for path in PAGES:
        await page.goto(f"{control_room.url}/{path.format(session=made['session_id'])}")
        await steps.wait_until_drawn(page)
        assert await steps.nameless_controls(page) == [], path
        levels = [level for level, _ in await steps.headings(page)]
        assert levels[:1] == [1], (path, levels)
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), (path, levels)
        assert await steps.too_wide_by(page) == 0, path
        await page.set_viewport_size({"width": 420, "height": 900})
        await eventually(lambda: _fits(page))
        await page.set_viewport_size({"width": width, "height": 900})
    browser_log.assert_clean(*steps.KNOWN_ERRORS)


async def _fits(page: Page) -> bool:
    return await steps.too_wide_by(page) == 0
