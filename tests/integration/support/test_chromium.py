"""Finding a Chromium: one that does not draw is passed over, and what was tried is told."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import chromium
from tests.support.chromium import NoChromiumError

DRAWS = "echo '<html><body><p>it draws</p></body></html>'"
STUB = "echo 'requires the snap to be installed' >&2; exit 1"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """A machine without any Chromium; the fixture puts programs on its PATH."""
    monkeypatch.setattr(chromium, "_CHOICE", tmp_path / "chromium-path")
    monkeypatch.setattr(chromium, "_PLACES", ())
    monkeypatch.setattr(chromium, "_by_playwright", lambda: "Playwright could not (no network).")
    monkeypatch.setattr(chromium, "_by_system", lambda: "No package manager.")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)

    def put(name: str, script: str) -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return put


def test_one_on_path_that_draws_is_taken_and_remembered(
    machine: Callable[[str, str], Path],
) -> None:
    path = machine("chromium", DRAWS)
    assert chromium.find() is None
    assert chromium.prepare() == path
    assert chromium.find() == path


def test_a_stub_that_draws_nothing_is_passed_over(machine: Callable[[str, str], Path]) -> None:
    machine("chromium-browser", STUB)
    chrome = machine("google-chrome", DRAWS)
    assert chromium.prepare() == chrome


def test_one_that_was_named_comes_first(
    machine: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("chromium", DRAWS)
    mine = machine("mine", DRAWS)
    monkeypatch.setenv("CHROMIUM_PATH", str(mine))
    assert chromium.prepare() == mine


def test_one_that_was_remembered_and_is_gone_is_looked_for_again(
    machine: Callable[[str, str], Path],
) -> None:
    machine("chromium", DRAWS)
    chromium.prepare().unlink()
    other = machine("google-chrome", DRAWS)
    assert chromium.find() is None
    assert chromium.prepare() == other


def test_where_there_is_none_playwright_installs_it(
    machine: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = machine("from-playwright", DRAWS)
    monkeypatch.setattr(chromium, "_by_playwright", lambda: installed)
    assert chromium.prepare() == installed


def test_where_playwrights_does_not_draw_the_system_installs_it(
    machine: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = machine("from-playwright", "echo 'libnss3.so: cannot open' >&2; exit 127")
    installed = machine("from-system", DRAWS)
    monkeypatch.setattr(chromium, "_by_playwright", lambda: broken)
    monkeypatch.setattr(chromium, "_by_system", lambda: installed)
    assert chromium.prepare() == installed


def test_where_none_can_be_had_all_that_was_tried_is_told(
    machine: Callable[[str, str], Path],
) -> None:
    machine("chromium-browser", STUB)
    with pytest.raises(NoChromiumError) as failure:
        chromium.prepare()
    said = str(failure.value)
    assert "set CHROMIUM_PATH to its file" in said
    assert "requires the snap to be installed" in said
    assert "Playwright could not (no network). No package manager." in said
