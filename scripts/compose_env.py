"""`python -m scripts.compose_env`: the secrets that compose.yaml needs, in `.env.compose`, once."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FILE: Final = ".env.compose"


def write(folder: Path) -> Path:
    """New random secrets, readable by their owner alone.

    Raises:
        FileExistsError: there are some; other ones would shut out the database that is there.
    """
    path = folder / FILE
    values = {
        "LIVEKIT_API_KEY": f"API{secrets.token_hex(6)}",
        "LIVEKIT_API_SECRET": secrets.token_urlsafe(36),
        "POSTGRES_PASSWORD": secrets.token_hex(24),
    }
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    return path


def main() -> int:
    """Exit code 1 where there are secrets already."""
    try:
        path = write(ROOT)
    except FileExistsError:
        sys.stderr.write(
            f"{FILE} is there already. Its secrets are those of your database: keep it.\n"
        )
        return 1
    print(f"Wrote {path.name}. Now: docker compose --env-file {FILE} up --build -d")
    return 0


if __name__ == "__main__":
    sys.exit(main())
