"""`python -m scripts.version`: changelog, pyproject.toml, front end and API name the same version."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


def problems(root: Path) -> list[str]:
    """What does not agree, a sentence each; empty when all does."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    version = str(tomllib.loads(text)["project"]["version"])
    found: list[str] = []
    path = root / "CHANGELOG.md"
    changelog = path.read_text(encoding="utf-8") if path.is_file() else ""
    newest = re.search(r"^## \[?(\d[^\]\s]*)\]?", changelog, re.MULTILINE)
    if newest is None:
        found.append("CHANGELOG.md names no version.")
    elif newest[1] != version:
        found.append(
            f"pyproject.toml says {version}, the newest entry of CHANGELOG.md {newest[1]}."
        )
    front_end = json.loads((root / "frontend/package.json").read_text(encoding="utf-8"))
    if front_end["version"] != version:
        found.append(f"pyproject.toml says {version}, package.json {front_end['version']}.")
    api = (root / "api/app.py").read_text(encoding="utf-8")
    if f'VERSION: Final = "{version}"' not in api:
        found.append(f"pyproject.toml says {version}, VERSION in api/app.py does not.")
    return found


if __name__ == "__main__":
    if said := problems(ROOT):
        sys.exit("\n".join(said))
    print("Changelog, pyproject.toml, front end and API name the same version.")
