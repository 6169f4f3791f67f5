"""The browser's test bed: it draws, it keeps evidence, it reaches nothing outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import browser as support
from tests.support.browser import BrowserLog, Pages, Visitors
from tests.support.control_room import ControlRoom


async def test_the_dashboard_draws_in_the_browser(
    control_room: ControlRoom, open_page: Pages, browser_log: BrowserLog
) -> None:
    page = await open_page(control_room.url)
    await page.get_by_test_id("stAppViewContainer").wait_for()
    await page.get_by_test_id("stSidebarNav").wait_for()
    browser_log.assert_clean()


async def test_each_tab_is_a_person_of_its_own(open_page: Pages) -> None:
    one, other = await open_page(), await open_page(color_scheme="dark")
    dark = "matchMedia('(prefers-color-scheme: dark)').matches"
    assert await one.evaluate(dark) is False
    assert await other.evaluate(dark) is True
    assert one.context is not other.context


async def test_the_browsers_time_zone_is_not_the_servers(open_page: Pages) -> None:
    page = await open_page()
    zone = await page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    assert zone == "America/New_York"


async def test_console_errors_are_seen_and_can_be_allowed(
    open_page: Pages, browser_log: BrowserLog
) -> None:
    page = await open_page()
    async with page.expect_console_message():
        await page.evaluate("console.error('this broke')")
    with pytest.raises(AssertionError, match="this broke"):
        browser_log.assert_clean()
    browser_log.assert_clean("this .*")


async def test_a_request_to_another_machine_is_seen_and_does_not_get_there(
    open_page: Pages, browser_log: BrowserLog
) -> None:
    page = await open_page()
    failure = await page.evaluate("fetch('https://example.org/font.woff2').catch(e => e.name)")
    assert failure == "TypeError"
    with pytest.raises(AssertionError, match=r"example\.org/font"):
        browser_log.assert_nothing_from_outside()
    browser_log.outside.clear()


async def test_a_failure_keeps_a_screenshot_and_the_console(
    open_page: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(support, "RESULTS", tmp_path)
    page = await open_page()
    await page.set_content("<h1>evidence</h1>")
    async with page.expect_console_message():
        await page.evaluate("console.error('said on the console')")
    said = await open_page.keep_evidence("trial of keep_evidence")
    assert f"about:blank: {tmp_path}/trial-of-keep_evidence/tab-1.png" in said
    assert (tmp_path / "trial-of-keep_evidence/tab-1.png").read_bytes().startswith(b"\x89PNG")
    assert "console error: said on the console" in said


async def test_who_comes_again_brings_nothing_from_the_last_test(
    visitors: Visitors, browser_log: BrowserLog, control_room: ControlRoom
) -> None:
    kept = "[localStorage.length, document.cookie, sessionStorage.length, indexedDB.databases()]"
    found = f"Promise.all({kept}).then(([a, b, c, d]) => [a, b, c, d.length])"
    first = Pages(visitors, browser_log)
    page = await first(f"{control_room.url}/api/health")
    context = page.context
    await page.evaluate(
        """() => {
          localStorage.a = sessionStorage.a = document.cookie = "a=1";
          return new Promise((done) => (indexedDB.open("a").onsuccess = done));
        }"""
    )
    assert await page.evaluate(found) == [1, "a=1", 1, 1]
    await page.goto("about:blank")
    await first.close()
    second = Pages(visitors, browser_log)
    page = await second(f"{control_room.url}/api/health")
    assert page.context is context
    assert await page.evaluate(found) == [0, "", 0, 0]
    await second.close()
