"""What only the voice tests need: callers who speak, and a dashboard with a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.processes.worker import WorkerPhase
from tests.conftest import StartLiveKit
from tests.support.api_server import ApiServer, Wired
from tests.support.ports import free_port
from tests.support.speaking import SpeakIn
from tests.support.waiting import eventually


@pytest.fixture
def speak_in(tmp_path: Path) -> Iterator[SpeakIn]:
    """Call it for each caller who really speaks."""
    callers = SpeakIn.open(tmp_path)
    yield callers
    callers.close()


@pytest.fixture
def wired(start_livekit: StartLiveKit, tmp_path: Path) -> Wired:
    """A livekit-server whose webhooks go to the API that the test opens."""
    port = free_port()
    webhooks = f"http://127.0.0.1:{port}/api/livekit/webhook"
    return Wired(start_livekit(webhook_urls=(webhooks,)), port, tmp_path / "data")


@pytest.fixture
async def control(wired: Wired) -> AsyncIterator[ApiServer]:
    """A dashboard whose worker has registered."""
    async with wired.api(switchboard_worker="on") as server:
        worker = server.runtime.worker
        assert worker is not None
        await eventually(lambda: worker.state.phase is WorkerPhase.READY, within_s=90)
        yield server
