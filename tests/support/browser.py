"""A real Chromium for tests; when a test fails, what it showed is kept and named."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    CDPSession,
    ConsoleMessage,
    Page,
    async_playwright,
    expect,
)

from tests.support import chromium
from tests.support.need import missing

RESULTS: Final = Path(__file__).resolve().parent.parent.parent / "test-results"
_OPTIONS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--allow-loopback-in-peer-connection",
    "--force-color-profile=srgb",
)
_FAKE_MICROPHONE: Final = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
_TIMEOUT_MS: Final = 45_000  # it ends at once when it is so; a loaded machine takes its time
_STORED: Final = "local_storage,indexeddb,cache_storage,service_workers,file_systems"
ColorScheme = Literal["light", "dark"]
expect.set_options(timeout=_TIMEOUT_MS)


@asynccontextmanager
async def open_browser(*more: str, fake_microphone: bool = True) -> AsyncIterator[Browser]:
    """Chromium without a window; it cannot reach anything but this machine.

    `more`: further options of its command line, such as what its microphone hears.
    `fake_microphone`: one that beeps and that pages may use; else this machine's own, if any.
    """
    path = chromium.find()
    if path is None:
        missing("There is no Chromium. Run `python -m tests.support.prepare` to get one.")
    options = (*_OPTIONS, *(_FAKE_MICROPHONE if fake_microphone else ()))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*options, *more])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class BrowserLog:
    """What the pages of one test said on the console, and whom they asked."""

    errors: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._add_error(f"uncaught: {error}"))
        page.on("request", lambda request: self._on_request(request.url))
        page.on("websocket", lambda socket: self._on_request(socket.url))

    def assert_clean(self, *allowed: str) -> None:
        """No console error and no uncaught exception, but those that match a regex in `allowed`."""
        bad = [e for e in self.errors if not any(re.search(ok, e) for ok in allowed)]
        assert not bad, "the browser's console holds errors:\n" + "\n".join(bad)

    def assert_nothing_from_outside(self) -> None:
        """No font, script, icon or anything else was asked of another machine."""
        assert not self.outside, "a page asked other machines for:\n" + "\n".join(self.outside)

    def _on_console(self, message: ConsoleMessage) -> None:
        place = message.location.get("url", "")
        self.messages.append(f"{message.type}: {message.text}  {place}")
        if message.type == "error":
            self._add_error(f"{message.text}  {place}")

    def _add_error(self, text: str) -> None:
        self.errors.append(text)

    def _on_request(self, url: str) -> None:
        parts = urlsplit(url)
        on_the_network = parts.scheme in {"http", "https", "ws", "wss"}
        if on_the_network and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
            self.outside.append(url)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a browser of their own: cookies, storage, permissions. `been`: addresses.

    `own` is a tab that stays, and `devtools` speak to it.
    """

    context: BrowserContext
    color_scheme: ColorScheme
    own: Page
    devtools: CDPSession
    been: set[str] = field(default_factory=set)

    async def forget(self) -> None:
        """Close the tabs; what the pages of this test stored goes, what is cached stays."""
        for page in self.context.pages:
            if page is not self.own:
                await page.close()
        addresses = [urlsplit(url) for url in self.been if url.startswith("http")]
        for origin in {f"{one.scheme}://{one.netloc}" for one in addresses}:
            told = {"origin": origin, "storageTypes": _STORED}
            await self.devtools.send("Storage.clearDataForOrigin", told)
        await self.context.clear_cookies()
        self.been.clear()


class Visitors:
    """Those who look at the pages, in one test after the other.

    Who comes again knows nothing of the last test, but has Streamlit's scripts in the cache:
    to fetch and to compile them takes 2 s of CPU.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: list[Visitor] = []

    async def come(self, color_scheme: ColorScheme) -> Visitor:
        """Somebody whom no test has now.

        Locale and time zone are fixed, and neither is the server's: a time that is shown in
        the wrong zone is seen.
        """
        for visitor in self._free:
            if visitor.color_scheme == color_scheme:
                self._free.remove(visitor)
                return visitor
        context = await self._browser.new_context(
            color_scheme=color_scheme,
            locale="en-GB",
            timezone_id="America/New_York",
            reduced_motion="reduce",
            permissions=["microphone", "clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(_TIMEOUT_MS)
        own = await context.new_page()
        return Visitor(context, color_scheme, own, await context.new_cdp_session(own))

    async def go(self, visitor: Visitor) -> None:
        """For the next test."""
        await visitor.forget()
        self._free.insert(0, visitor)


class Pages:
    """What the `open_page` fixture gives: call it for each tab, each a person of its own."""

    def __init__(self, visitors: Visitors, log: BrowserLog) -> None:
        self._visitors = visitors
        self._log = log
        self._here: list[Visitor] = []
        self._open: list[Page] = []

    async def __call__(
        self,
        url: str = "",
        *,
        color_scheme: ColorScheme = "light",
        width: int = 1440,
        height: int = 900,
    ) -> Page:
        """A tab with cookies and storage of its own, at `url` when one is given."""
        visitor = await self._visitors.come(color_scheme)
        self._here.append(visitor)
        page = await visitor.context.new_page()
        page.on("framenavigated", lambda frame: visitor.been.add(frame.url))
        await page.set_viewport_size({"width": width, "height": height})
        self._log.watch(page)
        self._open.append(page)
        if url:
            await page.goto(url)
        return page

    async def keep_evidence(self, name: str) -> str:
        """Save a screenshot of each tab and the console; gives the lines that name them."""
        folder = RESULTS / re.sub(r"[^\w.-]+", "-", name)[-120:].strip("-")
        folder.mkdir(parents=True, exist_ok=True)
        lines: list[str] = []
        for number, page in enumerate(self._open, 1):
            shot = folder / f"tab-{number}.png"
            if not page.is_closed():
                await page.screenshot(path=shot, timeout=_TIMEOUT_MS)
                lines.append(f"{page.url}: {shot}")
        console = folder / "console.txt"
        console.write_text("\n".join(self._log.messages) + "\n", encoding="utf-8")
        lines.append(f"console: {console}")
        return "\n".join([*lines, *(f"console error: {e}" for e in self._log.errors[:10])])

    async def close(self) -> None:
        for visitor in reversed(self._here):
            await self._visitors.go(visitor)
        self._here.clear()
        self._open.clear()
