"""`make check`: every check that needs no server. All are run; one that fails shows its output."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_BIN: Final = Path(sys.executable).parent
_AT_ONCE: Final = 2
_TIMEOUT_S: Final = 600


@dataclass(frozen=True, slots=True)
class Check:
    """A command whose exit code 0 means that `name` is well."""

    name: str
    command: tuple[str, ...]


def _module(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


CHECKS: Final = (
    Check("types", _module("mypy")),
    Check("front end: types, lint, rebuilt = committed", _module("scripts.frontend", "check")),
    Check("format", _module("ruff", "format", "--check", ".")),
    Check("lint", _module("ruff", "check", ".")),
    Check("import rules", (str(_BIN / "lint-imports"), "--no-cache")),
    Check("requirements agree with pyproject.toml", _module("scripts.lock", "--check")),
    Check("documents and front end have the agents' events", _module("scripts.events", "--check")),
    Check("migrations give the tables", _module("services.store.check_migrations")),
    Check("one version everywhere", _module("scripts.version")),
    Check("texts and names use the words of the glossary", _module("scripts.glossary")),
    Check(
        "compose.yaml is as the Compose specification has it",
        (
            str(_BIN / "check-jsonschema"),
            "--builtin-schema",
            "vendor.compose-spec",
            "compose.yaml",
        ),
    ),
    *(  # there is a wheel of it for Linux alone
        [Check("Dockerfile", (str(_BIN / "hadolint"), "Dockerfile"))]
        if sys.platform == "linux"
        else []
    ),
)


def run(check: Check) -> tuple[Check, bool, str, float]:
    """The check, whether it is well, what it printed, and its seconds."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            check.command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
        well, said = done.returncode == 0, done.stdout
    except (OSError, subprocess.TimeoutExpired) as exc:
        well, said = False, str(exc)
    return check, well, said, time.monotonic() - began


def main() -> int:
    """How many checks failed."""
    failed: list[tuple[Check, str]] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for check, well, said, seconds in pool.map(run, CHECKS):
            print(f"{'ok    ' if well else 'FAILED'} {check.name} ({seconds:.1f} s)", flush=True)
            if not well:
                failed.append((check, said))
    for check, said in failed:
        print(f"\n--- {check.name}: {' '.join(check.command)}\n{said.strip()}")
    print(f"\n{len(CHECKS) - len(failed)} of {len(CHECKS)} checks passed.")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
