"""What must not be kept is blanked before it is written: card numbers, e-mail addresses and the like.

Applies to the texts of what agents and people tell, wherever in an event they stand. What is shown
live is not touched, for it is not kept; ids and names by which a session is found are not either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from services.errors import ConfigError
from services.events import Event, Source

PATTERNS_MOST: Final = 50
_TOLD: Final = {Source.AGENT, Source.OBSERVER, Source.OPERATOR, Source.API}
_IDS: Final = frozenset(
    {
        "session_id", "interrupt_id", "command_id", "checkpoint_id", "parent_checkpoint_id", "note_id",
        "run_id", "task_id", "participant_sid", "track_sid", "identity", "user_id", "agent_name",
        "node", "kind", "pinned_at", "expires_at", "at",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Pattern:
    name: str
    form: re.Pattern[str]
    holds: Callable[[str], bool]


def _luhn(text: str) -> bool:
    """Whether the digits are a card's: their check digit is right (ISO/IEC 7812)."""
    digits = [int(one) for one in text if one.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [one * 2 - 9 * (one > 4) for one in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """Whether its check digits are right (ISO 13616)."""
    plain = re.sub(r"\s", "", text).upper()
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(one, 36)) for one in turned)) % 97 == 1


_KNOWN: Final = {
    "card": _Pattern("card", re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?!\.?\d)"), _luhn),
    "email": _Pattern(
        "email", re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"), lambda _: True
    ),
    "iban": _Pattern(
        "iban", re.compile(r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,3})?\b"), _iban
    ),
    "phone": _Pattern(
        "phone", re.compile(r"(?<![\w+])\+\d(?:[ ().-]{0,2}\d){6,14}(?!\w)"), lambda _: True
    ),
}
NAMES: Final = tuple(_KNOWN)


class Redaction:
    """Blanks; made of the settings by `redaction_of`."""

    def __init__(self, patterns: Sequence[_Pattern]) -> None:
        self._patterns = tuple(patterns)

    @property
    def names(self) -> tuple[str, ...]:
        """What is blanked."""
        return tuple(one.name for one in self._patterns)

    def of(self, event: Event) -> Event:
        """The event as it may be kept."""
        if not self._patterns or event.source not in _TOLD:
            return event
        data = self._value(event.data)
        return event if data is event.data else replace(event, data=data)

    def text(self, text: str) -> str:
        """The text, with `[card]` and the like in place of what must not be kept."""
        for one in self._patterns:
            text = one.form.sub(
                lambda found, one=one: f"[{one.name}]" if one.holds(found[0]) else found[0],  # type: ignore[misc]
                text,
            )
        return text

    def _value(self, value: Any) -> Any:
        """The same object where nothing is blanked."""
        match value:
            case str():
                return value if len(value) < _SHORTEST else self.text(value)
            case dict():
                told = {key: one if key in _IDS else self._value(one) for key, one in value.items()}
                return told if any(told[key] is not one for key, one in value.items()) else value
            case list():
                items = [self._value(one) for one in value]
                same = all(new is old for new, old in zip(items, value, strict=True))
                return value if same else items
            case _:
                return value


_SHORTEST: Final = 3  # characters of the shortest pattern that makes sense


def redaction_of(names: Sequence[str], file: Path | None) -> Redaction:
    """The known patterns by name, and those of the file: `name = regular expression`, one a line.

    Raises:
        ConfigError: a name is unknown, or the file or one of its expressions cannot be used.
    """
    if unknown := [name for name in names if name not in _KNOWN]:
        raise ConfigError(
            f"SWITCHBOARD_PII_REDACTION knows no {unknown[0]!r}.",
            hint=f"It knows {', '.join(NAMES)}.",
        )
    patterns = [_KNOWN[name] for name in dict.fromkeys(names)]
    return Redaction(patterns + (_read(file) if file is not None else []))


def _read(file: Path) -> list[_Pattern]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"SWITCHBOARD_PII_REDACTION_PATTERNS_FILE cannot be read: {type(exc).__name__}.",
            hint="Name a text file with lines like: order = ORD-[0-9]{8}",
        ) from None
    patterns = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, expression = (part.strip() for part in line.partition("="))
        try:
            form = re.compile(expression)
            if not name or not expression or form.match(""):
                raise ValueError("it fits nothing, or everything")
        except (re.error, ValueError) as exc:
            raise ConfigError(
                f"Line {number} of SWITCHBOARD_PII_REDACTION_PATTERNS_FILE cannot be used: {exc}.",
                hint="Write it like: order = ORD-[0-9]{8}",
            ) from None
        patterns.append(_Pattern(name, form, lambda _: True))
    if len(patterns) > PATTERNS_MOST:
        raise ConfigError(
            f"SWITCHBOARD_PII_REDACTION_PATTERNS_FILE has over {PATTERNS_MOST} expressions.",
            hint="Join some of them.",
        )
    return patterns
