"""What the program imports is what pyproject.toml names, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
OURS: Final = ("pages", "dashboard", "api", "agents", "services", "switchboard_recorder")
ENTRIES: Final = ("streamlit_app.py", "scripts/run.py")
NOT_IMPORTED: Final = {
    "httptools": "uvicorn's parser of HTTP, taken where it is there",
    "aiosqlite": "SQLAlchemy's driver for SQLite",
    "asyncpg": "SQLAlchemy's driver for PostgreSQL",
    "psycopg": "the PostgreSQL driver of LangGraph's checkpointer",
}


def imported_names(path: Path) -> Iterator[str]:
    """The top-level name of every module that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def named() -> set[str]:
    """The distributions of the group `app`, in their normal form."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return {normal(re.split(r"[^\w.-]", requirement)[0]) for requirement in groups["app"]}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def used() -> dict[str, set[str]]:
    """For every import of others' code: the distributions that may be meant."""
    by_package = packages_distributions()
    files = [ROOT / entry for entry in ENTRIES]
    files += [file for package in OURS for file in (ROOT / package).rglob("*.py")]
    names = {name for file in files for name in imported_names(file)}
    others = names - set(OURS) - {"__future__"} - set(sys.stdlib_module_names)
    return {name: {normal(d) for d in by_package.get(name, [])} for name in others}


def test_every_import_is_of_a_direct_dependency() -> None:
    missing = {name: dists for name, dists in used().items() if not dists & named()}
    assert not missing, "add to the group `app` in pyproject.toml, then `make lock`"


def test_every_direct_dependency_is_imported() -> None:
    needed = {dist for dists in used().values() for dist in dists} | set(NOT_IMPORTED)
    assert named() - needed == set(), "remove from the group `app`, then `make lock`"
