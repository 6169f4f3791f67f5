"""The compiled requirements: `python -m scripts.lock [--upgrade | --check]`.

Compiling keeps the versions that are there unless `--upgrade` asks for new ones. Each file says
by two digests what it was compiled from and what it holds, so that `--check` needs no network
and notices both an edited pyproject.toml and an edited file.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
FILES: Final = {
    "app": "requirements.txt",
    "core": "requirements-core.txt",
    "setup": "requirements-setup.txt",
    "uv": "requirements-uv.txt",
    "dev": "requirements-dev.txt",
    "node": "requirements-node.txt",
}
_PARTS: Final = (("core", "app"), ("app", "dev"), ("setup", "dev"), ("uv", "dev"))
"""Groups whose versions are those of a larger one."""
_SOURCE: Final = "# compiled from: sha256:"
_CONTENT: Final = "# content: sha256:"
_OPTIONS: Final = (
    "--quiet",
    "--universal",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--custom-compile-command=make lock",
)


def compile_all(root: Path, *, upgrade: bool) -> None:
    """Compile each group; the others are held to the versions of the app."""
    project = _project(root)
    lowest = re.search(r">=\s*([\d.]+)", project["project"]["requires-python"])
    if lowest is None:
        sys.exit("requires-python in pyproject.toml names no lowest version.")
    for group, name in FILES.items():
        command = [sys.executable, "-m", "uv", "pip", "compile", *_OPTIONS]
        command += ["--python-version", lowest[1], "--group", f"pyproject.toml:{group}"]
        command += ["--output-file", name]
        if group != "app":
            command += ["--constraints", FILES["app"]]
        if upgrade:
            command += ["--upgrade"]
        print(f"Compiling {name} …", flush=True)
        if subprocess.run(command, cwd=root, check=False, stdout=subprocess.DEVNULL).returncode:
            sys.exit(f"{name} could not be compiled; uv says above why.")
        path = root / name
        body = _body(path.read_text(encoding="utf-8"))
        path.write_text(_header(project, group, body) + body, encoding="utf-8")


def problems(root: Path) -> list[str]:
    """What does not agree, a sentence each; empty when all does."""
    project = _project(root)
    found: list[str] = []
    pins: dict[str, set[str]] = {}
    for group, name in FILES.items():
        path = root / name
        if not path.is_file():
            found.append(f"{name} is missing. Run `make lock`.")
            continue
        text = path.read_text(encoding="utf-8")
        body = _body(text)
        head = text[: len(text) - len(body)]
        pins[group] = set(re.findall(r"^([\w.-]+==\S+)", body, re.MULTILINE))
        if head.splitlines()[:1] != [_SOURCE + _source_digest(project, group)]:
            found.append(f"pyproject.toml has changed since {name} was compiled. Run `make lock`.")
        elif head != _header(project, group, body):
            found.append(f"{name} was edited by hand. Run `make lock`.")
        found += [f"{name} names an address: {line}" for line in _addresses(body)]
        found += [f"{name}: {pin} has no hash." for pin in _without_hash(body)]
    for group, whole in _PARTS:
        if {group, whole} <= set(pins) and (differs := pins[group] - pins[whole]):
            names = ", ".join(sorted(differs))
            found.append(f"{FILES[whole]} differs from {FILES[group]} in {names}.")
    return found


def _project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def _body(text: str) -> str:
    """The file without our two lines at its top."""
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith((_SOURCE, _CONTENT)):
        lines.pop(0)
    return "".join(lines)


def _header(project: dict[str, Any], group: str, body: str) -> str:
    content = hashlib.sha256(body.encode()).hexdigest()
    return f"{_SOURCE}{_source_digest(project, group)}\n{_CONTENT}{content}\n"


def _source_digest(project: dict[str, Any], group: str) -> str:
    groups: dict[str, list[Any]] = project["dependency-groups"]

    def requirements(name: str) -> list[str]:
        flat: list[str] = []
        for item in groups[name]:
            flat += requirements(item["include-group"]) if isinstance(item, dict) else [item]
        return flat

    source = [project["project"]["requires-python"], sorted(set(requirements(group)))]
    return hashlib.sha256(json.dumps(source).encode()).hexdigest()


def _addresses(body: str) -> list[str]:
    lines = (line.strip() for line in body.splitlines())
    return [
        line for line in lines if "://" in line or line.startswith(("-i ", "--index", "--find"))
    ]


def _without_hash(body: str) -> list[str]:
    blocks = re.split(r"^(?=[\w.-]+==)", body, flags=re.MULTILINE)[1:]
    return [block.split()[0] for block in blocks if "--hash=sha256:" not in block]


if __name__ == "__main__":
    if "--check" in sys.argv:
        if said := problems(ROOT):
            sys.exit("\n".join(said))
        print("The compiled requirements agree with pyproject.toml.")
    else:
        compile_all(ROOT, upgrade="--upgrade" in sys.argv)
