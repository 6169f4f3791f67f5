"""The test bed: real servers, real participants, a real browser. `tests/support` has the parts."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.support.browser import BrowserLog, Pages, Visitors, open_browser
from tests.support.control_room import ControlRoom
from tests.support.dashboard import Dashboard
from tests.support.databases import open_stores_from_template
from tests.support.livekit_server import LiveKitServer, livekit_binary
from tests.support.participants import ParticipantHost, People
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.secrets import assert_no_secrets_logged
from tests.support.waiting import wait_until
from tests.support.webhook_inbox import WebhookInbox, open_webhook_inbox

pytest_plugins = ["pytester", "tests.support.categories", "tests.support.second_try"]


for chatty in ("aiosqlite", "asyncio", "filelock", "uvicorn.error"):  # every statement, every frame
    logging.getLogger(chatty).setLevel(logging.INFO)

_WORKER_S: Final = 120.0  # to load its models, on a busy machine
_FAILED: Final = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for the fixtures that are torn down after it.

    What passed keeps no logs: pytest-xdist would send them all between processes. Half a character
    in the logs of what failed could not be sent at all.
    """
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode())
        for name, text in report.sections
        if not report.passed
    ]
    return report


@pytest.fixture(autouse=True)
def _no_token_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test does: no token may reach a log, at any level."""
    yield
    for phase in ("setup", "call", "teardown"):
        assert_no_secrets_logged(caplog.get_records(phase))


@pytest.fixture(scope="session", autouse=True)
def _packages_are_scanned_once() -> Iterator[None]:
    """Streamlit 1.67 reads every installed package's metadata in each AppTest run: 100 ms."""
    if "streamlit.testing.v1" not in sys.modules:  # collection has imported what is needed
        yield
        return
    from streamlit.components.v2 import manifest_scanner

    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: list(found))
        yield


# -- databases


@pytest.fixture(scope="session", autouse=True)
def _stores_begin_migrated() -> Iterator[None]:
    """`tests/integration/store/test_migrations.py` migrates for real."""
    with pytest.MonkeyPatch.context() as patch:
        open_stores_from_template(patch)
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One real PostgreSQL for all tests that leave it running."""
    server = PostgresServer()
    try:
        server.create()
        yield server
    finally:
        server.close()


@pytest.fixture
def restartable_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that the test may `kill()` and `start()` again on the same port."""
    server = PostgresServer()
    try:
        server.create()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh PostgreSQL database, migrated and without rows, as `DATABASE_URL` takes it."""
    name = postgres_server.new_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that is not there yet, as `DATABASE_URL` takes it."""
    return f"sqlite:///{tmp_path / 'switchboard.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Both databases, one after the other: the test runs twice."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


# -- livekit-server


@pytest.fixture(scope="session")
def webhook_inbox() -> Iterator[WebhookInbox]:
    """Collects the webhooks of `livekit_server`; look for your own room's."""
    with open_webhook_inbox(free_port()) as inbox:
        yield inbox


@pytest.fixture(scope="session")
def livekit_server(
    tmp_path_factory: pytest.TempPathFactory, webhook_inbox: WebhookInbox
) -> Iterator[LiveKitServer]:
    """One real livekit-server for all tests that leave it running. Use room names of your own."""
    folder = tmp_path_factory.mktemp("livekit")
    server = LiveKitServer(livekit_binary(), folder, webhook_urls=[webhook_inbox.url])
    try:
        server.start()
        yield server
    finally:
        server.stop()


class StartLiveKit(Protocol):
    """Starts one more livekit-server, which ends with the test."""

    def __call__(
        self, *, webhook_urls: tuple[str, ...] = (), media: bool = True
    ) -> LiveKitServer: ...


@pytest.fixture
def start_livekit(tmp_path: Path) -> Iterator[StartLiveKit]:
    """For tests that need a livekit-server of their own, 90 ms each."""
    started: list[LiveKitServer] = []

    def start(*, webhook_urls: tuple[str, ...] = (), media: bool = True) -> LiveKitServer:
        folder = tmp_path / f"livekit-{len(started)}"
        server = LiveKitServer(livekit_binary(), folder, webhook_urls=webhook_urls, media=media)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def restartable_livekit(start_livekit: StartLiveKit) -> LiveKitServer:
    """A livekit-server that the test may `kill()` and `start()` again on the same port."""
    return start_livekit()


# -- people


@pytest.fixture(scope="session")
def participant_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParticipantHost]:
    """The process that holds the participants of `join_room`."""
    host = ParticipantHost(tmp_path_factory.mktemp("participants") / "host.log")
    yield host
    host.close()


@pytest.fixture
def join_room(participant_host: ParticipantHost) -> Iterator[People]:
    """Call it for each real participant; who is still there at the end of the test leaves."""
    people = People(participant_host)
    yield people
    people.all_leave()


@pytest.fixture
def mortal_people(tmp_path: Path) -> Iterator[People]:
    """Like `join_room`, in a process of their own: `kill()` ends them without a good-bye."""
    host = ParticipantHost(tmp_path / "mortal-people.log")
    yield People(host)
    host.close()


# -- dashboards


class StartDashboard(Protocol):
    """Starts one more dashboard, which ends with the test."""

    def __call__(
        self,
        *,
        livekit: LiveKitServer | None = None,
        env: dict[str, str] | None = None,
        port: int | None = None,
    ) -> Dashboard: ...


@pytest.fixture
def start_dashboard(tmp_path: Path) -> Iterator[StartDashboard]:
    """For tests that need a dashboard of their own.

    With `livekit` it uses that server. Without, it embeds its own: `env` can say otherwise.
    """
    started: list[Dashboard] = []

    def start(
        *,
        livekit: LiveKitServer | None = None,
        env: dict[str, str] | None = None,
        port: int | None = None,
    ) -> Dashboard:
        own = livekit.env if livekit else {"SWITCHBOARD_LIVEKIT_SERVER_BIN": str(livekit_binary())}
        dashboard = Dashboard(
            tmp_path / f"dashboard-{len(started)}",
            env={**own, **(env or {})},
            port=port,
            secrets=(livekit.api_secret,) if livekit else (),
        )
        started.append(dashboard)
        dashboard.start()
        return dashboard

    yield start
    for dashboard in started:
        dashboard.stop()


@pytest.fixture(scope="session")
def control_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    """One dashboard with its livekit-server for all tests that leave both running."""
    with _control_room(tmp_path_factory.mktemp("control-room")) as room:
        yield room


@pytest.fixture
def mortal_control_room(tmp_path: Path) -> Iterator[ControlRoom]:
    """The same for one test, which may kill either and start it again."""
    with _control_room(tmp_path) as room:
        yield room


@pytest.fixture(scope="session")
def _breakable_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    with _control_room(tmp_path_factory.mktemp("breakable-room")) as room:
        yield room


@pytest.fixture
def breakable_room(_breakable_room: ControlRoom) -> ControlRoom:
    """One for all tests that kill livekit-server or the dashboard and start it again."""
    _breakable_room.start()
    return _breakable_room


@pytest.fixture(scope="session")
def staffed_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    """One with a worker, its models loaded, for all tests that leave it running."""
    folder = tmp_path_factory.mktemp("staffed-room")
    with _control_room(folder, SWITCHBOARD_WORKER="on") as room:
        wait_until(room.takes_jobs, within_s=_WORKER_S, ignoring=(OSError, ValueError))
        yield room


@contextmanager
def _control_room(folder: Path, **env: str) -> Iterator[ControlRoom]:
    room = ControlRoom(livekit_binary(), folder, env=env)
    try:
        room.start()
        yield room
    finally:
        room.stop()


# -- browser; its tests and these fixtures share the session's event loop


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for the whole run."""
    async with open_browser() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def visitors(browser: Browser) -> Visitors:
    """Who looks at the pages; they come again in the next test, and know nothing of the last."""
    return Visitors(browser)


@pytest.fixture
def browser_log() -> BrowserLog:
    """What the test's pages said on the console, and whom they asked."""
    return BrowserLog()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(
    visitors: Visitors, browser_log: BrowserLog, request: pytest.FixtureRequest
) -> AsyncIterator[Pages]:
    """Call it for each tab. After a failure a screenshot of each is kept and named."""
    pages = Pages(visitors, browser_log)
    yield pages
    if request.node.stash.get(_FAILED, False):
        evidence = await pages.keep_evidence(request.node.nodeid)
        request.node.add_report_section("teardown", "browser", evidence)
    await pages.close()
    browser_log.assert_nothing_from_outside()


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_page: Pages) -> Page:
    """One empty tab, light, 1440 x 900."""
    return await open_page()
