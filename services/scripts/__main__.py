"""`python -m services.scripts FILE_OR_FOLDER …`: run scripts against a running dashboard.

Exit code 0: all passed; 1: some did not; 2: they could not be run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from services.errors import BadInputError
from services.scripts.api import open_api
from services.scripts.result import ScriptResult, as_junit, as_text
from services.scripts.run import run
from services.scripts.script import Script, read


def main(arguments: Sequence[str]) -> int:
    """Read, run, tell; gives the exit code."""
    wanted = _arguments(arguments)
    try:
        scripts = read(wanted.scripts)
        results = asyncio.run(_run(scripts, wanted.url, quiet=wanted.quiet))
    except BadInputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{as_text(results)}\n")
    if wanted.junit is not None:
        wanted.junit.write_text(as_junit(results), encoding="utf-8")
    return 0 if all(result.passed for result in results) else 1


async def _run(scripts: Sequence[Script], url: str, *, quiet: bool) -> list[ScriptResult]:
    def tell(text: str) -> None:
        if not quiet:
            sys.stderr.write(f"    {text}\n")

    async with open_api(url, os.environ.get("SWITCHBOARD_API_KEY", "")) as api:
        return [await run(script, api, tell=tell) for script in scripts]


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.scripts",
        description="Run scripted test sessions against a running dashboard. Where it has a login, "
        "SWITCHBOARD_API_KEY holds a key with the scopes read, sessions and agents.",
    )
    parser.add_argument("scripts", nargs="+", type=Path, help="YAML files, or folders of them")
    parser.add_argument(
        "--url",
        default=os.environ.get("SWITCHBOARD_URL") or "http://localhost:8501",
        help="the dashboard (default: SWITCHBOARD_URL, else http://localhost:8501)",
    )
    parser.add_argument("--junit", type=Path, help="write the results there as JUnit XML")
    parser.add_argument("--quiet", action="store_true", help="do not tell each line as it goes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
