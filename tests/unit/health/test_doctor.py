"""The doctor's statuses, on files and figures of each test's own."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import URL

from services.errors import LiveKitUnavailableError
from services.health import doctor
from services.health.checks import dashboard, database, livekit, machine, parts, shell
from services.health.findings import Area, Check, Finding, Report, Status
from services.livekit.embedded import EmbeddedState, Phase
from services.livekit.server_log import RegisteredWorker
from services.livekit.target import LiveKitTarget
from services.loop.lag import LoopLag
from services.rooms.views import RoomsSnapshot
from services.rooms.watcher import WebhookStats
from services.settings import Settings
from services.store.engine import migrate

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECRET = "secret-of-at-least-32-characters"
CHECK = Check(code="test", area=Area.MACHINE, name="A check", impact="It is a test.")

unix_only = pytest.mark.skipif(sys.platform == "win32", reason="file rights are different there")


def statuses(findings: tuple[Finding, ...]) -> dict[str, Status]:
    return {finding.code: finding.status for finding in findings}


def target(public_url: str = "ws://127.0.0.1:7880", *, embedded: bool = False) -> LiveKitTarget:
    return LiveKitTarget(
        url="http://127.0.0.1:7880",
        public_url=public_url,
        api_key="APIkey",
        api_secret=SecretStr(SECRET),
        embedded=embedded,
    )


# -- the report


def report(*findings: Finding) -> Report:
    return Report(at=NOW, took_s=0.1, complete=True, findings=findings)


def test_the_worst_finding_counts_and_what_is_not_known_is_not_bad() -> None:
    fine, unknown = CHECK.ok("Well."), CHECK.unknown("Nobody tells.")
    assert report(fine, unknown).worst is Status.OK
    assert report(fine, CHECK.warning("Old.", "Renew it.")).worst is Status.WARNING
    assert report(CHECK.problem("Gone.", "Get it."), fine).worst is Status.PROBLEM


def test_the_text_says_what_was_found_why_it_matters_and_what_to_do() -> None:
    bad = CHECK.problem("It is gone.", "Get it back:", snippet="make it\nso")
    text = report(CHECK.ok("All well."), bad).text()
    assert "1 problem, 1 ok" in text
    assert "[problem ]  A check: It is gone." in text
    assert "Impact: It is a test." in text
    assert "Fix: Get it back:" in text
    assert "                so\n" in text


def test_programs_get_the_same_as_json() -> None:
    body = json.loads(doctor.to_json(report(CHECK.problem("It is gone.", "Get it back."))))
    assert body["worst"] == "problem"
    assert body["findings"][0]["code"] == "test"
    assert body["findings"][0]["area"] == "This machine"


async def test_a_check_that_fails_itself_does_not_hide_the_others() -> None:
    async def fails() -> tuple[Finding, ...]:
        raise ZeroDivisionError

    async def refuses() -> tuple[Finding, ...]:
        raise LiveKitUnavailableError("LiveKit is away.", hint="Start it.")

    async def works() -> tuple[Finding, ...]:
        return (CHECK.ok("Well."),)

    groups: list[Awaitable[tuple[Finding, ...]]] = [fails(), refuses(), works()]
    own, away, well = await doctor._together(*groups)
    assert own.status is Status.UNKNOWN
    assert "ZeroDivisionError" in own.message
    assert (away.status, away.fix) == (Status.PROBLEM, "Start it.")
    assert well.status is Status.OK


# -- this machine


def test_a_data_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    assert machine.data_folder(tmp_path).status is Status.OK
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert machine.data_folder(tmp_path / "data").status is Status.UNKNOWN
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert machine.data_folder(tmp_path / "data").status is Status.PROBLEM


@unix_only
def test_a_key_file_that_others_may_read_is_a_problem_with_its_remedy(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.touch(mode=0o600)
    assert machine.private_files([keys]).status is Status.OK
    keys.chmod(0o644)
    found = machine.private_files([keys])
    assert found.status is Status.PROBLEM
    assert "0644" in found.message
    assert found.snippet == f"chmod 600 {keys}"


def test_a_clock_in_the_past_is_a_problem(tmp_path: Path) -> None:
    assert machine.clock(tmp_path, now=NOW).status is Status.OK
    past = datetime(2001, 1, 1, tzinfo=UTC)
    assert machine.clock(tmp_path, now=past).status is Status.PROBLEM


def test_a_clock_behind_its_own_files_is_a_warning(tmp_path: Path) -> None:
    later = (NOW + timedelta(hours=2)).timestamp()
    (tmp_path / "switchboard.db").touch()
    os.utime(tmp_path / "switchboard.db", (later, later))
    assert machine.clock(tmp_path, now=NOW).status is Status.WARNING


def test_a_python_that_is_not_tested_is_a_warning() -> None:
    assert machine.python((3, 12)).status is Status.OK
    assert machine.python((3, 9)).status is Status.WARNING
    assert machine.python((3, 15)).status is Status.WARNING


def test_settings_changed_since_the_start_are_told(tmp_path: Path) -> None:
    env_file, settings = tmp_path / ".env", Settings(switchboard_event_retention_days=3)
    assert machine.settings_finding(settings, env_file=env_file).message.startswith("1 set")
    env_file.touch()
    before = datetime.now(UTC) - timedelta(minutes=1)
    after = datetime.now(UTC) + timedelta(minutes=1)
    changed = machine.settings_finding(settings, started_at=before, env_file=env_file)
    same = machine.settings_finding(settings, started_at=after, env_file=env_file)
    assert (changed.status, same.status) == (Status.WARNING, Status.OK)


# -- agents


def langgraph_json(folder: Path, graphs: dict[str, str]) -> Path:
    file = folder / "langgraph.json"
    file.write_text(json.dumps({"dependencies": ["."], "graphs": graphs}))
    return file


def test_a_graph_whose_file_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "there.py").touch()
    file = langgraph_json(tmp_path, {"there": "./there.py:graph", "gone": "./gone.py:graph"})
    found = machine.agents(file)
    assert found.status is Status.PROBLEM
    assert "gone (./gone.py)" in found.message
    assert "there (" not in found.message


def test_an_agent_without_a_worker_is_named() -> None:
    worker = RegisteredWorker(worker_id="AW_1", agent_name="pm-agent", job_type="room")
    assert parts.workers(["pm-agent"], (worker,), None).status is Status.OK
    assert parts.workers(["pm-agent"], None, None).status is Status.UNKNOWN
    assert parts.workers(["pm-agent"], (), None).status is Status.WARNING
    found = parts.workers(["pm-agent", "echo"], (worker,), None)
    assert found.status is Status.WARNING
    assert "for echo." in found.message


# -- database


async def test_a_database_that_is_well_is_left_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "switchboard.db"
    await migrate(URL.create("sqlite+aiosqlite", database=str(file)))
    findings = await database.examine(Settings(switchboard_data_dir=tmp_path))
    assert set(statuses(findings).values()) == {Status.OK}
    assert set(statuses(findings)) == {
        "database_answers",
        "database_schema",
        "database_writable",
        "database_wal",
    }
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT count(*) FROM samples").fetchone() == (0,)
    db.close()


async def test_no_database_is_made_by_looking_for_one(tmp_path: Path) -> None:
    (found,) = await database.examine(Settings(switchboard_data_dir=tmp_path))
    assert found.status is Status.UNKNOWN
    assert list(tmp_path.iterdir()) == []


async def test_a_database_of_a_newer_version_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "switchboard.db"
    await migrate(URL.create("sqlite+aiosqlite", database=str(file)))
    with sqlite3.connect(file) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.close()
    found = statuses(await database.examine(Settings(switchboard_data_dir=tmp_path)))
    assert found["database_schema"] is Status.PROBLEM


async def test_a_database_that_another_holds_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "switchboard.db"
    await migrate(URL.create("sqlite+aiosqlite", database=str(file)))
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    settings = Settings(switchboard_data_dir=tmp_path, switchboard_store_timeout_s=60)
    try:
        findings = await database.examine(settings, lock_wait_s=0.05)
    finally:
        db.execute("ROLLBACK")
        db.close()
    assert statuses(findings)["database_answers"] is Status.OK
    assert statuses(findings)["database_writable"] is Status.PROBLEM
    assert "locked" in findings[-1].message


async def test_a_file_that_is_no_database_is_a_problem_and_not_named_as_secret(
    tmp_path: Path,
) -> None:
    (tmp_path / "switchboard.db").write_text("not a database " * 100)
    found = await database.examine(Settings(switchboard_data_dir=tmp_path))
    assert found[-1].status is Status.PROBLEM
    assert "not a database" in found[-1].message


async def test_a_password_in_the_database_address_is_not_told() -> None:
    url = SecretStr("postgresql://nate:hunter2-hunter2@127.0.0.1:9/none")
    settings = Settings(database_url=url, switchboard_store_timeout_s=2)
    (found,) = await database.examine(settings)
    assert found.status is Status.PROBLEM
    assert "127.0.0.1:9" in found.fix
    assert "hunter2" not in repr(found)


# -- LiveKit


@pytest.mark.parametrize(
    ("apart_s", "status"),
    [(0, Status.OK), (9, Status.OK), (-30, Status.WARNING), (90, Status.PROBLEM)],
)
def test_clocks_may_be_a_little_apart(apart_s: int, status: Status) -> None:
    there = NOW + timedelta(seconds=apart_s)
    assert livekit.compare_clocks(here=NOW, there=there).status is status


@pytest.mark.parametrize(
    ("public_url", "dashboard_url", "publicly", "status"),
    [
        ("ws://127.0.0.1:7880", "http://localhost:8501", False, None),
        ("ws://127.0.0.1:7880", None, False, None),
        ("ws://127.0.0.1:7880", "https://ops.example", False, Status.PROBLEM),
        ("ws://localhost:7880", "http://localhost:8501", True, Status.PROBLEM),
        ("ws://rtc.example", "https://ops.example", False, Status.PROBLEM),
        ("ws://rtc.example", "http://localhost:8501", False, Status.WARNING),
        ("wss://rtc.example", "https://ops.example", True, None),
    ],
)
def test_the_address_for_browsers_must_fit_the_dashboards_own(
    public_url: str, dashboard_url: str | None, publicly: bool, status: Status | None
) -> None:
    reach = livekit.Reach(dashboard_url=dashboard_url, publicly=publicly)
    found = livekit.judge_public_url(target(public_url), reach)
    assert (found.status if found is not None else None) == status


def test_a_short_secret_is_a_warning_that_does_not_tell_it() -> None:
    short = LiveKitTarget(
        url="http://x", public_url="ws://x", api_key="devkey", api_secret=SecretStr("swordfish")
    )
    found = livekit.secret(short)
    assert found.status is Status.WARNING
    assert "swordfish" not in repr(found)
    assert livekit.secret(target()).status is Status.OK


@pytest.mark.parametrize(
    ("phase", "status"),
    [
        (Phase.BUILDING, Status.STARTING),
        (Phase.READY, Status.OK),
        (Phase.RESTARTING, Status.WARNING),
        (Phase.FAILED, Status.PROBLEM),
    ],
)
def test_the_embedded_servers_phase_is_its_verdict(phase: Phase, status: Status) -> None:
    state = EmbeddedState(phase=phase, message="As it is.", since=NOW)
    answered = RoomsSnapshot(taken_at=NOW)
    assert parts.livekit(answered, state, now=NOW).status is status


# -- webhooks, loop, ports


@pytest.mark.parametrize(
    ("seen", "rooms_open", "status"),
    [
        (WebhookStats(), False, Status.UNKNOWN),
        (WebhookStats(), True, Status.WARNING),
        (WebhookStats(refused=2), True, Status.PROBLEM),
        (WebhookStats(received=5), True, Status.OK),
        (WebhookStats(received=5, refused=1), True, Status.WARNING),
        (WebhookStats(received=5, dropped=1), True, Status.WARNING),
        (WebhookStats(received=5, missed=9, missed_lately=3), True, Status.OK),
        (WebhookStats(received=5, missed=9, missed_lately=4), True, Status.WARNING),
    ],
)
def test_webhooks_are_judged_by_what_came_and_what_did_not(
    seen: WebhookStats, rooms_open: bool, status: Status
) -> None:
    assert parts.webhooks(seen, rooms_open=rooms_open, snippet="").status is status


def test_the_webhook_remedy_names_key_and_address() -> None:
    snippet = parts.webhook_snippet("APIkey", "http://localhost:8501")
    assert "api_key: APIkey" in snippet
    assert "- http://localhost:8501/api/livekit/webhook" in snippet


@pytest.mark.parametrize(
    ("median_ms", "worst_ms", "status"),
    [(0.2, 30, Status.OK), (0.2, 300, Status.WARNING), (40, 300, Status.PROBLEM)],
)
def test_a_late_loop_is_told(median_ms: float, worst_ms: float, status: Status) -> None:
    seen = LoopLag(median_ms=median_ms, worst_ms=worst_ms, over_limit=0)
    assert dashboard.lag(seen).status is status


@pytest.mark.parametrize(
    ("ours", "servers", "publicly", "login", "status"),
    [
        (["127.0.0.1:8501", "::1:8501"], ["127.0.0.1:7880"], False, "none", Status.OK),
        (["0.0.0.0:8501"], [], False, "none", Status.PROBLEM),
        (["0.0.0.0:8501"], [], True, "none", Status.WARNING),
        ([":::8501"], [], False, "none", Status.PROBLEM),
        (["0.0.0.0:8501"], [], False, "password", Status.OK),
        ([":::8501"], [], True, "oidc", Status.OK),
        (["127.0.0.1:8501"], ["0.0.0.0:7881"], True, "password", Status.PROBLEM),
    ],
)
def test_listening_beyond_this_machine_is_told(
    ours: list[str], servers: list[str], publicly: bool, login: str, status: Status
) -> None:
    access = dashboard.Access(login=login, publicly=publicly)
    assert dashboard.judge_ports(ours, servers, access).status is status


# -- the shell


def test_no_dashboard_is_found_where_none_holds_the_folder(tmp_path: Path) -> None:
    assert shell.find_running(tmp_path) is None
    (tmp_path / "switchboard.lock").touch()
    assert shell.find_running(tmp_path) is None


def test_what_a_dashboard_says_of_itself_is_repeated() -> None:
    ready = {"status": "ready", "livekit": "ok", "store": "ok"}
    assert shell.readiness(ready).status is Status.OK
    found = shell.readiness({**ready, "livekit": "LiveKit did not answer."})
    assert (found.status, found.message) == (Status.PROBLEM, "LiveKit did not answer.")
    assert shell.readiness(["something else"]).status is Status.PROBLEM


def test_the_workers_it_knows_of_are_judged() -> None:
    agents = [{"agent_id": "pm-agent", "graph": "./graph.py:graph"}]
    worker = {"agent_id": "pm-agent", "worker_id": "AW_1"}
    assert shell.workers({"agents": agents, "workers": [worker]}).status is Status.OK
    assert shell.workers({"agents": agents, "workers": []}).status is Status.WARNING
    assert shell.workers({"agents": agents, "workers": None}).status is Status.UNKNOWN
    assert shell.workers({"detail": "Not Found"}).status is Status.UNKNOWN


def test_its_figures_are_read_from_its_metrics_page() -> None:
    page = "# HELP x y\nswitchboard_loop_lag_median_ms 30.5\nswitchboard_loop_lag_worst_ms 1e+02\n"
    assert shell.lag(shell.parse_figures(page)).status is Status.PROBLEM
    assert shell.lag({}).status is Status.UNKNOWN


def test_a_wrong_setting_is_a_problem_and_the_exit_code_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATA_DIRR", "/nowhere")
    assert doctor.main(quick=True) == 1
    assert "SWITCHBOARD_DATA_DIRR is not a setting." in capsys.readouterr().out


def test_without_a_dashboard_it_starts_nothing_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    monkeypatch.setenv("SWITCHBOARD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SWITCHBOARD_CACHE_DIR", str(tmp_path))
    code = doctor.main(as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert code == (1 if found["worst"] == "problem" else 0)
    assert {"livekit_binary", "dashboard_running", "disk"} <= {
        finding["code"] for finding in found["findings"]
    }
    assert list(tmp_path.iterdir()) == []


# -- the same findings elsewhere


@pytest.mark.parametrize(("since_s", "status"), [(1, Status.STARTING), (60, Status.PROBLEM)])
def test_an_embedded_server_that_has_just_started_is_no_problem(
    since_s: float, status: Status
) -> None:
    state = EmbeddedState(
        phase=Phase.READY, message="Running.", since=NOW - timedelta(seconds=since_s)
    )
    error = LiveKitUnavailableError("LiveKit could not be reached.")
    unanswered = RoomsSnapshot(error=error, error_since=NOW - timedelta(minutes=2))
    assert parts.livekit(unanswered, state, now=NOW).status is status
    assert parts.livekit(unanswered, None, now=NOW).status is Status.PROBLEM
