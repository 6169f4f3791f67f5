"""Before a commit: no large file and no secret among the files named on the command line."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

_LARGEST_BYTES: Final = 1_000_000
_SECRETS: Final = {
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}"),
    "a signed token": re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w-]{4,}\.[\w-]{16,}"),
    "a LiveKit key pair": re.compile(rb"\bAPI[A-Za-z0-9]{12,}\s*[:=]\s*['\"]?[\w-]{32,}"),
}


def problems(path: Path) -> list[str]:
    """Why this file should not be committed, a sentence each."""
    content = path.read_bytes()
    found = [f"{path} holds {name}." for name, form in _SECRETS.items() if form.search(content)]
    if len(content) > _LARGEST_BYTES:
        found.append(f"{path} has {len(content) / 1e6:.1f} MB.")
    return found


if __name__ == "__main__":
    files = [Path(name) for name in sys.argv[1:]]
    if said := [sentence for path in files if path.is_file() for sentence in problems(path)]:
        sys.exit("\n".join(said))
