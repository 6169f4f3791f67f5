"""A dashboard and its own livekit-server, wired to each other as in production."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.livekit.target import LiveKitTarget
from tests.support.dashboard import Dashboard
from tests.support.livekit_server import LiveKitServer
from tests.support.ports import free_port


class ControlRoom:
    """Both processes. Each can be killed and started again by itself."""

    def __init__(
        self,
        binary: Path,
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        port = free_port()
        webhooks = f"http://127.0.0.1:{port}/api/livekit/webhook"
        self.livekit = LiveKitServer(binary, folder / "livekit", webhook_urls=[webhooks])
        self.dashboard = Dashboard(
            folder / "dashboard",
            env={**self.livekit.env, **(env or {})},
            port=port,
            secrets=(self.livekit.api_secret,),
            options=options,
        )

    @property
    def url(self) -> str:
        """Where the dashboard is."""
        return self.dashboard.url

    @property
    def target(self) -> LiveKitTarget:
        """The livekit-server, for `join_room`."""
        return self.livekit.target

    def start(self) -> None:
        """Start both, or what of them does not run; returns when both answer."""
        if not self.livekit.process.alive:
            self.livekit.start()
        if not self.dashboard.process.alive:
            self.dashboard.start()

    def worker(self) -> dict[str, Any]:
        """What the dashboard's own worker tells of itself.

        Raises:
            OSError: it is not there, or not yet.
        """
        told = json.loads((self.dashboard.data_dir / "worker" / "told.json").read_text())
        with urllib.request.urlopen(f"http://127.0.0.1:{told['port']}/status", timeout=30) as reply:
            found: dict[str, Any] = json.load(reply)
        return found

    def takes_jobs(self) -> bool:
        """Whether every agent of the worker is registered."""
        return all(agent["worker_id"] for agent in self.worker()["agents"])

    def stop(self) -> None:
        """Stop both; the dashboard's log must hold no token and no secret."""
        try:
            self.dashboard.stop()
        finally:
            self.livekit.stop()
