"""`pip install .` gives the recorder alone, and the documents tell what it is."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from switchboard_recorder.events import EventKind
from switchboard_recorder.protocol import _MESSAGES, Action
from tests.support.need import missing

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "switchboard_recorder"
GUIDE = (ROOT / "docs" / "recorder.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "docs" / "examples" / "foreign_agent"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of what git has of this repository, built as pip builds it."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if name.endswith((".py", ".toml", ".md", "LICENSE")) and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(made), "."]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    if built.returncode and "No matching distribution found for setuptools" in built.stderr:
        missing("pip cannot get setuptools from a package registry, so no wheel can be built.")
    assert built.returncode == 0, built.stderr[-2_000:]
    (found,) = made.glob("*.whl")
    return found


def test_the_wheel_holds_this_package_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"switchboard_recorder"}
    assert {f"switchboard_recorder/{path.name}" for path in PACKAGE.glob("*.py")} <= set(names)


def test_the_wheel_needs_two_light_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        told = Parser().parsestr(archive.read(name).decode())
    needs = {re.split(r"[^\w-]", need)[0] for need in told.get_all("Requires-Dist") or ()}
    assert needs == {"aiohttp", "pyjwt"}


def test_what_the_wheel_holds_can_be_imported_from_it(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = (
        "import switchboard_recorder as s, sys; print(s.__file__); s.record;"
        "bad = {'services', 'agents', 'livekit', 'langgraph', 'langchain_core', 'pydantic'};"
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    where, bad = done.stdout.splitlines()
    assert Path(where).is_relative_to(tmp_path)
    assert bad == "[]"


def test_it_imports_what_it_says_it_needs_and_langchain_only_where_it_is() -> None:
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert sorted(re.split(r"[^\w]", need)[0] for need in needs) == ["aiohttp", "pyjwt"]
    lazy = {"langchain_core", "langgraph"}
    allowed = {"aiohttp", "jwt", "switchboard_recorder", *sys.stdlib_module_names}
    for path in PACKAGE.glob("*.py"):
        tree = ast.parse(path.read_text())
        found = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert found <= allowed | (lazy if path.name == "callbacks.py" else set()), path.name


@pytest.mark.parametrize("name", [*EventKind, *_MESSAGES, *Action])
def test_the_guide_names_everything_that_is_sent(name: str) -> None:
    assert f"`{name}`" in GUIDE


def test_the_example_is_short_and_needs_one_line_of_us() -> None:
    source = (EXAMPLE / "agent.py").read_text()
    tree = ast.parse(source)
    ours = [line for line in source.splitlines() if "record(" in line]
    assert ours == ["    record(ctx, session)  # the one line"]
    code = [line for line in source.splitlines() if line.strip() and '"""' not in line]
    assert len(code) <= 32
    assert {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} >= {
        "livekit.plugins.langchain",
        "switchboard_recorder",
    }


def test_without_langchain_the_recorder_works_and_imports_none_of_it(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("langchain_core", "langgraph", "livekit"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Nothing())
from switchboard_recorder import Recorder
from switchboard_recorder.protocol import Hello
async def main():
    recorder = Recorder(Hello(stream_id="s", room_name="r"), url="http://127.0.0.1:9",
                        api_key="k", api_secret="s" * 40, spool_dir={str(tmp_path)!r})
    recorder.start()
    recorder.emit("step", number=1)
    await recorder.aclose()
asyncio.run(main())
print(sorted(name for name in sys.modules if name.startswith(("lang", "livekit"))))
"""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert "The recorder failed" not in done.stderr
    assert b'"step"' in next(tmp_path.rglob("*.jsonl")).read_bytes()
