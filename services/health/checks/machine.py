"""Checks of what lies on this machine: settings, data folder, private files, clock, agents."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from services.clock import utc_now
from services.errors import ConfigError
from services.graphs import Graphs
from services.health.findings import Area, Check, Finding
from services.settings import PROJECT_DIR, Settings

_WRITTEN: Final = datetime(2026, 11, 1, tzinfo=UTC)  # no machine that runs this is in an older time
_AHEAD: Final = timedelta(minutes=5)
_FREE_FEW: Final = 1_000_000_000
_FREE_TOO_FEW: Final = 100_000_000
_PYTHONS: Final = ((3, 11), (3, 13))  # pyproject.toml's requires-python

SETTINGS: Final = Check(
    code="settings",
    area=Area.MACHINE,
    name="Settings",
    impact="A setting that is wrong or misspelt stops the start, or is not the one you meant.",
)
PYTHON: Final = Check(
    code="python",
    area=Area.MACHINE,
    name="Python",
    impact="The pinned requirements are made for these versions of Python.",
)
DATA_FOLDER: Final = Check(
    code="data_folder",
    area=Area.MACHINE,
    name="Data folder",
    impact="Database, keys and logs live there.",
)
DISK: Final = Check(
    code="disk",
    area=Area.MACHINE,
    name="Free disk",
    impact="With a full disk events wait in memory and the logs stop.",
)
PRIVATE: Final = Check(
    code="private_files",
    area=Area.MACHINE,
    name="Private files",
    impact="Who reads LiveKit's secret can enter every room and end it.",
)
CLOCK: Final = Check(
    code="clock",
    area=Area.MACHINE,
    name="Clock",
    impact="Tokens are valid from one moment to another: a wrong clock makes them useless.",
)
AGENTS: Final = Check(
    code="agents",
    area=Area.AGENTS,
    name="langgraph.json",
    impact="It names the agents that sessions can ask for.",
)


def examine(settings: Settings, *, started_at: datetime | None = None) -> tuple[Finding, ...]:
    """Everything here; reads files and writes one that it removes at once. Not on the loop.

    `started_at`: when the dashboard that asks read its settings.
    """
    return (
        agents(settings.switchboard_langgraph_json),
        settings_finding(settings, started_at=started_at),
        python(),
        data_folder(settings.switchboard_data_dir),
        disk(settings.switchboard_data_dir),
        private_files(_private(settings)),
        clock(settings.switchboard_data_dir, now=utc_now()),
    )


def settings_finding(
    settings: Settings,
    *,
    started_at: datetime | None = None,
    env_file: Path = PROJECT_DIR / ".env",
) -> Finding:
    """The settings were read: how many are set, and whether `.env` has changed since."""
    given = sum(
        getattr(settings, name) != field.get_default(call_default_factory=True)
        for name, field in Settings.model_fields.items()
    )
    found = f"{given} set, {len(Settings.model_fields) - given} as they are by default."
    if started_at is not None and env_file.is_file():
        changed_at = datetime.fromtimestamp(env_file.stat().st_mtime, UTC)
        if changed_at > started_at:
            return SETTINGS.warning(
                f"{env_file.name} has changed since the start.",
                "Restart Switchboard: settings are read once, at the start.",
            )
    return SETTINGS.ok(found)


def settings_refused(error: ConfigError) -> Finding:
    """The settings could not be read."""
    return SETTINGS.problem(error.message, error.hint)


def python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Whether this Python is one that the requirements are made for."""
    first, last = _PYTHONS
    said = f"Python {version[0]}.{version[1]}"
    if first <= version <= last:
        return PYTHON.ok(f"{said}.")
    return PYTHON.warning(
        f"{said} is not one that Switchboard is tested with.",
        f"Make the environment anew with Python {first[0]}.{first[1]} to {last[0]}.{last[1]}.",
    )


def agents(file: Path) -> Finding:
    """Whether `langgraph.json` can be read and every file that it names is there."""
    try:
        entries = Graphs(file).all()
    except ConfigError as exc:
        return AGENTS.problem(exc.message, exc.hint)
    if not entries:
        return AGENTS.warning(
            f"{file.name} names no agent.", "Add one: sessions can then ask for it."
        )
    missing = []
    for entry in entries:
        where = entry.path.rpartition(":")[0]
        if where.endswith(".py") and not (file.parent / where).is_file():
            missing.append(f"{entry.name} ({where})")
    if missing:
        return AGENTS.problem(
            f"The file of {', '.join(missing)} is not there.",
            f"Correct the path in {file}; it is read from the folder of that file.",
        )
    return AGENTS.ok(f"It names {', '.join(entry.name for entry in entries)}.")


def data_folder(folder: Path) -> Finding:
    """Whether a file can be made there; it is removed at once."""
    if not folder.exists():
        return DATA_FOLDER.unknown(f"{folder} is not there yet.", "The first start makes it.")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as probe:
            probe.write(b"1")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as exc:
        return DATA_FOLDER.problem(
            f"{folder} cannot be written ({exc.strerror}).",
            "Give it to the user that runs Switchboard, or choose another with "
            "SWITCHBOARD_DATA_DIR.",
        )
    return DATA_FOLDER.ok(f"{folder} can be written.")


def disk(folder: Path) -> Finding:
    """How much room is left where the data folder is, or will be."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:,.1f} GB are free."
    fix = f"Make room on the disk of {folder}, or choose another with SWITCHBOARD_DATA_DIR."
    if free < _FREE_TOO_FEW:
        return DISK.problem(said, fix)
    return DISK.warning(said, fix) if free < _FREE_FEW else DISK.ok(said)


def _private(settings: Settings) -> tuple[Path, ...]:
    livekit = settings.switchboard_data_dir / "livekit"
    return (PROJECT_DIR / ".env", livekit / "keys.json", livekit / "livekit.yaml")


def private_files(files: Iterable[Path]) -> Finding:
    """Whether others on this machine may read the files that hold secrets."""
    if sys.platform == "win32":
        return PRIVATE.unknown("Windows keeps file rights in another way; not checked.")
    there = [path for path in files if path.is_file()]
    open_ones = [path for path in there if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_ones:
        modes = ", ".join(f"{p.name} ({stat.S_IMODE(p.stat().st_mode):04o})" for p in open_ones)
        return PRIVATE.problem(
            f"Others on this machine may read {modes}.",
            "Take their right to read:",
            snippet="\n".join(f"chmod 600 {path}" for path in open_ones),
        )
    if not there:
        return PRIVATE.ok("None here yet.")
    return PRIVATE.ok(f"Only their owner reads {', '.join(path.name for path in there)}.")


def clock(folder: Path, *, now: datetime) -> Finding:
    """Whether the clock is plainly wrong: before this program was written, or before its files."""
    fix = "Set the clock, and let it be kept right (NTP)."
    if now < _WRITTEN:
        return CLOCK.problem(f"It says {now:%Y-%m-%d %H:%M} UTC, which is long past.", fix)
    newest = max((path.stat().st_mtime for path in folder.glob("*") if path.exists()), default=0.0)
    written_at = datetime.fromtimestamp(newest, UTC)
    if written_at > now + _AHEAD:
        return CLOCK.warning(
            f"It says {now:%Y-%m-%d %H:%M} UTC; the data folder has files of "
            f"{written_at:%Y-%m-%d %H:%M}.",
            fix,
        )
    return CLOCK.ok(f"It says {now:%Y-%m-%d %H:%M:%S} UTC.")
