"""The doctor at a real livekit-server, inside a dashboard and from the shell."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from services.clock import utc_now
from services.health.checks import dashboard, database, shell
from services.health.findings import Finding, Report, Status
from services.health.system import System
from services.ids import DOCTOR_PREFIX
from services.livekit import webhooks
from services.livekit.service import LiveKitService
from services.livekit.tokens import TokenMinter
from services.runtime import Runtime
from services.settings import Settings
from services.store.engine import database_url, migrate
from tests.conftest import StartDashboard
from tests.support.callers import person
from tests.support.control_room import ControlRoom
from tests.support.dashboard import ROOT
from tests.support.http import http_status
from tests.support.livekit_server import LiveKitServer, livekit_binary
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tests.support.webhook_inbox import Delivery, WebhookInbox


def settings_for(server: LiveKitServer, data_dir: Path, **changes: Any) -> Settings:
    known = {
        "livekit_url": server.url,
        "livekit_api_key": server.api_key,
        "livekit_api_secret": server.api_secret,
        "switchboard_livekit_metrics_url": server.target.metrics_url,
        "switchboard_data_dir": data_dir,
    }
    return Settings.model_validate(known | changes)


@pytest.fixture
def runtime(livekit_server: LiveKitServer, tmp_path: Path) -> Iterator[Runtime]:
    made = Runtime(
        settings_for(livekit_server, tmp_path), dashboard_url=f"http://localhost:{free_port()}"
    )
    made.start()
    yield made
    made.close()


def examine(runtime: Runtime, *, complete: bool) -> Report:
    doctor = system_in(runtime).doctor
    return runtime.call(lambda: doctor.examine(complete=complete, actor=person()), timeout_s=30)


def system_in(runtime: Runtime) -> System:
    return runtime.system


def statuses(report: Report) -> dict[str, Status]:
    return {finding.code: finding.status for finding in report.findings}


# -- inside a dashboard


def test_a_server_that_is_well_is_found_well(runtime: Runtime) -> None:
    found = statuses(examine(runtime, complete=False))
    livekit = {code: status for code, status in found.items() if code.startswith("livekit_")}
    assert set(livekit.values()) == {Status.OK}, livekit
    assert len(livekit) == 7
    assert found["webhook_round_trip"] is Status.UNKNOWN
    assert found["database_writable"] is found["database_wal"] is Status.OK
    assert "workers" in found


def test_a_round_trip_that_nobody_delivers_says_what_to_write(
    runtime: Runtime, livekit_server: LiveKitServer
) -> None:
    report = examine(runtime, complete=True)
    (found,) = [one for one in report.findings if one.code == "webhook_round_trip"]
    assert found.status is Status.PROBLEM
    assert livekit_server.api_key in found.snippet
    assert livekit_server.api_secret not in report.text()


async def test_a_round_trip_is_measured_and_leaves_no_room(
    runtime: Runtime, webhook_inbox: WebhookInbox
) -> None:
    async def run() -> Finding:
        trip = dashboard.RoundTrip(runtime.store.log, runtime.livekit)
        return await trip.run(snippet="")

    running = asyncio.create_task(runtime.acall(run, timeout_s=10))

    async def name_of_its_room() -> str:
        rooms = await runtime.acall(runtime.livekit.list_rooms)
        names = [room.name for room in rooms if room.name.startswith(DOCTOR_PREFIX)]
        return next((one for one in names if not webhook_inbox.find(one, "room_finished")), "")

    async def delivered(name: str, event: str) -> Delivery | None:
        return webhook_inbox.find(name, event)

    name = await eventually(name_of_its_room)
    delivery = await eventually(lambda: delivered(name, "room_started"))
    assert delivery is not None
    told = webhooks.verify(delivery.body, delivery.authorization, runtime.target)
    event = webhooks.to_event(told, utc_now())
    await runtime.acall(lambda: runtime.rooms.take_webhook(event))
    found = await running
    assert found.status is Status.OK
    assert await eventually(lambda: delivered(name, "room_finished"))


def test_a_wrong_secret_is_told_as_such(livekit_server: LiveKitServer, tmp_path: Path) -> None:
    wrong = SecretStr("not-the-secret-of-this-server-but-long")
    runtime = Runtime(settings_for(livekit_server, tmp_path, livekit_api_secret=wrong))
    runtime.start()
    try:
        found = statuses(examine(runtime, complete=False))
    finally:
        runtime.close()
    assert found["livekit_answers"] is Status.OK
    assert found["livekit_key"] is found["livekit_token"] is Status.PROBLEM


def test_the_embedded_server_is_examined_too(tmp_path: Path) -> None:
    settings = Settings(
        switchboard_data_dir=tmp_path, switchboard_livekit_server_bin=livekit_binary()
    )
    runtime = Runtime(settings, dashboard_url=f"http://localhost:{free_port()}")
    runtime.start()
    try:
        embedded = runtime.embedded
        assert embedded is not None
        runtime.call(lambda: embedded.wait_ready(20), timeout_s=25)
        found = statuses(examine(runtime, complete=False))
        view = runtime.call(runtime.system.read)
    finally:
        runtime.close()
    assert found["open_ports"] is found["private_files"] is Status.OK
    assert found["livekit_server"] in {Status.OK, Status.STARTING}  # its first poll may be to come
    assert found["workers"] is Status.STARTING  # its own worker
    assert view.server_version[0].isdigit()
    assert view.workers == ()


async def test_figures_are_read_once_for_all_viewers(runtime: Runtime) -> None:
    system = runtime.system
    first = await runtime.acall(system.metrics)
    assert first.metrics is not None
    assert first.rates == ()
    assert await runtime.acall(system.metrics) is first

    async def rates() -> bool:
        return bool((await runtime.acall(system.metrics)).rates)

    assert await eventually(rates)


@pytest.fixture
async def migrated(store_url: str, tmp_path: Path) -> Settings:
    settings = Settings(database_url=SecretStr(store_url), switchboard_data_dir=tmp_path)
    await migrate(database_url(settings))
    return settings


async def test_both_databases_are_found_well_and_left_as_they_were(migrated: Settings) -> None:
    first = await database.examine(migrated)
    again = await database.examine(migrated)
    assert {finding.status for finding in (*first, *again)} == {Status.OK}


# -- from the shell


def run_doctor(data_dir: Path, *options: str, **given: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and all output, with no settings but these."""
    ours = ("SWITCHBOARD_", "LIVEKIT_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {name.upper(): "" for name in Settings.model_fields}  # "" wins over .env
    env |= {"SWITCHBOARD_DATA_DIR": str(data_dir), **given}
    command = [sys.executable, "-m", "scripts.cli", "doctor", "--json", *options]
    done = subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stdout + done.stderr


def said(report: dict[str, Any]) -> dict[str, str]:
    return {finding["code"]: finding["status"] for finding in report["findings"]}


def test_beside_a_running_dashboard_it_asks_that_one(control_room: ControlRoom) -> None:
    code, report, output = run_doctor(
        control_room.dashboard.data_dir, "--deep", **control_room.livekit.env
    )
    found = said(report)
    assert code == 0, output
    assert found["dashboard_running"] == found["dashboard_ready"] == "ok"
    assert found["webhook_round_trip"] == "ok"
    assert found["graphs_compile"] == "ok"
    assert "database_writable" not in found  # the dashboard has it
    assert control_room.url in output
    assert control_room.livekit.api_secret not in output
    assert http_status(f"{control_room.url}/api/health") == 200


def test_a_dashboard_with_a_server_of_its_own_is_found_and_asked(
    start_dashboard: StartDashboard,
) -> None:
    started = start_dashboard()
    code, report, output = run_doctor(started.data_dir)
    assert code == 0, output
    assert said(report)["livekit_token"] == said(report)["open_ports"] == "ok"
    assert started.url in output
    assert said(report)["workers"] == "warning"
    assert said(report)["webhook_round_trip"] == "ok"


def test_with_a_login_it_says_what_it_needs_and_a_key_gives_it(
    livekit_server: LiveKitServer, start_dashboard: StartDashboard, tmp_path: Path
) -> None:
    users = tmp_path / "users.toml"
    users.touch(mode=0o600)
    started = start_dashboard(
        livekit=livekit_server,
        env={"SWITCHBOARD_AUTH_MODE": "password", "SWITCHBOARD_USERS_FILE": str(users)},
    )
    code, report, output = run_doctor(started.data_dir, "--quick", **livekit_server.env)
    assert code == 0, output
    assert said(report)["dashboard_running"] == "ok"
    assert said(report)["dashboard_ready"] == "unknown"
    assert "SWITCHBOARD_API_KEY" in output


def test_without_livekit_it_says_so_and_fails(
    restartable_livekit: LiveKitServer, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    code, _, output = run_doctor(data_dir, **restartable_livekit.env)
    assert code == 0, output
    restartable_livekit.kill()
    code, report, output = run_doctor(data_dir, **restartable_livekit.env)
    assert code == 1, output
    assert said(report)["livekit_answers"] == "problem"
    assert not data_dir.exists()


async def test_a_webhook_that_does_not_reach_the_dashboard_is_a_problem(
    control_room: ControlRoom, livekit_server: LiveKitServer
) -> None:
    target = livekit_server.target  # its webhooks go elsewhere
    service = LiveKitService(target, TokenMinter(target, utc_now))
    try:
        found = await shell.round_trip(service, control_room.url)
        rooms = await service.list_rooms()
    finally:
        await service.close()
    assert found.status is Status.PROBLEM
    assert not [room for room in rooms if room.name.startswith(DOCTOR_PREFIX)]


async def test_a_graph_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    def langgraph_json(**graphs: str) -> Path:
        file = tmp_path / "langgraph.json"
        file.write_text(json.dumps({"dependencies": ["."], "graphs": graphs}))
        return file

    (tmp_path / "good.py").write_text("class Graph:\n    ainvoke = None\ngraph = Graph()\n")
    (tmp_path / "bad.py").write_text("print('noise')\nimport no_such_package_of_ours\n")
    good = await shell.graphs_compile(langgraph_json(good="./good.py:graph"))
    assert good.status is Status.OK
    bad = await shell.graphs_compile(langgraph_json(good="./good.py:graph", bad="./bad.py:graph"))
    assert bad.status is Status.PROBLEM
    assert bad.message.startswith("bad: ModuleNotFoundError")
