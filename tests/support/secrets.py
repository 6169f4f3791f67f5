"""Nothing that is written down may hold a token or a secret."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

JWT: Final = re.compile(rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{16,}")
"""A signed JSON Web Token, wherever it stands."""


def find_secrets(text: str | bytes, *secrets: str) -> list[str]:
    """What was found, shortened so that the report does not leak it again."""
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    found = [f"a token at byte {hit.start()}: {_shorten(hit[0])}" for hit in JWT.finditer(raw)]
    for secret in secrets:
        if not secret:
            raise ValueError("an empty secret would be found everywhere")
        at = raw.find(secret.encode())
        if at >= 0:
            found.append(f"a secret at byte {at}: {_shorten(secret.encode())}")
    return found


def assert_no_secrets(text: str | bytes, *secrets: str, where: str) -> None:
    """Fail when `text` holds a token or one of `secrets`; `where` names it in the report."""
    found = find_secrets(text, *secrets)
    assert not found, f"{where} holds " + "; ".join(found)


def assert_no_secrets_in_files(folder: Path, *secrets: str, but: Iterable[str] = ()) -> None:
    """The same for every file below `folder`, except those named in `but`.

    Databases are read as bytes: SQLite and PostgreSQL keep text as it is.
    """
    skipped = set(but)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in skipped:
            assert_no_secrets(path.read_bytes(), *secrets, where=str(path.relative_to(folder)))


def assert_no_secrets_logged(records: Iterable[logging.LogRecord], *secrets: str) -> None:
    """The same for log records: message, `extra` fields and traceback."""
    for record in records:
        extra = {k: v for k, v in vars(record).items() if k not in {"msg", "args"}}
        text = f"{logging.Formatter().format(record)}\n{extra!r}"
        assert_no_secrets(text, *secrets, where=f"the log of {record.name}")


def _shorten(secret: bytes) -> str:
    return secret[:6].decode(errors="replace") + "…"
