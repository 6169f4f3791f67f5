"""Whatever is logged: no token, no password and no secret reaches the file or the console."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import jwt
import pytest

from services import logs

SECRET = "s3cr3t-of-livekit"
TOKEN = jwt.encode({"sub": "nate"}, "k" * 32, algorithm="HS256")


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """The file that our packages log to, with the loggers put back afterwards."""
    names = ("services", "api", "dashboard", "agents", "livekit")
    before = {name: (logging.getLogger(name).propagate, logging.getLogger(name).level)
              for name in names}  # fmt: skip
    yield logs.set_up(tmp_path, "debug", [SECRET, "", "no"])
    for name in names:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
        logger.propagate, level = before[name]
        logger.setLevel(level)


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def say(*args: object, **kwargs: Any) -> None:
    logging.getLogger("services.test").warning(*args, **kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((f"token {TOKEN}",), {}),
        (("token %s", TOKEN), {}),
        (("token %(t)s", {"t": TOKEN}), {}),
        (("made",), {"extra": {"token": TOKEN}}),
        (("made",), {"extra": {"headers": {"Authorization": f"Bearer {TOKEN}"}}}),
        (("made",), {"extra": {"found": [TOKEN]}}),
        (("made",), {"extra": {"raw": TOKEN.encode()}}),
        ((f"secret {SECRET} here",), {}),
        (("made",), {"extra": {"key": SECRET}}),
        ((f"wss://h/rtc?access_token={TOKEN}",), {}),
    ],
)
def test_tokens_and_secrets_are_blanked_wherever_they_stand(
    log_file: Path, capsys: pytest.CaptureFixture[str], args: tuple[Any, ...], kwargs: Any
) -> None:
    say(*args, **kwargs)
    text = log_file.read_text() + capsys.readouterr().err
    assert TOKEN not in text
    assert TOKEN.split(".")[1] not in text
    assert SECRET not in text
    assert "[token]" in text or "[secret]" in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter22@host:5432/name",
        "postgresql+asyncpg://user:hunter22@host/name",
        "postgresql://user:at@hunter22@host/name",
        "postgresql://user:sl/hunter22@host/name",
        "https://:hunter22@host",
    ],
)
def test_the_password_in_a_url_is_blanked(log_file: Path, url: str) -> None:
    say("cannot reach %s", url)
    text = log_file.read_text()
    assert "hunter22" not in text
    assert "host" in text


def test_an_ordinary_url_stays_readable(log_file: Path) -> None:
    say("asked http://127.0.0.1:8501/api/health and ws://host:7880")
    (line,) = written(log_file)
    assert line["message"] == "asked http://127.0.0.1:8501/api/health and ws://host:7880"


def test_tracebacks_are_blanked(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(f"bad {TOKEN} and {SECRET}")
    except ValueError:
        say("it failed", exc_info=True, stack_info=True)
    text = log_file.read_text() + capsys.readouterr().err
    assert TOKEN not in text
    assert SECRET not in text
    (line,) = written(log_file)
    assert "ValueError: bad [token] and [secret]" in line["traceback"]


def test_a_secret_that_becomes_known_later_is_blanked_from_then_on(log_file: Path) -> None:
    logs.hide(["later-known-secret"])
    say("it is later-known-secret")
    assert "later-known" not in log_file.read_text()


def test_a_wrong_format_of_a_caller_is_logged_and_does_not_raise(log_file: Path) -> None:
    say("%d things", "many")
    say("two %s %s", "one")
    assert len(written(log_file)) == 2


def test_half_a_character_and_a_line_break_stay_one_line_of_json(log_file: Path) -> None:
    say("half \ud800 and a\nbreak")
    assert len(written(log_file)) == 1


def test_extras_are_fields_and_the_time_is_utc(log_file: Path) -> None:
    say("room ended", extra={"room": "standup", "count": 3})
    (line,) = written(log_file)
    assert (line["message"], line["room"], line["count"]) == ("room ended", "standup", "3")
    assert line["at"].endswith("Z")
    assert line["level"] == "warning"


def test_the_file_is_bounded(log_file: Path) -> None:
    (handler,) = {
        handler
        for handler in logging.getLogger("services").handlers
        if isinstance(handler, RotatingFileHandler)
    }
    assert 0 < handler.maxBytes <= 10_000_000
    assert handler.backupCount <= 5


def test_other_peoples_loggers_are_left_alone(log_file: Path) -> None:
    logging.getLogger("sqlalchemy.test").warning("not ours")
    assert not log_file.exists() or "not ours" not in log_file.read_text()


def test_setting_up_twice_does_not_log_twice(log_file: Path) -> None:
    again = logs.set_up(log_file.parent.parent, "info", [SECRET])
    say("once")
    assert len(written(again)) == 1
    assert sys.stderr is not None
