"""A real livekit-server for tests: loopback only, free ports, keys of its own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from pydantic import SecretStr

from services.livekit.build import Progress, find, find_or_build
from services.livekit.target import LiveKitTarget
from services.settings import Settings
from tests.support.http import http_status
from tests.support.need import missing
from tests.support.ports import free_port
from tests.support.processes import Child


def binary_settings() -> Settings:
    """The two settings that say where a livekit-server is, from the environment."""
    names = ("SWITCHBOARD_LIVEKIT_SERVER_BIN", "SWITCHBOARD_CACHE_DIR")
    return Settings.model_validate({n.lower(): os.environ[n] for n in names if os.environ.get(n)})


@cache
def livekit_binary() -> Path:
    """The livekit-server that `python -m tests.support.prepare` found or built."""
    with ThreadPoolExecutor(1) as thread:  # callers may have an event loop running
        binary = thread.submit(asyncio.run, find(binary_settings())).result()
    if binary is None:
        missing("There is no livekit-server. Run `python -m tests.support.prepare` to build one.")
    return binary.path


async def prepare_binary() -> str:
    """Find or build a livekit-server; gives a sentence that says which.

    Raises:
        SwitchboardError: it could not be had; says why and what to do.
    """

    told = -1

    def show(progress: Progress) -> None:
        nonlocal told
        tenth = -1 if progress.fraction is None else int(progress.fraction * 10)
        if tenth != told or not progress.building:
            told = tenth
            print(f"  {progress.message}", flush=True)  # noqa: T201 - a command's output

    binary = await find_or_build(binary_settings(), show)
    return f"livekit-server {binary.version} ({binary.origin}): {binary.path}"


class LiveKitServer:
    """One livekit-server. Killed and started again it keeps its ports and keys, not its rooms.

    `media` False: it signals, and names no address at which sound could reach it.
    """

    def __init__(
        self, binary: Path, folder: Path, *, webhook_urls: Sequence[str] = (), media: bool = True
    ) -> None:
        self._media = media
        self.port = free_port()
        self.metrics_port = free_port()
        self.udp_port = free_port(socket.SOCK_DGRAM)
        self.api_key = f"API{secrets.token_hex(6)}"
        self.api_secret = secrets.token_hex(24)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "livekit.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps(self._config(webhook_urls)), encoding="utf-8")
        self.process = Child(
            "livekit-server", [binary, "--config", config], log=folder / "livekit-server.log"
        )

    def _config(self, webhook_urls: Sequence[str]) -> dict[str, object]:
        webhook = {"api_key": self.api_key, "urls": list(webhook_urls)}
        return {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "prometheus": {"port": self.metrics_port},
            "rtc": {
                "tcp_port": 0,  # it would listen on every interface
                "udp_port": self.udp_port,
                "node_ip": "127.0.0.1",
                "use_external_ip": False,
                "enable_loopback_candidate": self._media,
                "interfaces": {"includes": ["lo", "lo0"]},
                "ips": {"includes": ["127.0.0.0/8"]},
            },
            "keys": {self.api_key: self.api_secret},
            "room": {"empty_timeout": 60, "departure_timeout": 5},
            "logging": {"level": "info", "json": True},
            **({"webhook": webhook} if webhook_urls else {}),
        }

    @property
    def url(self) -> str:
        """For server calls."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """For participants."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def target(self) -> LiveKitTarget:
        """What `LiveKitService` and the token minter take."""
        return LiveKitTarget(
            url=self.url,
            public_url=self.ws_url,
            api_key=self.api_key,
            api_secret=SecretStr(self.api_secret),
            metrics_url=f"http://127.0.0.1:{self.metrics_port}/metrics",
        )

    @property
    def env(self) -> dict[str, str]:
        """The environment that makes a dashboard use this server."""
        return {
            "LIVEKIT_URL": self.ws_url,
            "LIVEKIT_API_KEY": self.api_key,
            "LIVEKIT_API_SECRET": self.api_secret,
            "SWITCHBOARD_LIVEKIT_METRICS_URL": f"http://127.0.0.1:{self.metrics_port}/metrics",
        }

    def start(self) -> None:
        """Start it, or start it again; returns when it answers."""
        self.process.start()
        self.process.wait_ready(self._answers, within_s=20, ignoring=(OSError,))

    def kill(self) -> None:
        """Kill -9: everybody is thrown out and no webhook says so."""
        self.process.kill()

    def stop(self) -> None:
        self.process.stop()

    def _answers(self) -> bool:
        return http_status(self.url) == 200 and self.process.listens_on(self.port)
