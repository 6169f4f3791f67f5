"""The analytics page: figures of a believable past, and the way from each to its sessions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, expect

from services.analytics.rollup_store import RollupStore
from services.clock import utc_now
from services.settings import Settings
from services.store.store import open_store
from tests.support import steps
from tests.support.browser import BrowserLog, Pages
from tests.support.control_room import ControlRoom
from tests.support.livekit_server import livekit_binary
from tests.support.past import calls, write_past

SESSIONS = 160


@pytest.fixture(scope="module")
def past_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    """A control room with two weeks behind it."""
    room = ControlRoom(
        livekit_binary(), tmp_path_factory.mktemp("past"), env={"SWITCHBOARD_WORKER": "off"}
    )

    async def fill() -> None:
        settings = Settings(switchboard_data_dir=room.dashboard.data_dir, _env_file=None)
        async with open_store(settings) as store:
            await write_past(store, calls(sessions=SESSIONS, until=utc_now(), days=10))
            while await RollupStore(store).catch_up(utc_now() + timedelta(minutes=5)):
                pass

    asyncio.run(fill())
    try:
        room.start()
        yield room
    finally:
        room.stop()


async def listed(room: ControlRoom, page: Page) -> int:
    """How many sessions the view that the page shows has."""
    told = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
    async with steps.http(room.url) as http:
        answer = await http.get("/api/voice/sessions", params={**told, "limit": 500})
        answer.raise_for_status()
        return len(answer.json()["sessions"])


async def at(page: Page, url: str) -> None:
    await page.goto(url)
    await steps.wait_until_drawn(page)


async def test_figures_lead_to_the_sessions_that_they_count(
    past_room: ControlRoom, open_page: Pages, browser_log: BrowserLog
) -> None:
    room = past_room
    page = await open_page()
    analytics = f"{room.url}/analytics?period=30d"
    await at(page, analytics)
    await expect(page.get_by_test_id("stMetric").first).to_contain_text(str(SESSIONS))

    bars = page.get_by_test_id("stVegaLiteChart").first.locator("path[aria-roledescription=bar]")
    label = await bars.nth(3).get_attribute("aria-label") or ""
    await bars.nth(3).click()
    await page.wait_for_url("**/sessions?**")
    await expect(page.get_by_text("Only those that began from")).to_be_visible()
    counted = re.search(r"Sessions: (\d+)", label)
    assert counted is not None
    assert await listed(room, page) == int(counted[1])

    await steps.go_back(page)
    await page.wait_for_url("**/analytics?period=30d")
    await expect(page.get_by_test_id("stMetric").first).to_contain_text(str(SESSIONS))

    troubled = page.get_by_test_id("stMetric").filter(has_text="Error rate")
    share = float((await troubled.inner_text()).split("\n")[-1].rstrip("%") or 0)
    await page.get_by_role("link", name="View sessions").nth(5).click()
    await page.wait_for_url("**errors=true**")
    assert await listed(room, page) == round(share / 100 * SESSIONS)

    await at(page, f"{analytics}&tab=ends")
    bar = page.get_by_test_id("stVegaLiteChart").first.locator("path[aria-roledescription=bar]")
    label = await bar.nth(1).get_attribute("aria-label") or ""
    await bar.nth(1).click()
    await page.wait_for_url("**mark=outcome**")
    counted = re.search(r"Sessions: (\d+)", label)
    assert counted is not None
    assert await listed(room, page) == int(counted[1])
    browser_log.assert_clean(*steps.KNOWN_ERRORS)


async def test_a_node_tells_its_figures_and_leads_to_where_it_failed(
    past_room: ControlRoom, open_page: Pages
) -> None:
    page = await open_page(f"{past_room.url}/analytics?period=30d&tab=paths")
    node = page.locator('[data-node="tools"]')
    await node.click()
    facts = page.get_by_label("tools", exact=True)
    failed = facts.get_by_role("link", name=re.compile(r"\d+ failed"))
    count = int((await failed.inner_text()).split()[0])
    assert count > 0
    await failed.click()
    await page.wait_for_url("**/sessions?**")
    await expect(page.get_by_text("that failed in node tools")).to_be_visible()
    assert await listed(past_room, page) == count
    await page.get_by_role("button", name="Clear drill-down").click()
    await expect(page.get_by_text("that failed in node tools")).to_have_count(0)
    await page.wait_for_url(re.compile(r"/sessions\?agent_name=pm-agent$"))

    await at(page, f"{past_room.url}/analytics?period=30d&tab=paths")
    hear = page.get_by_role("group").filter(has=page.locator('[data-node="hear"]'))
    await hear.last.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("hear", exact=True).get_by_role("link").first).to_be_visible()
    await expect(page.locator('[data-node="recall"]')).to_have_count(0)
    await page.get_by_text("Show unused nodes").click()
    await expect(page.locator('[data-node="recall"]')).to_be_visible()


async def test_a_cell_of_a_table_leads_to_those_that_took_longer(
    past_room: ControlRoom, open_page: Pages
) -> None:
    page = await open_page(f"{past_room.url}/analytics?period=30d&tab=latency")
    await steps.wait_until_drawn(page)
    grid = page.get_by_test_id("stDataFrame").first
    box = await grid.bounding_box()
    assert box is not None
    await grid.click(position={"x": box["width"] - 240, "y": 52 + 35 * 4})  # p95 of the answer
    await page.wait_for_url("**mark=part%7Canswer&mark_over_ms=**")
    await expect(page.get_by_text("a measured time for total latency, with")).to_be_visible()
    assert 0 < await listed(past_room, page) < SESSIONS / 2


async def test_two_versions_are_compared_by_a_link(
    past_room: ControlRoom, open_page: Pages
) -> None:
    link = "analytics?period=30d&agent=pm-agent&version=2.1&against=version&other=2.0&tab=compare"
    page = await open_page(f"{past_room.url}/{link}")
    await steps.wait_until_drawn(page)
    grid = page.get_by_test_id("stDataFrame").first
    await expect(grid).to_contain_text("Text-to-speech (first byte), p50")
    await page.get_by_text("Significant only").click()
    await expect(grid).to_contain_text("worse")
    await expect(grid).to_contain_text("Text-to-speech (first byte), p50")
    await expect(grid).not_to_contain_text("not significant")
    await expect(page.get_by_test_id("stMetric").filter(has_text="Latency p50")).to_contain_text(
        "worse"
    )
    await page.get_by_label("Other version").click()
    await page.get_by_role("option", name="unknown").click()
    await page.wait_for_url("**other=-**")


async def test_a_time_without_sessions_says_what_to_do(
    past_room: ControlRoom, open_page: Pages
) -> None:
    page = await open_page(f"{past_room.url}/analytics?period=days&from=2020-01-01&to=2020-01-03")
    await expect(page.get_by_text("No sessions in this period.")).to_be_visible()
    await expect(page.get_by_text("1 Jan 00:00 to 4 Jan 00:00")).to_be_visible()
    await page.get_by_label("Time range").click()
    await page.get_by_role("option", name="Last 30 days").click()
    await expect(page.get_by_test_id("stMetric").first).to_contain_text(str(SESSIONS))
    await page.wait_for_url("**period=30d**")
