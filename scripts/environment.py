"""The virtual environment in `.venv`: `python -m scripts.environment run|dev`.

Made when it is missing, mended when its Python is gone, and installed into only when the
requirements have changed. Several `make` at once wait for each other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FILES: Final = {"run": "requirements.txt", "dev": "requirements-dev.txt"}
SUPPORTED: Final = ((3, 11), (3, 14))
_SCRIPTS: Final = "Scripts" if os.name == "nt" else "bin"


def main(kind: str) -> None:
    """Make `.venv` fit for `kind`; says what it does when it takes time."""
    folder = ROOT / ".venv"
    with _alone(ROOT / ".venv.lock"):
        if not _usable(folder):
            _create(folder)
        wanted = _digest(folder, kind)
        stamp = folder / f".installed-{kind}"
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
            return
        _install(folder, kind)
        stamp.write_text(wanted, encoding="utf-8")
        if kind == "dev":  # it holds everything of "run", in the same versions
            covered = folder / ".installed-run"
            covered.write_text(_digest(folder, "run"), encoding="utf-8")


def python_in(folder: Path) -> Path:
    """The Python of the virtual environment in `folder`."""
    return folder / _SCRIPTS / ("python.exe" if os.name == "nt" else "python")


def _usable(folder: Path) -> bool:
    """Whether its Python still runs and is of a version that we support."""
    low, high = SUPPORTED
    check = f"import pip, sys; sys.exit(not {low} <= sys.version_info[:2] < {high})"
    try:
        done = subprocess.run([python_in(folder), "-c", check], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _create(folder: Path) -> None:
    if folder.exists():
        if folder.is_symlink() or not (folder / "pyvenv.cfg").is_file():
            sys.exit(f"{folder} is not a virtual environment. Move it away, then try again.")
        print("The Python of .venv is gone or of another version: making .venv anew.", flush=True)
        shutil.rmtree(folder)
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Making .venv with Python {version} …", flush=True)
    venv.create(folder, with_pip=True)


def _install(folder: Path, kind: str) -> None:
    for stamp in folder.glob(".installed-*"):  # a half-done installation counts for nothing
        stamp.unlink()
    name = FILES[kind]
    count = sum("==" in line for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    print(f"Installing {count} packages from {name}; the first time takes a minute …", flush=True)
    began = time.monotonic()
    command = [str(python_in(folder)), "-m", "pip", "install", "--require-hashes", "-r", name]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    done = subprocess.run([*command, *quiet], cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit("The packages could not be installed; pip says above why. Then try again.")
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)


def _digest(folder: Path, kind: str) -> str:
    """What was installed where: another file, folder or Python means installing again."""
    version = subprocess.run(
        [python_in(folder), "-c", "import sys; print(sys.version, sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    )
    content = (ROOT / FILES[kind]).read_bytes()
    return hashlib.sha256(version.stdout.encode() + content).hexdigest()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One at a time; the lock ends with the process."""
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main(sys.argv[1])
