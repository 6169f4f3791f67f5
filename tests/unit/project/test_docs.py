"""Every path, make target, setting and command that the documents name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from scripts import session_fields
from scripts.cli import switchboard
from services.settings import PROJECT_DIR, Settings

DOCUMENTS: Final = sorted(
    path
    for pattern in ("*.md", "docs/*.md", ".env.example")
    for path in PROJECT_DIR.glob(pattern)
    if path.name != "CHANGELOG.md"  # it tells of what was
)
_CODE: Final = sorted(
    path
    for folder in ("dashboard", "pages", "services", "api", "agents", "scripts")
    for path in (PROJECT_DIR / folder).rglob("*.py")
)
_TOP: Final = (
    "agents|api|bench|dashboard|docs|frontend|pages|scripts|services|switchboard_recorder|tests"
)
_PATH: Final = re.compile(rf"(?<![\w/.-])((?:{_TOP})/[\w./-]*\w)(?![\w*{{])")
_TARGET: Final = re.compile(r"`make ([a-z][a-z-]*)|^make ([a-z][a-z-]*)", re.MULTILINE)
_SETTING: Final = re.compile(r"\bSWITCHBOARD_[A-Z][A-Z_]*[A-Z]\b")
_EXAMPLES: Final = frozenset(  # files that the reader makes
    {"agents/weather/graph.py", "pages/NAME.py", "dashboard/SUBJECT"}
)
_NO_FIELD: Final = frozenset(
    {  # read by the recorder, scripts or job processes, not by Settings
        "SWITCHBOARD_API_KEY", "SWITCHBOARD_BIND", "SWITCHBOARD_SPOOL_DIR", "SWITCHBOARD_JOB_LABEL",
    }
)  # fmt: skip


def _named(pattern: re.Pattern[str], path: Path) -> Iterator[str]:
    for found in pattern.finditer(path.read_text(encoding="utf-8")):
        yield next(group for group in found.groups() or (found[0],) if group)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_in_a_document_exists(path: Path) -> None:
    missing = {name for name in _named(_PATH, path) if not (PROJECT_DIR / name).exists()}
    assert missing <= _EXAMPLES


def test_every_link_in_a_document_leads_somewhere() -> None:
    dead = [
        f"{path.name}: {target}"
        for path in DOCUMENTS
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert dead == []


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT_DIR / "Makefile").read_text(), re.MULTILINE))
    named = {
        (path.name, target)
        for path in (*DOCUMENTS, *_CODE)
        for target in _named(_TARGET, path)
        if target not in targets
    }
    assert not named


def test_every_setting_that_is_named_exists() -> None:
    fields = {name.upper() for name in Settings.model_fields} | _NO_FIELD
    unknown = {
        (path.name, name)
        for path in DOCUMENTS
        for name in _SETTING.findall(path.read_text(encoding="utf-8"))
        if name not in fields
    }
    assert not unknown


def test_every_command_that_is_named_exists() -> None:
    unknown = {
        (path.name, command)
        for path in (*DOCUMENTS, *_CODE)
        for command in re.findall(r"`switchboard ([a-z]+)", path.read_text(encoding="utf-8"))
        if command not in switchboard.commands
    }
    assert not unknown


def test_no_document_names_a_module_that_cannot_be_run() -> None:
    dead = set()
    for path in (*DOCUMENTS, *_CODE):
        for module in re.findall(r"python -m ([a-z_]+(?:\.[a-z_]+)*)", path.read_text("utf-8")):
            top = module.split(".")[0]
            file = PROJECT_DIR / Path(*module.split("."))
            if top in _TOP.split("|") and not (
                file.with_suffix(".py").is_file() or (file / "__main__.py").is_file()
            ):
                dead.add((path.name, module))
    assert not dead


def test_the_list_of_session_fields_is_that_of_the_catalogue() -> None:
    written = session_fields.PAGE.read_text(encoding="utf-8")
    assert written == session_fields.page(), "run: python -m scripts.session_fields"
