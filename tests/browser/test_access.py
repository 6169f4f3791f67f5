"""Signing in, what each role sees and is refused, API keys and the audit log, in the browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.access.permissions import Role
from services.access.users import put_person
from tests.support import steps
from tests.support.browser import BrowserLog, Pages
from tests.support.control_room import ControlRoom
from tests.support.livekit_server import livekit_binary
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, open_oidc_provider
from tests.support.ports import free_port

PASSWORD = "correct horse battery"


def _nothing(_: ControlRoom) -> None:
    """There is nothing to prepare."""


@contextmanager
def guarded_room(
    folder: Path,
    *,
    prepare: Callable[[ControlRoom], None] = _nothing,
    options: tuple[str, ...] = (),
    **env: str,
) -> Iterator[ControlRoom]:
    """A control room with a login; people are named as their roles are."""
    people = folder / "people.yaml"
    for role in Role:
        put_person(people, role.value, role, password=PASSWORD)
    given = {"SWITCHBOARD_USERS_FILE": str(people), **env}
    room = ControlRoom(livekit_binary(), folder, env=given, options=options)
    prepare(room)
    try:
        room.start()
        yield room
    finally:
        room.stop()


@pytest.fixture(scope="module")
def by_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    """A control room whose people sign in with a password."""
    folder = tmp_path_factory.mktemp("by-password")
    with guarded_room(folder, SWITCHBOARD_AUTH_MODE="password") as room:
        yield room


async def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def test_one_signs_in_goes_on_where_one_was_and_out_again(
    by_password: ControlRoom, open_page: Pages, browser_log: BrowserLog
) -> None:
    page = await open_page(f"{by_password.url}/rooms?q=kept")
    await expect(page.get_by_role("heading", name="Switchboard")).to_be_visible()
    assert await steps.nameless_controls(page) == []
    await sign_in(page, "viewer", "no horse of mine")
    await expect(page.get_by_role("alert")).to_have_text("Wrong name or password. Try again.")
    await expect(page.get_by_label("Name")).to_have_value("viewer")
    await sign_in(page, "viewer")
    await expect(page.get_by_placeholder("Search rooms, agents, sessions")).to_have_value("kept")
    await expect(page.get_by_text("Signed in as viewer, viewer")).to_be_visible()
    menu = page.get_by_test_id("stSidebarNav")
    await expect(menu.get_by_role("link", name="Overview")).to_be_visible()
    await expect(menu.get_by_role("link", name="Access")).to_have_count(0)
    await page.goto(f"{by_password.url}/access?tab=people")
    await expect(page.get_by_text("You may not read the audit log.")).to_be_visible()
    await expect(page.get_by_role("tab")).to_have_count(0)
    await page.get_by_role("link", name="Sign out").click()
    await expect(page.get_by_label("Password")).to_be_visible()
    await page.goto(f"{by_password.url}/rooms")
    await expect(page.get_by_label("Password")).to_be_visible()
    browser_log.assert_clean(*steps.KNOWN_ERRORS, "401")


async def test_nothing_of_a_page_is_given_to_whom_nobody_knows(by_password: ControlRoom) -> None:
    socket = by_password.url.replace("http", "ws") + "/_stcore/stream"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(socket):
            pass
    assert refused.value.response.status_code == 403
    async with steps.http(by_password.url) as http:
        for path in (
            "/",
            "/access",
            "/_stcore/host-config",
            "/_stcore/upload_file/x/y",
            "/media/x",
        ):
            assert (await http.get(path)).status_code == 401, path
        page = await http.get("/rooms", headers={"accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (
            303,
            "/api/sign-in?next=%2Frooms",
        )
        health = await http.get("/_stcore/health")
        assert health.status_code == 200
        assert health.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors" in health.headers["content-security-policy"]


async def test_a_viewer_is_refused_and_told_what_it_takes(
    by_password: ControlRoom, open_page: Pages
) -> None:
    async with steps.livekit_api(by_password.target) as livekit:
        from livekit import api

        await livekit.room.create_room(api.CreateRoomRequest(name="kept", empty_timeout=600))
    page = await open_page(f"{by_password.url}/room?name=kept")
    await sign_in(page, "viewer")
    await page.get_by_role("button", name="End room").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="End room").click()
    await expect(dialog.get_by_text("You may not manage rooms.")).to_be_visible()
    await expect(dialog.get_by_text("This requires the role “operator”")).to_be_visible()
    assert "kept" in await steps.rooms_at_livekit(by_password.target)

    admin = await open_page(f"{by_password.url}/access")
    await sign_in(admin, "admin")
    table = admin.get_by_test_id("stDataFrame")
    await expect(table).to_contain_text("RoomActions.end")
    await expect(table).to_contain_text("denied")
    await admin.get_by_label("Result").fill("done")
    await admin.get_by_label("Result").press("Enter")
    await expect(admin.get_by_text("No entries match.")).to_be_visible()


async def test_a_key_is_made_shown_once_used_and_revoked(
    by_password: ControlRoom, open_page: Pages, browser_log: BrowserLog
) -> None:
    page = await open_page(f"{by_password.url}/access?tab=keys")
    await sign_in(page, "admin")
    await page.get_by_role("textbox", name="Name").fill("crm <b>")
    await steps.choose(page.get_by_role("combobox", name="Scopes"), "read: view all pages")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Create API key").click()
    code = page.get_by_test_id("stCode")
    secret = (await code.inner_text()).strip()
    assert re.fullmatch(r"swb_[\w-]{43}", secret)
    headers = {"authorization": f"Bearer {secret}"}
    async with steps.http(by_password.url, headers=headers) as http:
        assert (await http.get("/api/rooms")).status_code == 200
        await page.get_by_role("button", name="Done").click()
        await expect(code).to_have_count(0)
        assert secret not in await page.content()
        await page.get_by_role("combobox", name="Active key").click()
        await page.get_by_role("option").first.click()
        await page.get_by_role("button", name="Revoke key").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke key").click()
        await expect(page.get_by_text("API key revoked")).to_be_visible()
        assert (await http.get("/api/rooms")).status_code == 401
    await expect(page.get_by_test_id("stDataFrame")).to_contain_text("revoked")
    browser_log.assert_clean(*steps.KNOWN_ERRORS)


async def test_an_identity_provider_says_who_comes_and_groups_give_roles(
    tmp_path: Path, open_page: Pages
) -> None:
    """The whole of OpenID Connect: code flow, PKCE, a signed ID token, and a call with a pass."""
    groups = {"ana@example.org": ("desk",)}
    with open_oidc_provider(free_port(), groups) as provider:
        secrets = tmp_path / "secrets.toml"

        def prepare(room: ControlRoom) -> None:
            secrets.write_text(
                f'[auth]\nredirect_uri = "{room.url}/oauth2callback"\n'
                f'cookie_secret = "{"c" * 40}"\nclient_id = "{CLIENT_ID}"\n'
                f'client_secret = "{CLIENT_SECRET}"\n'
                f'server_metadata_url = "{provider.metadata_url}"\n'
            )
            people = tmp_path / "room" / "people.yaml"
            people.write_text(
                "people: {mal@typed.example: {role: admin}}\ngroups: {desk: operator}\n"
            )

        with guarded_room(
            tmp_path / "room",
            prepare=prepare,
            options=("--secrets.files", str(secrets)),
            SWITCHBOARD_AUTH_MODE="oidc",
        ) as room:
            page = await open_page(room.url)
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_label("E-mail").fill("ana@example.org")
            await page.get_by_role("button", name="Continue").click()
            await expect(page.get_by_text("Signed in as ana@example.org, operator")).to_be_visible()
            await page.goto(f"{room.url}/test?mode=text")
            await page.get_by_role("button", name="Chat with pm-agent").click()
            await expect(page.get_by_text("Waiting for agent").first).to_be_visible()
            async with steps.http(room.url) as http:
                assert (await http.get("/api/rooms")).status_code == 401

            stranger = await open_page(room.url)
            for email in ("zoe@example.org", "mal@typed.example"):  # the second is not verified
                await stranger.get_by_role("button", name="Sign in").click()
                await stranger.get_by_label("E-mail").fill(email)
                await stranger.get_by_role("button", name="Continue").click()
                await expect(stranger.get_by_text("but you have no role")).to_be_visible()
                await stranger.get_by_role("button", name="Sign out").click()
            await expect(stranger.get_by_role("button", name="Sign in")).to_be_visible()
