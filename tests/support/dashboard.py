"""The whole program as a user starts it: `streamlit run streamlit_app.py`, in its own process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.settings import Settings
from tests.support.databases import copy_sqlite_template
from tests.support.http import http_status
from tests.support.ports import free_port, reserve_embedded_ports
from tests.support.processes import Child
from tests.support.secrets import assert_no_secrets

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_START_S: Final = 120.0  # a busy machine takes its time


class Dashboard:
    """One dashboard with its own port, data folder and environment.

    Stopped or killed it can be started again on the same port and data. Nothing of the
    developer's own settings reaches it: neither the environment's nor those in `.env`. `options`
    are further ones of `streamlit run`. Its database begins migrated, unless `empty`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        secrets: tuple[str, ...] = (),
        options: tuple[str, ...] = (),
        empty: bool = False,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        self._secrets = secrets
        data_dir.mkdir(parents=True, exist_ok=True)
        if not empty:
            copy_sqlite_template(data_dir / "switchboard.db")
            reserve_embedded_ports(data_dir)
        given = ["--server.port", str(self.port), "--server.headless", "true", *options]
        self.process = Child(
            "the dashboard",
            [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", *given],
            log=data_dir.with_name(f"{data_dir.name}.log"),
            env=_environment(data_dir, env or {}),
            cwd=ROOT,
        )

    def start(self) -> None:
        """Start it, or start it again; returns when its own process answers `/api/health`.

        Raises:
            StartError: it ended early or was not ready in time; with the end of its log.
        """
        self.process.start()
        self.process.wait_ready(self._healthy, within_s=_START_S, ignoring=(OSError,))

    def kill(self) -> None:
        """Kill -9: nothing of ours gets to clean up."""
        self.process.kill()

    def stop(self) -> None:
        """Ask it to end and wait for that; its log must hold no token and no secret."""
        self.process.stop()
        assert_no_secrets(self.process.log_text(), *self._secrets, where="the dashboard's log")

    def _healthy(self) -> bool:
        healthy = http_status(f"{self.url}/api/health") == 200
        return healthy and self.process.listens_on(self.port)


def _environment(data_dir: Path, given: Mapping[str, str]) -> dict[str, str]:
    ours = ("SWITCHBOARD_", "LIVEKIT_", "STREAMLIT_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    unset = {name.upper(): "" for name in Settings.model_fields}  # "" wins over .env
    cache = os.environ.get("SWITCHBOARD_CACHE_DIR", "")
    return {
        **env,
        **unset,
        "SWITCHBOARD_CACHE_DIR": cache,
        "SWITCHBOARD_DATA_DIR": str(data_dir),
        "SWITCHBOARD_WORKER": "off",  # a test that wants agents says so
        "PYTHONUNBUFFERED": "1",
        **given,
    }
