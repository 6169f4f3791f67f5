"""What only the integration tests need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.api_server import Wired
from tests.support.livekit_server import LiveKitServer, livekit_binary
from tests.support.ports import free_port


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
def any_store_url(request: pytest.FixtureRequest) -> str:
    """For code that speaks no SQL of its own: SQLite, and PostgreSQL in the full tier."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[Wired]:
    """A livekit-server of the test's own, whose webhooks go to the API that the test opens."""
    with _wired(tmp_path) as wired:
        yield wired


@pytest.fixture(scope="module")
def wired_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wired]:
    """The same for all tests of a module that leave it as it is. Use room names of your own."""
    with _wired(tmp_path_factory.mktemp("wired")) as wired:
        yield wired


@contextmanager
def _wired(folder: Path) -> Iterator[Wired]:
    port = free_port()
    webhooks = f"http://127.0.0.1:{port}/api/livekit/webhook"
    livekit = LiveKitServer(livekit_binary(), folder / "livekit", webhook_urls=[webhooks])
    try:
        livekit.start()
        yield Wired(livekit, port, folder / "data")
    finally:
        livekit.stop()
