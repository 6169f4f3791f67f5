"""Logging: to the console and a bounded file, with tokens and known secrets blanked out."""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from services.clock import rfc3339, utc_now

_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")
_PASSWORD_IN_URL: Final = re.compile(r"(?<=://)([^:/@\s]*):\S+@")
_OURS: Final = ("services", "api", "dashboard", "agents", "livekit")
_FILE_BYTES: Final = 5_000_000
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Redact(logging.Filter):
    """Blanks out tokens, passwords in URLs and the secrets it was told, in every record."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets: tuple[str, ...] = ()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Blank out these too; what is shorter than six characters would blank out words."""
        self._secrets += tuple(secret for secret in secrets if len(secret) >= 6)

    def clean(self, text: str) -> str:
        """The text without secrets."""
        text = _JWT.sub("[token]", text)
        text = _PASSWORD_IN_URL.sub(r"\1:[password]@", text)
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):  # a caller's wrong format must not break it
            text = f"{record.msg} {record.args}"
        record.msg, record.args = self.clean(text), None
        for name, value in list(vars(record).items()):
            if name not in _STANDARD and not isinstance(value, int | float | None):
                setattr(record, name, self.clean(str(value)))
        if record.stack_info:
            record.stack_info = self.clean(record.stack_info)
        if record.exc_info and record.exc_info[1] is not None:
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_text, record.exc_info = self.clean(text), None
        elif record.exc_text:
            record.exc_text = self.clean(record.exc_text)
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line: at, level, logger, message, and the record's extras."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": rfc3339(utc_now()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {k: str(v) for k, v in vars(record).items() if k not in _STANDARD}
        if record.exc_text:
            line["traceback"] = record.exc_text
        return json.dumps(line, ensure_ascii=False)


def set_up(data_dir: Path, level: str, secrets: Iterable[str] = ()) -> Path:
    """Log our own packages to stderr and to a rotating file; gives the file's path."""
    path = data_dir / "logs" / "switchboard.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    redact = Redact(secrets)
    file = logging.handlers.RotatingFileHandler(
        path,
        maxBytes=_FILE_BYTES,
        backupCount=2,
        encoding="utf-8",
        delay=True,
        errors="backslashreplace",
    )
    file.setFormatter(JsonLines())
    console = logging.StreamHandler()
    console.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for handler in (file, console):
        handler.addFilter(redact)
    for name in _OURS:
        logger = logging.getLogger(name)
        for old in list(logger.handlers):
            logger.removeHandler(old)
            old.close()
        logger.addHandler(file)
        logger.addHandler(console)
        logger.setLevel(level.upper())
        logger.propagate = False
    return path


def hide(secrets: Iterable[str]) -> None:
    """Blank out secrets that became known after `set_up`."""
    for handler in logging.getLogger(_OURS[0]).handlers:
        for known in handler.filters:
            if isinstance(known, Redact):
                known.add(secrets)
                return  # all handlers share it
