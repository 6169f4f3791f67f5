"""Chromium for the browser tests: found, installed by Playwright or by the system, or explained.

`python -m tests.support.chromium` prepares it and remembers which; `find` reads that. A browser
counts only after it has drawn a page here: Ubuntu's `chromium-browser`, for one, can be a stub.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_CHOICE: Final = Path(sys.prefix) / "chromium-path"
_NAMES: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "msedge",
)
_PLACES: Final = (
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
_MANAGERS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "apt-get": (("update",), ("install", "-y", "--no-install-recommends", "chromium")),
    "dnf": (("install", "-y", "chromium"),),
    "apk": (("add", "chromium"),),
    "pacman": (("-Sy", "--noconfirm", "chromium"),),
    "brew": (("install", "--cask", "chromium"),),
}
_PLAYWRIGHT_S: Final = 240
_MANAGER_S: Final = 420
_DRAW_S: Final = 60


class NoChromiumError(Exception):
    """No Chromium was found, and none could be installed; says what was tried."""


def find() -> Path | None:
    """The Chromium that was prepared last, or None. Takes no time: nothing is started."""
    try:
        chosen = Path(_CHOICE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return chosen if chosen.is_file() else None


def prepare() -> Path:
    """A Chromium that draws, installed where none is there; remembers it for `find`.

    Raises:
        NoChromiumError: none could be had; says what was tried and what to do.
    """
    tried: list[str] = []
    for path in _on_this_machine():
        if _accept(path, tried):
            return path
    for install in (_by_playwright, _by_system):
        path_or_reason = install()
        if isinstance(path_or_reason, str):
            tried.append(path_or_reason)
        elif _accept(path_or_reason, tried):
            return path_or_reason
    _CHOICE.unlink(missing_ok=True)
    raise NoChromiumError(
        "There is no Chromium for the browser tests. Install Chromium or Chrome so that it is on "
        "PATH, or set CHROMIUM_PATH to its file. Tried: " + " ".join(tried)
    )


def _on_this_machine() -> Iterator[Path]:
    named = os.environ.get("CHROMIUM_PATH")
    if named:
        yield Path(named)
    if last := find():
        yield last
    for name in _NAMES:
        if on_path := shutil.which(name):
            yield Path(on_path)
    yield from (Path(place) for place in _PLACES)


def _accept(path: Path, tried: list[str]) -> bool:
    if not path.is_file():
        return False
    reason = _why_it_does_not_draw(path)
    if reason:
        tried.append(f"{path} ({reason}).")
        return False
    _CHOICE.write_text(str(path), encoding="utf-8")
    return True


def _why_it_does_not_draw(path: Path) -> str:
    """ "" for a browser that draws a page here, else the reason."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        page = ["--dump-dom", "data:text/html,<p>it draws</p>"]
        try:
            done = subprocess.run(
                [path, *options, f"--user-data-dir={profile}", *page],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_DRAW_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"drew nothing in {_DRAW_S} s"
        except OSError as exc:
            return str(exc)
    if "it draws" in done.stdout:
        return ""
    return f"drew nothing: {_last_line(done.stderr)}"


def _by_playwright() -> Path | str:
    print("Installing Chromium with Playwright …", flush=True)
    command = [sys.executable, "-m", "playwright", "install", "--no-shell", "chromium"]
    failed = _run(command, _PLAYWRIGHT_S)
    if failed:
        return f"Playwright could not install it ({failed})."
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path)


def _by_system() -> Path | str:
    name = next((name for name in _MANAGERS if shutil.which(name)), None)
    if name is None:
        return "No package manager that we know is here."
    prefix = _as_administrator(name)
    if prefix is None:
        return f"{name} would need an administrator's password."
    print(f"Installing Chromium with {name} …", flush=True)
    for arguments in _MANAGERS[name]:
        failed = _run([*prefix, name, *arguments], _MANAGER_S)
        if failed:
            return f"{name} {arguments[0]} failed ({failed})."
    found = next((path for path in _on_this_machine() if path.is_file()), None)
    return found or f"{name} installed it, but it is not on PATH."


def _as_administrator(name: str) -> list[str] | None:
    """What stands before the command, or None where we may not install."""
    if name == "brew" or (hasattr(os, "geteuid") and os.geteuid() == 0):
        return []
    if shutil.which("sudo") and not _run(["sudo", "-n", "true"], 10):
        return ["sudo", "-n"]
    return None


def _run(command: Sequence[str], within_s: float) -> str:
    """ "" after success, else why not."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=within_s,
            env=env,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done in {within_s:g} s"
    except OSError as exc:
        return str(exc)
    return "" if done.returncode == 0 else _last_line(done.stderr or done.stdout)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


if __name__ == "__main__":
    try:
        print(f"Chromium: {prepare()}")
    except NoChromiumError as exc:
        sys.exit(str(exc))
