"""What must not be kept is blanked, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.errors import ConfigError
from services.events import Event, Kind, Source
from services.redaction import NAMES, redaction_of

ALL = redaction_of(NAMES, None)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("My card is 4111 1111 1111 1111, thanks", "My card is [card], thanks"),
        ("5500-0000-0000-0004.", "[card]."),
        ("4111111111111112 has a wrong digit", "4111111111111112 has a wrong digit"),
        ("0000 0000 0000 0000", "0000 0000 0000 0000"),
        ("write to Ana.Ü+x@mail.example.co.uk now", "write to [email] now"),
        ("not@this", "not@this"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN [iban] please"),
        ("DE88 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00"),
        ("call +49 (170) 123-4567!", "call [phone]!"),
        ("ticket 12345678 at 12:30 took 1733000000000.25 ms", None),
        ("ses_0193b2c4d5e67f8091a2b3c4d5e6f708", None),
        ("1 2 3 4 5 6 7 8 9 10 11 12", None),
    ],
)
def test_texts(said: str, kept: str | None) -> None:
    assert ALL.text(said) == (said if kept is None else kept)


def event(data: dict[str, Any], source: Source = Source.AGENT) -> Event:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Event(kind=Kind.MESSAGE, at=at, received_at=at, source=source, data=data)


def test_wherever_it_stands_in_an_event() -> None:
    card = "4111 1111 1111 1111"
    told = event(
        {
            "text": card,
            "values": {"slots": [{"done": [f"paid with {card}"]}], "count": 3, "none": None},
            "interrupt_id": "4111111111111111",
        }
    )
    kept = ALL.of(told)
    assert kept.data == {
        "text": "[card]",
        "values": {"slots": [{"done": ["paid with [card]"]}], "count": 3, "none": None},
        "interrupt_id": "4111111111111111",
    }
    assert (kept.id, kept.at) == (told.id, told.at)


def test_what_needs_no_blanking_is_the_same_object() -> None:
    told = event({"text": "hello", "values": {"a": [1, "b"]}})
    assert ALL.of(told) is told
    from_livekit = event({"name": "4111 1111 1111 1111"}, Source.WEBHOOK)
    assert ALL.of(from_livekit) is from_livekit
    assert redaction_of((), None).of(told) is told


def test_further_patterns_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "patterns"
    file.write_text("# ours\n\norder = ORD-[0-9]{4}\nword=(?i)secret\n")
    redaction = redaction_of(("email",), file)
    assert redaction.names == ("email", "order", "word")
    assert redaction.text("SECRET ORD-1234 a@b.example") == "[word] [order] [email]"


@pytest.mark.parametrize("line", ["no sign", "x =", "= y", "x = (", "x = a*", "x = .*"])
def test_a_pattern_that_cannot_be_used_stops_the_start(tmp_path: Path, line: str) -> None:
    file = tmp_path / "patterns"
    file.write_text(f"good = abc\n{line}\n")
    with pytest.raises(ConfigError, match="Line 2"):
        redaction_of((), file)


def test_an_unknown_name_or_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="knows no 'cards'"):
        redaction_of(("cards",), None)
    with pytest.raises(ConfigError, match="cannot be read"):
        redaction_of((), tmp_path / "none")
