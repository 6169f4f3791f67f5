"""What only the integration tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import StartLiveKit
from tests.support.api_server import Wired
from tests.support.ports import free_port


@pytest.fixture
def wired(start_livekit: StartLiveKit, tmp_path: Path) -> Wired:
    """A livekit-server of the test's own, whose webhooks go to the API that the test opens."""
    port = free_port()
    webhooks = f"http://127.0.0.1:{port}/api/livekit/webhook"
    return Wired(start_livekit(webhook_urls=(webhooks,)), port, tmp_path / "data")
