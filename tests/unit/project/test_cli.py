"""The command line: help, exit codes, completion."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scripts.cli import switchboard
from services.access.users import People
from services.settings import PROJECT_DIR, Settings

COMMANDS = ("doctor", "run", "test", "users", "version", "worker")


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of people, where no setting of the developer's own counts."""
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    file = tmp_path / "people.yaml"
    monkeypatch.setenv("SWITCHBOARD_USERS_FILE", str(file))
    return file


def call(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(switchboard, arguments, input=given)


def test_help_names_every_command_and_each_has_its_own() -> None:
    assert set(COMMANDS) <= set(call("--help").output.split())
    for command in COMMANDS:
        done = call(command, "-h")
        assert done.exit_code == 0
        assert f"Usage: switchboard {command}" in done.output


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "65536", "85.5", "8501; rm"])
def test_a_port_that_is_none_is_a_wrong_use(text: str) -> None:
    done = call("run", "--port", text)
    assert done.exit_code == 2
    assert "Invalid value for '--port'" in done.output


def test_a_command_that_is_none_is_a_wrong_use() -> None:
    assert call("dance").exit_code == 2


def test_the_version_is_that_of_pyproject() -> None:
    done = call("version")
    text = (PROJECT_DIR / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{done.output.split()[1]}"' in text


def test_users_are_added_changed_listed_and_removed(people: Path) -> None:
    assert call("users", "add", "nate", "viewer", given="a long password\n").exit_code == 0
    assert call("users", "add", "mia", "admin", "--no-password").exit_code == 0
    assert call("users", "add", "nate", "operator", given="another one here\n").exit_code == 0
    assert call("users", "list").output.splitlines() == [
        "operator  nate",
        "admin     mia  (no password)",
    ]
    assert call("users", "remove", "nate").exit_code == 0
    assert set(People(people).everyone()) == {"mia"}


def test_a_role_that_is_none_and_a_user_who_is_none_are_said(people: Path) -> None:
    done = call("users", "add", "nate", "king", "--no-password")
    assert done.exit_code == 2
    assert "viewer" in done.output
    gone = call("users", "remove", "nobody")
    assert gone.exit_code in {1, 2}
    assert "nobody" in gone.output
    assert not people.exists()


def test_scripts_that_fail_and_scripts_that_cannot_be_read_differ_by_their_exit_code(
    tmp_path: Path,
) -> None:
    file = tmp_path / "one.yaml"
    file.write_text("name: One\nlines:\n  - say: Hello.\n", encoding="utf-8")
    away = call("test", str(file), "--url", "http://127.0.0.1:9", "--quiet")
    assert away.exit_code == 1
    assert "The dashboard did not respond." in away.output
    missing = call("test", str(tmp_path / "none.yaml"))
    assert missing.exit_code == 2
    assert "Cannot read" in missing.output


def test_the_shell_completes_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_SWITCHBOARD_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "switchboard users ")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert call().output.split() == ["plain,add", "plain,list", "plain,remove"]
