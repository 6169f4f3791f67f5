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
ENTRIES: Final = ("streamlit_app.py", "scripts/cli.py", "scripts/run.py")
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


def named(group: str = "app") -> set[str]:
    """The distributions of a group, in their normal form."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    found: set[str] = set()
    for item in groups[group]:
        if isinstance(item, dict):
            found |= named(item["include-group"])
        else:
            found.add(normal(re.split(r"[^\w.-]", item)[0]))
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def used(*, by: tuple[str, ...] = OURS) -> dict[str, set[str]]:
    """For every import of others' code: the distributions that may be meant."""
    by_package = packages_distributions()
    files = [ROOT / entry for entry in ENTRIES]
    files += [file for package in by for file in (ROOT / package).rglob("*.py")]
    names = {name for file in files for name in imported_names(file)}
    others = names - set(OURS) - {"scripts"} - {"__future__"} - set(sys.stdlib_module_names)
    return {name: {normal(d) for d in by_package.get(name, [])} for name in others}


def test_every_import_is_of_a_direct_dependency() -> None:
    missing = {name: dists for name, dists in used().items() if not dists & named()}
    assert not missing, "add to the group `app` in pyproject.toml, then `make lock`"


def test_every_direct_dependency_is_imported() -> None:
    needed = {dist for dists in used().values() for dist in dists} | set(NOT_IMPORTED)
    assert named() - needed == set(), "remove from the group `app`, then `make lock`"


def test_only_agents_import_what_only_agents_need() -> None:
    """A dashboard runs on requirements-core.txt. LiveKit's namespace is a matter of its modules."""
    others = used(by=tuple(package for package in OURS if package != "agents"))
    of_agents = named("agents") - named("core")
    assert {
        name for name, dists in others.items() if name != "livekit" and dists & of_agents
    } == set()
    core = ("rtc", "api", "protocol", "local_inference")
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for package in ("pages", "dashboard", "api", "services", "switchboard_recorder")
        for file in (ROOT / package).rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if (match := re.match(r"(?:from|import) livekit\.(\w+)", line)) and match[1] not in core
    ]
    assert found == [], "import it inside a function, behind check_agents_installed"
