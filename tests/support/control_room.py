"""A dashboard and its own livekit-server, wired to each other as in production."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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
        """Start both; returns when both answer."""
        self.livekit.start()
        self.dashboard.start()

    def stop(self) -> None:
        """Stop both; the dashboard's log must hold no token and no secret."""
        try:
            self.dashboard.stop()
        finally:
            self.livekit.stop()
