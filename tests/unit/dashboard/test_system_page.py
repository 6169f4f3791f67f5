"""The System page and what it reads: figures, logs, settings, with a LiveKit that is away."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from services.health.log_view import LogLevel, Source, matching, parse
from services.health.system import rates_between, setting_rows, versions
from services.livekit.server_metrics import ServerMetrics, Traffic
from services.logs import Redact
from services.runtime import Runtime, close_runtime, get_runtime
from services.settings import Settings
from tests.support.waiting import wait_until

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECRET = "swordfish-swordfish-swordfish-12"
PAGE = Path(__file__).parents[3] / "pages" / "system.py"


# -- rates


def reading(**changes: object) -> ServerMetrics:
    first = ServerMetrics(
        at=NOW,
        node_id="ND_1",
        rooms=1,
        participants=2,
        tracks_published=2,
        tracks_subscribed=2,
        incoming=Traffic(packets=100, bytes=10_000),
        outgoing=Traffic(packets=100, bytes=10_000),
        forward_latency_ms=0.1,
        joins={},
        webhooks={"success": 3},
        api_calls=10,
        api_errors=0,
        cpu_seconds=1.0,
        memory_bytes=1,
        open_files=1,
        goroutines=1,
        started_at=NOW - timedelta(hours=1),
    )
    return replace(first, **changes)  # type: ignore[arg-type]  # each test names fields of it


def test_the_workers_lines_are_read_as_it_writes_them() -> None:
    lines = [
        "2026-11-25 03:59:14,502 INFO livekit.agents: shutting down worker",
        "Traceback (most recent call last):",
        '{"level":"info","ts":1795579154.9,"logger":"guard","msg":"server process ended"}',
    ]
    first, second, third = parse(Source.WORKER, lines, Redact())
    assert (first.level, first.logger, first.message) == (
        LogLevel.INFO,
        "livekit.agents",
        "shutting down worker",
    )
    assert second.level is LogLevel.PLAIN
    assert (third.logger, third.message) == ("guard", "server process ended")


def test_rates_are_the_growth_between_two_readings() -> None:
    later = reading(
        at=NOW + timedelta(seconds=2),
        incoming=Traffic(packets=196, bytes=30_000, lost=4),
        cpu_seconds=1.5,
        api_calls=20,
    )
    rates = rates_between(reading(), later)
    assert rates is not None
    assert (rates.bytes_in, rates.bytes_out, rates.packets_in) == (10_000, 0, 48)
    assert rates.loss_in_percent == pytest.approx(4)
    assert rates.cpu_percent == pytest.approx(25)
    assert rates.calls == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"at": NOW},
        {"at": NOW + timedelta(minutes=1)},
        {"at": NOW + timedelta(seconds=2), "started_at": NOW},
        {"at": NOW + timedelta(seconds=2), "node_id": "ND_2"},
    ],
    ids=["the same moment", "a gap", "a restart", "another server"],
)
def test_no_rate_is_made_up_across(changes: dict[str, object]) -> None:
    assert rates_between(reading(), reading(**changes)) is None


# -- logs

OURS = json.dumps(
    {
        "at": "2026-11-24T12:00:00Z",
        "level": "warning",
        "logger": "services.rooms.watcher",
        "message": "LiveKit cannot be asked",
        "error": "a b",
    }
)
THEIRS = (
    '{"level":"info","ts":1795521600.5,"logger":"livekit","msg":"worker registered","n":[1, 2]}'
)


def test_both_logs_become_lines_of_one_shape() -> None:
    (ours,) = parse(Source.SWITCHBOARD, [OURS, ""], Redact())
    (theirs,) = parse(Source.LIVEKIT, [THEIRS], Redact())
    assert (ours.at, ours.level, ours.logger) == (NOW, LogLevel.WARNING, "services.rooms.watcher")
    assert ours.fields == 'error="a b"'
    assert (theirs.level, theirs.message, theirs.fields) == (
        LogLevel.INFO,
        "worker registered",
        "n=[1,2]",
    )


@pytest.mark.parametrize("line", ["panic: oh no", "{", "[1]", '{"at": 3}', "null"])
def test_a_line_that_is_not_understood_is_shown_as_it_is(line: str) -> None:
    for source in Source:
        (entry,) = parse(source, [line], Redact())
        assert (entry.message, entry.level) == (line, LogLevel.PLAIN)


def test_tokens_and_secrets_are_blanked_out() -> None:
    line = json.dumps({"level": "info", "msg": f"with {SECRET}", "token": "eyJhbGciOi.eyJzdWIi.x"})
    (entry,) = parse(Source.LIVEKIT, [line], Redact([SECRET]))
    assert entry.message == "with [secret]"
    assert entry.fields == "token=[token]"


def test_lines_are_found_by_level_and_words_in_any_case() -> None:
    entries = parse(Source.LIVEKIT, [THEIRS, '{"level":"error","msg":"It broke"}', "x"], Redact())
    assert [e.message for e in matching(entries, at_least=LogLevel.WARNING)] == ["It broke", "x"]
    assert [e.message for e in matching(entries, words="WORKER livekit")] == ["worker registered"]
    assert matching(entries, words="worker broke") == ()


# -- settings and versions


def test_every_setting_is_listed_and_no_secret_is_told() -> None:
    settings = Settings(
        livekit_api_secret=SecretStr(SECRET),
        database_url=SecretStr("postgresql://nate:hunter2@db/x"),
        livekit_url="wss://nate:hunter2@rtc.example",
        switchboard_allowed_hosts=("a", "b"),
    )
    rows = {row.name: row for row in setting_rows(settings)}
    assert len(rows) == len(Settings.model_fields)
    assert (rows["LIVEKIT_API_SECRET"].value, rows["LIVEKIT_API_SECRET"].default) == (
        "set",
        "not set",
    )
    assert rows["DATABASE_URL"].changed
    assert rows["SWITCHBOARD_ALLOWED_HOSTS"].value == "a, b"
    assert not rows["SWITCHBOARD_EVENT_RETENTION_DAYS"].changed
    assert SECRET not in repr(rows)
    assert "hunter2" not in repr(rows)


def test_versions_name_what_this_runs_on() -> None:
    found = versions()
    assert found["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["streamlit"][0].isdigit()


# -- the page


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """Nobody listens at that LiveKit."""
    settings = Settings(
        livekit_url="ws://127.0.0.1:9",
        livekit_api_key="APIkey",
        livekit_api_secret=SecretStr(SECRET),
        switchboard_data_dir=tmp_path / "data",
        switchboard_livekit_timeout_s=1,
    )
    close_runtime()
    found = get_runtime(lambda: Runtime(settings))
    wait_until(lambda: found.rooms.snapshot.error is not None, within_s=10)
    yield found
    close_runtime()


def opened(tab: str) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=15)
    app.query_params["tab"] = tab
    app.run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    drawn = [*app.markdown, *app.caption, *app.error, *app.warning, *app.code]
    return "\n".join(str(element.value) for element in drawn)


def cells(app: AppTest) -> str:
    return "\n".join(table.value.to_string() for table in [*app.table, *app.dataframe])


def test_status_is_drawn_though_livekit_is_away(runtime: Runtime) -> None:
    app = opened("status")
    cards = {metric.label: metric.value for metric in app.metric}
    assert cards["LiveKit"] == "Unavailable"
    assert cards["Database"].endswith("ms")
    assert "SQLite" in cells(app)
    assert "not told by an outside server" in cells(app)


def test_only_the_open_tab_is_drawn(runtime: Runtime) -> None:
    assert not opened("settings").metric
    assert opened("an unknown one").metric  # the first tab


def test_an_outside_server_can_not_be_restarted_from_here(runtime: Runtime) -> None:
    app = opened("livekit")
    assert "Outside server" in texts(app)
    assert "tells nobody which workers it has" in texts(app)
    assert "metrics is not set" in texts(app)
    assert "Restart" not in [button.label for button in app.button]


def test_the_doctor_says_that_livekit_is_away(runtime: Runtime) -> None:
    app = opened("doctor")
    app.button(key="system.doctor.run").click().run()
    assert not app.exception
    assert [error.value.startswith("Cannot reach LiveKit") for error in app.error] == [True]
    system = runtime.system
    report = system.doctor.last
    assert report is not None
    assert report.complete
    assert "livekit_answers" in {finding.code for finding in report.findings}


def test_logs_show_lines_and_say_when_none_is_found(runtime: Runtime) -> None:
    runtime.log_path.write_text(OURS + "\n")
    app = opened("logs")
    assert "LiveKit cannot be asked" in texts(app)
    app.text_input(key="system.log.words").input("nothing of the kind").run()
    assert "No line holds these words" in texts(app)
    app.segmented_control(key="system.log.source").set_value(Source.LIVEKIT).run()
    assert "Switchboard cannot see this log." in texts(app)


def test_settings_hold_no_secret(runtime: Runtime) -> None:
    app = opened("settings")
    assert "LIVEKIT_API_SECRET" in cells(app)
    assert SECRET not in cells(app) + texts(app)
    app.toggle(key="system.settings.only").set_value(True).run()
    assert "SWITCHBOARD_EVENT_RETENTION_DAYS" not in cells(app)


def test_all_viewers_share_one_reading(runtime: Runtime) -> None:
    system = runtime.system
    assert runtime.call(system.read) is runtime.call(system.read)
