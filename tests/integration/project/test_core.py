"""requirements-core.txt: a dashboard with a LiveKit server and a worker that run elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from scripts.environment import python_in, uv_environment, write_launcher
from services.settings import PROJECT_DIR, Settings
from tests.support.agent_worker import AgentWorker
from tests.support.dashboard import Dashboard
from tests.support.livekit_server import LiveKitServer

pytestmark = pytest.mark.timeout(400)

_SCRIPTS: Final = PROJECT_DIR / "agents" / "pm_agent" / "scripts"
_IMPORT_ALL: Final = """
import importlib, pkgutil
for name in ("switchboard_recorder", "services", "api", "dashboard", "agents.pm_agent"):
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, name + "."):
        if found.name not in {"dashboard.main", "services.store.migrations.env"}:  # these run
            importlib.import_module(found.name)
"""


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with requirements-core.txt and nothing else."""
    folder = tmp_path_factory.mktemp("core") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    config = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--require-hashes"]
    command += ["--python", str(python_in(folder)), "-r", "requirements-core.txt"]
    env = uv_environment(config.stdout, os.environ)
    subprocess.run(command, cwd=PROJECT_DIR, env=env, check=True)
    write_launcher(folder)
    return folder


@pytest.fixture
def dashboard(core: Path, livekit_server: LiveKitServer, tmp_path: Path) -> Iterator[Dashboard]:
    env = {**livekit_server.env, "SWITCHBOARD_WORKER": "off"}
    running = Dashboard(tmp_path / "data", env=env, secrets=(livekit_server.api_secret,))
    running.process.command[0] = str(python_in(core))
    running.start()
    yield running
    running.stop()


def switchboard(core: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    unset = {name.upper(): "" for name in Settings.model_fields}  # "" wins over .env
    return subprocess.run(
        [core / "bin" / "switchboard", *arguments],
        env={**os.environ, **unset},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_of_it_needs_livekit_agents_or_speech(core: Path) -> None:
    done = subprocess.run(
        [python_in(core), "-c", _IMPORT_ALL], cwd=PROJECT_DIR, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_worker_there_says_what_to_install(core: Path) -> None:
    done = switchboard(core, "worker")
    assert done.returncode == 2
    assert done.stderr.startswith("The worker needs LiveKit Agents, which is not installed here.")
    assert "pip install -r requirements.txt" in done.stderr


@pytest.mark.full
def test_sessions_are_held_with_an_agent_of_a_worker_elsewhere(
    core: Path, dashboard: Dashboard, livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    worker = AgentWorker(tmp_path / "worker", livekit_server, dashboard.url)
    worker.start()
    try:
        texts = [str(_SCRIPTS / f"{name}.yaml") for name in ("stand-up", "declined", "no-blockers")]
        done = switchboard(core, "test", *texts, "--url", dashboard.url)
        aloud = switchboard(core, "test", str(_SCRIPTS / "aloud.yaml"), "--url", dashboard.url)
    finally:
        worker.stop()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert aloud.returncode != 0
    assert "A script that speaks needs LiveKit Agents" in f"{aloud.stdout}\n{aloud.stderr}"
