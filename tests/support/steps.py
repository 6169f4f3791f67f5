"""What people do in the browser, and what they can be sure of, as steps for the browser tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import httpx
from livekit import api
from playwright.async_api import Locator, Page, expect
from playwright.async_api import TimeoutError as TookTooLong

from services.livekit.target import LiveKitTarget
from tests.support.waiting import eventually

# Streamlit 1.67 asks for these two relative to a deep link; they are not there and not needed.
KNOWN_ERRORS: Final = (r"_stcore/(health|host-config)",)

_PATIENCE_S: Final = 60.0
_INTERACTIVE: Final = {
    "button", "checkbox", "combobox", "link", "listbox", "menuitem", "option",
    "radio", "searchbox", "slider", "spinbutton", "switch", "tab", "textbox",
}  # fmt: skip


@asynccontextmanager
async def livekit_api(target: LiveKitTarget) -> AsyncIterator[api.LiveKitAPI]:
    """LiveKit's own client: what is checked with it does not go through our code."""
    secret = target.api_secret.get_secret_value()
    async with api.LiveKitAPI(target.url, target.api_key, secret) as livekit:
        yield livekit


def http(url: str, *, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """The dashboard's API for another program that has patience: a busy machine takes its time."""
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=_PATIENCE_S)


async def rooms_at_livekit(target: LiveKitTarget) -> set[str]:
    """The names of all rooms that are open."""
    async with livekit_api(target) as livekit:
        reply = await livekit.room.list_rooms(api.ListRoomsRequest())
    return {room.name for room in reply.rooms}


async def people_at_livekit(target: LiveKitTarget, room: str) -> set[str]:
    """The identities of everybody in the room."""
    async with livekit_api(target) as livekit:
        reply = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
    return {participant.identity for participant in reply.participants}


async def end_room(target: LiveKitTarget, room: str) -> None:
    """Delete the room, as a program of others would."""
    async with livekit_api(target) as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room=room))


async def new_session(
    url: str, user_id: str, *, hours: float = 1.0, mode: Literal["voice", "text"] = "voice"
) -> dict[str, Any]:
    """A session made over HTTP, as another program does."""
    body = {
        "user_id": user_id,
        "agent_id": "pm-agent",
        "session_duration_hours": hours,
        "mode": mode,
    }
    async with http(url) as client:
        reply = await client.post("/api/voice/session", json=body)
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def session_in(url: str, room_name: str) -> str:
    """The id of the newest session in a room of that name; "": there is none."""
    async with http(url) as client:
        found = (await client.get("/api/voice/sessions", params={"room_name": room_name})).json()
    return found["sessions"][0]["session_id"] if found["sessions"] else ""


async def choose(box: Locator, option: str) -> None:
    """In a select box, by mouse. What scrolls under an open list closes it: then anew."""
    one = box.page.get_by_role("option", name=option, exact=True)

    async def chosen() -> bool:
        await box.fill("")  # the same words again would not open it
        await box.fill(option)
        await one.click(timeout=1000)
        return True

    await eventually(chosen, ignoring=(TookTooLong,))


async def create_room(page: Page, name: str, *, metadata: str = "") -> str:
    """On the rooms page, through the dialog, which stays open; gives the token that it shows."""
    await page.get_by_role("button", name="Create room").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill(name)
    if metadata:
        await dialog.get_by_text("More options").click()
        await dialog.get_by_role("textbox", name="Metadata (JSON object)").fill(metadata)
    await dialog.get_by_role("button", name="Create room").click()
    await dialog.get_by_text("Room created").wait_for()
    code = await dialog.get_by_test_id("stCode").first.inner_text()
    return "".join(code.split())


def row_of(page: Page, name: str) -> Locator:
    """The row of a room in the live table."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def people_in(row: Locator) -> Locator:
    """The cell that counts the people."""
    return row.get_by_role("gridcell").nth(3)


def card_of(page: Page, identity: str) -> Locator:
    """The card of a participant on the room's page."""
    return page.locator("[class*=st-key-room-participant-]").filter(
        has=page.get_by_role("button", name="Remove"), has_text=identity
    )


async def height_of(element: Locator) -> float:
    """Where it stands in the window: pixels from the top."""
    box = await element.bounding_box()
    assert box is not None
    return box["y"]


async def mark(page: Page) -> None:
    """Leave a mark in the page that a reload would wipe out."""
    await page.evaluate("window.untouched = true")


async def assert_not_reloaded(page: Page) -> None:
    """The mark is still there."""
    assert await page.evaluate("window.untouched") is True


async def wait_until_drawn(page: Page) -> None:
    """Until the page has its title and no run is under way."""
    await expect(
        page.get_by_test_id("stAppViewContainer").get_by_role("heading").first
    ).to_be_visible()
    await expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning"
    )


async def go_back(page: Page) -> None:
    """Press Back once the page is drawn: a run under way can make Streamlit 1.67 stay."""
    await wait_until_drawn(page)
    await page.go_back()


async def wait_until_listening(page: Page) -> None:
    """Our live listener has all of its code: one that the server's end cuts off never comes back.

    A browser asks for the parts of a module only once; the tab would have to be reloaded.
    """
    await page.wait_for_function(
        """() => {
          const got = performance.getEntriesByType("resource").map((entry) => entry.name);
          return ["connection", "coalesce", "turns"].every((part) =>
            got.some((name) => name.includes(`/chunk-${part}-`)));
        }"""
    )


async def too_wide_by(page: Page) -> int:
    """How many pixels of the page are cut off at the right, or must be scrolled to."""
    script = "main => Math.max(0, main.scrollWidth - main.clientWidth)"
    wide: int = await page.get_by_test_id("stMain").evaluate(script)
    return wide


async def nameless_controls(page: Page) -> list[str]:
    """Whatever one can act on and a screen reader has no name for."""
    nodes = await _accessibility_tree(page)
    return [
        f"{role} {node.get('description', {}).get('value', '')}".strip()
        for node in nodes
        if (role := _role(node)) in _INTERACTIVE and not _name(node)
    ]


async def headings(page: Page) -> list[tuple[int, str]]:
    """Level and text of each heading, in the order of the page."""
    script = "all => all.map(one => [Number(one.tagName.slice(1)), one.innerText.trim()])"
    found: list[list[Any]] = await page.locator("h1, h2, h3, h4, h5, h6").evaluate_all(script)
    return [(int(level), str(text)) for level, text in found]


async def _accessibility_tree(page: Page) -> list[dict[str, Any]]:
    devtools = await page.context.new_cdp_session(page)
    try:
        tree: dict[str, Any] = await devtools.send("Accessibility.getFullAXTree")
    finally:
        await devtools.detach()
    return [node for node in tree["nodes"] if not node.get("ignored")]


def _role(node: dict[str, Any]) -> str:
    return str(node.get("role", {}).get("value", ""))


def _name(node: dict[str, Any]) -> str:
    return str(node.get("name", {}).get("value", "")).strip()
