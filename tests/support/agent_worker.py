"""A worker in a process of its own, as on another machine: `switchboard worker`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from services.settings import Settings
from tests.support.livekit_server import LiveKitServer
from tests.support.waiting import wait_until

_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_START_S: Final = 60.0


class AgentWorker:
    """`start` returns when every agent is registered; its log explains a failure."""

    def __init__(
        self, folder: Path, livekit: LiveKitServer, dashboard_url: str, **env: str
    ) -> None:
        self._folder = folder
        self._told = folder / "told.json"
        unset = {name.upper(): "" for name in Settings.model_fields}  # "" wins over .env
        self._env = {
            **os.environ,
            **unset,
            **livekit.env,
            "SWITCHBOARD_URL": dashboard_url,
            "SWITCHBOARD_DATA_DIR": str(folder / "data"),
            "SWITCHBOARD_CACHE_DIR": os.environ.get("SWITCHBOARD_CACHE_DIR", ""),
            "PYTHONUNBUFFERED": "1",
            **env,
        }
        self.log = folder / "worker.log"
        self.spool = folder / "data" / "spool"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it takes jobs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._told.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scripts.cli", "worker", "--tell", str(self._told)],
                cwd=_ROOT,
                env=self._env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._registered, within_s=_START_S)

    def status(self) -> dict[str, Any]:
        """What it tells of itself."""
        told = json.loads(self._told.read_text(encoding="utf-8"))
        with urllib.request.urlopen(f"http://127.0.0.1:{told['port']}/status", timeout=5) as reply:
            found: dict[str, Any] = json.load(reply)
        return found

    def _registered(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"the worker has ended; {self.log.read_text()[-2000:]}")
        try:
            return all(agent["worker_id"] for agent in self.status()["agents"])
        except (OSError, ValueError, urllib.error.URLError):
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.process is not None:
            self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(5)
