"""What compose.yaml and the Dockerfile start, outside of a container: their commands, their settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.compose_env import write
from tests.support.dashboard import ROOT, Dashboard
from tests.support.livekit_server import LiveKitServer
from tests.support.ports import free_port
from tests.support.processes import Child
from tests.support.waiting import wait_until

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def stage(name: str) -> str:
    """The part of the Dockerfile that makes one image."""
    return re.split(rf"^FROM .* AS {name}$", DOCKERFILE, flags=re.M)[1].partition("\nFROM ")[0]


def command_of(instruction: str, name: str = "dashboard") -> list[str]:
    """The CMD of a stage, or that of its HEALTHCHECK, as it stands in brackets."""
    pattern = rf"^{instruction}(?:[^\n]*\\\n)?\s*(?:CMD )?(\[.*\])$"
    words: list[str] = json.loads(re.findall(pattern, stage(name), re.M)[-1])
    return words


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """`switchboard`, written as the Dockerfile does it, for the Python of the tests."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "bin" / "python").chmod(0o755)
    done = stage("dashboard")
    assert "RUN python -m scripts.environment launcher /opt/venv\n" in done
    command = [sys.executable, "-m", "scripts.environment", "launcher", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder / "bin" / "switchboard"


def compose(values: dict[str, str]) -> dict[str, Any]:
    """compose.yaml with its variables put in, as Compose does it."""

    def value(found: re.Match[str]) -> str:
        name, _, usual = found[1].partition(":")
        return values.get(name, usual.removeprefix("-"))

    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{([^}]+)\}", value, text))
    return loaded


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """What `python -m scripts.compose_env` writes."""
    path = write(tmp_path)
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_secrets_are_written_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    first = write(tmp_path)
    assert first.stat().st_mode & 0o777 == 0o600
    values = dict(line.split("=", 1) for line in first.read_text().splitlines())
    assert len(values["LIVEKIT_API_SECRET"]) >= 32
    with pytest.raises(FileExistsError):
        write(tmp_path)


def test_every_service_waits_for_what_it_needs_and_none_is_root(secrets: dict[str, str]) -> None:
    services = compose(secrets)["services"]
    assert set(services) == {"livekit", "redis", "postgres", "dashboard", "worker"}
    for name in ("dashboard", "worker"):
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["read_only"] is True
        assert services[name]["build"]["target"] == name
        assert re.search(r"^USER 10001$", stage(name), re.M)
    assert "requirements-core.txt" in stage("core")
    assert "COPY --from=core /opt/venv" in stage("dashboard")
    assert "COPY --from=full /opt/venv" in stage("worker")
    assert services["dashboard"]["environment"]["SWITCHBOARD_AUTH_MODE"] == "password"
    assert services["dashboard"]["ports"] == ["127.0.0.1:8501:8501"]


def test_livekit_takes_the_configuration(
    secrets: dict[str, str], livekit_server: LiveKitServer
) -> None:
    """The server itself reads it: without Redis, which is not at hand, on ports that are free."""
    from tests.support.livekit_server import livekit_binary

    environment = compose(secrets)["services"]["livekit"]["environment"]
    config = yaml.safe_load(environment["LIVEKIT_CONFIG"])
    assert config["keys"] == {secrets["LIVEKIT_API_KEY"]: secrets["LIVEKIT_API_SECRET"]}
    assert config.pop("redis") == {"address": "redis:6379"}
    config["port"] = free_port()
    config["rtc"] |= {"tcp_port": free_port(), "udp_port": free_port()}
    server = Child(
        "livekit-server of compose.yaml",
        [str(livekit_binary()), "--bind", "127.0.0.1", "--node-ip", "127.0.0.1"],
        log=livekit_server.process.log.with_name("compose.log"),
        env={**os.environ, "LIVEKIT_CONFIG": yaml.safe_dump(config)},
    )
    try:
        server.start()
        server.wait_ready(
            lambda: server.listens_on(config["port"]), within_s=20, ignoring=(OSError,)
        )
    finally:
        server.stop()


@pytest.fixture
def dashboard(
    secrets: dict[str, str],
    livekit_server: LiveKitServer,
    postgres_url: str,
    tmp_path: Path,
    launcher: Path,
) -> Iterator[Dashboard]:
    """The dashboard as compose.yaml and the Dockerfile start it, with servers of this machine."""
    given = compose(secrets)["services"]["dashboard"]["environment"]
    image = dict(re.findall(r"((?:SWITCHBOARD|STREAMLIT)_\w+)=(\S+)", DOCKERFILE))
    ours = {**livekit_server.env, "DATABASE_URL": postgres_url}
    env = {**image, **given, **ours, "STREAMLIT_SERVER_ADDRESS": "127.0.0.1"}
    del env["SWITCHBOARD_DATA_DIR"], env["SWITCHBOARD_CACHE_DIR"]
    running = Dashboard(tmp_path / "data", env=env, secrets=(livekit_server.api_secret,))
    words = command_of("CMD")
    assert words == ["switchboard", "run"]
    running.process.command = [str(launcher), *words[1:], "--port", str(running.port)]
    running.start()
    yield running
    running.stop()


def test_the_dashboard_comes_up_and_its_health_command_says_so(dashboard: Dashboard) -> None:
    words = command_of("HEALTHCHECK")
    assert words[0] == "python"
    code = words[2].replace("8501", str(dashboard.port))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    dashboard.kill()
    gone = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert gone.returncode != 0


def test_the_worker_comes_up_and_its_health_command_says_so(
    secrets: dict[str, str], livekit_server: LiveKitServer, tmp_path: Path, launcher: Path
) -> None:
    service = compose(secrets)["services"]["worker"]
    port = str(free_port())
    words = [port if word == "8081" else word for word in command_of("CMD", "worker")]
    assert words[0] == "switchboard"
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD")},
        **service["environment"],
        **livekit_server.env,
        "SWITCHBOARD_DATA_DIR": str(tmp_path / "worker"),
        "SWITCHBOARD_WORKER_IDLE_PROCESSES": "0",
        "SWITCHBOARD_URL": "http://127.0.0.1:9",
    }
    del env["DATABASE_URL"]
    worker = Child("the worker", [launcher, *words[1:]], log=tmp_path / "worker.log", env=env)
    test = service["healthcheck"]["test"]
    assert test[:2] == ["CMD", "python"]
    health = [sys.executable, test[2], test[3].replace("8081", port)]

    def well() -> bool:
        return subprocess.run(health, check=False, capture_output=True).returncode == 0

    assert not well()
    try:
        worker.start()
        wait_until(well, within_s=60)
    finally:
        worker.stop()
