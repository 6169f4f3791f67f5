"""The session page on a real call with pm-agent: nodes, state, question, answer, replay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit import api
from playwright.async_api import expect

from services.livekit.synthetic_participant import TextCaller
from tests.support import steps
from tests.support.browser import Pages
from tests.support.control_room import ControlRoom
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)


class Caller:
    """Somebody who writes to the agent in a session of text."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}
        self._caller = TextCaller(
            heard=self.lines.__setitem__, state=lambda _: None, left=lambda _: None
        )

    async def join(self, made: dict[str, str]) -> None:
        await self._caller.join(made["server_url"], made["token"])
        await self.heard("finished", within_s=60)

    async def heard(self, text: str, *, within_s: float = 30) -> None:
        await eventually(lambda: text in " ".join(self.lines.values()), within_s=within_s)

    async def ask(self, text: str, answer: str) -> None:
        await self._caller.write(text)
        await self.heard(answer)

    async def leave(self) -> None:
        await self._caller.leave()


@asynccontextmanager
async def call(room: ControlRoom, user_id: str) -> AsyncIterator[tuple[str, Caller]]:
    """A session of text and its caller; ended whatever happens, and its questions with it."""
    made = await steps.new_session(room.url, user_id, mode="text")
    caller = Caller()
    try:
        await caller.join(made)
        yield made["session_id"], caller
    finally:
        await caller.leave()
        await steps.end_room(room.target, made["room_name"])


async def test_a_call_is_seen_from_the_inside_answered_and_replayed(
    staffed_room: ControlRoom, open_page: Pages
) -> None:
    room = staffed_room
    async with call(room, "nate") as (session_id, caller):
        page = await open_page(f"{room.url}/session?id={session_id}", height=1400)
        await expect(page.get_by_text("Live", exact=True).first).to_be_visible()
        await expect(page.locator('[data-node="greet"][data-end="done"]')).to_be_visible()
        await steps.mark(page)

        await caller.ask("Yesterday I finished the login page.", "next")
        transcript = page.get_by_role("log", name="Transcript")
        await expect(transcript).to_contain_text("Yesterday I finished the login page.")
        await expect(page.locator('[data-node="ask"][data-end="done"]')).to_be_visible()
        await expect(page.get_by_role("treeitem").filter(has_text="slots")).to_be_visible()

        await caller.ask("Today I will work on the audit log.", "blocking")
        await caller.ask("I am blocked by the missing database access.", "approve")
        await expect(page.locator('[data-node="approve"][data-end="interrupted"]')).to_be_visible()
        await expect(page.get_by_text("Waiting for human")).to_be_visible()
        await page.get_by_role("button", name="Approve", exact=True).click()
        await caller.heard("Approved")
        await expect(page.locator('[data-node="create"][data-end="done"]')).to_be_visible()
        await expect(transcript).to_contain_text("Approved.")
        await expect(page.get_by_text("Waiting for human")).to_have_count(0)
        await steps.assert_not_reloaded(page)

        # Back to a moment: everything goes there, and a link leads there, too.
        await page.get_by_role("tab", name="Steps").click()
        step = page.get_by_role("list", name="Steps").get_by_role("button").nth(6)
        await step.click()
        await expect(page.locator('[data-node="create"][data-end="none"]')).to_be_visible()
        await page.wait_for_url("**at=**")
        link = page.url
    await page.goto("about:blank")
    await page.goto(link)
    await expect(page.locator('[data-node="create"][data-end="none"]')).to_be_visible()
    await page.get_by_role("button", name="Replay at 4× speed").click()
    await expect(page.locator('[data-node="create"][data-end="done"]')).to_be_visible()
    await page.get_by_role("searchbox", name="Search transcript").fill("audit")
    await expect(page.locator("mark").first).to_be_visible()


async def test_a_question_calls_on_every_page_is_asked_anew_for_a_changed_state_and_edited(
    staffed_room: ControlRoom, open_page: Pages
) -> None:
    room = staffed_room
    async with call(room, "ana") as (session_id, caller):
        page = await open_page(f"{room.url}/rooms", height=1400)
        await expect(page.get_by_role("heading", name="Rooms", exact=True)).to_be_visible()
        await steps.mark(page)
        badge = page.get_by_role("region", name="Pending questions")
        await expect(badge).to_have_count(0)
        await caller.ask("Yesterday I finished the login page.", "next")
        await caller.ask("Today I will work on the audit log.", "blocking")
        await caller.ask("I am blocked by the missing database access.", "approve")
        await expect(badge).to_contain_text("1 pending question")
        await badge.get_by_role("button", name="create_tickets · ana").click()
        await page.wait_for_url(f"**/session?id={session_id}*")
        await steps.assert_not_reloaded(page)

        await expect(page.get_by_text("Waiting for human")).to_be_visible()
        await expect(page.get_by_text("1 page open on it")).to_be_visible()
        other = await open_page(page.url)
        await expect(page.get_by_text("2 pages open on it")).to_be_visible()
        await other.close()
        await expect(page.get_by_text("1 page open on it")).to_be_visible()

        await steps.wait_until_drawn(page)
        await page.get_by_text("Edit state").click()
        await steps.choose(page.get_by_role("combobox", name="Key"), "number")
        value = page.get_by_label("New value (JSON)").first  # that before fades out
        await expect(value).to_have_value("1")  # that of the chosen channel
        await value.fill("{oops")
        await page.get_by_role("button", name="Review changes").click()
        await expect(page.get_by_text("The new value is not valid JSON")).to_be_visible()
        await value.fill("7")
        await page.get_by_role("button", name="Review changes").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("is raised again")
        await dialog.get_by_role("button", name="Edit state", exact=True).click()
        await expect(page.get_by_text("State updated")).to_be_visible()
        await expect(page.get_by_label("proposal")).to_have_value("7")  # what it asks now

        grid = page.get_by_test_id("stDataFrame").first
        await expect(grid).to_be_visible()
        await grid.scroll_into_view_if_needed()
        await grid.dblclick(position={"x": 60, "y": 52})  # the first row's first cell
        editor = page.locator(".gdg-style textarea, .gdg-style input").last
        await editor.fill("Order a crate of lemonade")
        await editor.press("Enter")
        await expect(page.get_by_text("Approve sends the arguments")).to_be_visible()
        await page.get_by_role("button", name="Approve", exact=True).click()
        await caller.heard("rder a crate of lemonade")
        await expect(badge).to_have_count(0)


async def test_a_session_that_no_recorder_tells_of_says_so(
    staffed_room: ControlRoom, open_page: Pages
) -> None:
    room = staffed_room
    async with steps.livekit_api(room.target) as livekit:
        await livekit.room.create_room(api.CreateRoomRequest(name="adopted"))
    session_id = await eventually(lambda: steps.session_in(room.url, "adopted"))
    page = await open_page(f"{room.url}/session?id={session_id}")
    await expect(page.get_by_text("No graph recorded for this session")).to_be_visible()
    await expect(page.get_by_text("State unavailable: no recorder")).to_be_visible()
    await expect(page.get_by_text("No transcript yet.")).to_be_visible()
    await steps.end_room(room.target, "adopted")
