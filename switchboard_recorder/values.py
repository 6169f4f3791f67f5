"""Whatever a graph or a call holds -> small JSON values: cut, without cycles, redacted."""

from __future__ import annotations

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from itertools import islice
from math import isfinite
from pathlib import PurePath
from typing import Any, Final, TypeAlias, cast

REDACTED: Final = "[redacted]"
SECRET_KEYS: Final = frozenset(
    {
        "access_token", "api_key", "api_secret", "apikey", "auth_token", "authorization",
        "client_secret", "cookie", "passwd", "password", "private_key", "refresh_token", "secret",
    }
)  # fmt: skip
"""Keys whose values are never sent, whatever `redact` says."""

_EDGE: Final = 512  # characters looked at beyond a cut, so that half a secret does not stay
_MESSAGE_DEPTH: Final = 6  # levels that a message may have
_MESSAGES_KNOWN: Final = 300
_CUT: Final = re.compile(r"… \[cut: ([\d,]+) characters\]$")
_SAFE_INT: Final = 2**63
_LONGEST_INT_BITS: Final = 4_000
_MESSAGE_FIELDS: Final = (
    "id", "name", "tool_calls", "tool_call_id", "status", "usage_metadata",
)  # fmt: skip

Redact: TypeAlias = Callable[[str, Any], Any] | Iterable[str | re.Pattern[str]]
"""What is blanked out: a function from (dotted path, leaf) to what is shown instead, or keys
(text, any case) and patterns (compiled, searched for in every text)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a value is kept."""

    text: int = 4_000  # characters of one text
    items: int = 100  # of one list, set or mapping
    depth: int = 12
    total: int = 60_000  # characters and marks of everything together


NARROWER: Final = (
    Limits(),
    Limits(text=800, items=40, depth=8, total=12_000),
    Limits(text=120, items=12, depth=5, total=1_500),
)
"""Tried one after the other until an event is short enough; the last is short whatever it holds."""


class Plain:
    """Makes values plain. One for a recorder; holds no values, so any thread may use it."""

    def __init__(self, redact: Redact | None = None) -> None:
        self._keys = set(SECRET_KEYS)
        self._patterns: tuple[re.Pattern[str], ...] = ()
        self._replace: Callable[[str, Any], Any] | None = None
        self.messages: OrderedDict[int, _Message] = OrderedDict()  # by id()
        if callable(redact):
            self._replace = redact
        elif redact is not None:
            wanted = [redact] if isinstance(redact, str) else list(redact)
            self._keys |= {key.casefold() for key in wanted if isinstance(key, str)}
            self._patterns = tuple(item for item in wanted if isinstance(item, re.Pattern))
        self.asks = self._replace is not None
        """Whether the caller's function decides over each leaf."""
        self.filters = self.asks or bool(self._patterns)
        """Whether texts are looked through."""

    def __call__(self, value: object, limits: Limits = NARROWER[0], *, path: str = "") -> Any:
        """JSON of `value`: dicts with text keys, lists, text, finite numbers, bools, None. Never raises."""
        return _Walk(self, limits).plain(value, path, limits.depth)

    def data(self, data: Mapping[str, Any], limits: Limits = NARROWER[0]) -> dict[str, Any]:
        """An event's data: every name stays, the values are made plain."""
        return self.measured(data, limits)[0]

    def measured(
        self, data: Mapping[str, Any], limits: Limits = NARROWER[0]
    ) -> tuple[dict[str, Any], int]:
        """`data` and about how many characters it comes to."""
        walk = _Walk(self, limits)
        made = {key: walk.entry(key, value, "", limits.depth) for key, value in data.items()}
        return made, walk.used()

    def hides(self, key: str) -> bool:
        """Whether the value under this key is blanked out."""
        return key.casefold() in self._keys

    def text(self, value: str, path: str, limit: int) -> str:
        """`value` without patterns, cut at `limit` characters with a mark of how long it was."""
        cut = len(value) > limit
        if not cut and not self.filters and value.isascii() and "\0" not in value:
            return value
        size = f"{len(value):,}"
        if cut:
            if (mark := _CUT.search(value[-40:])) is not None:
                size = mark[1]  # it was cut before: say how long it was at first
            value = value[: limit + _EDGE]
        clean = _encodable(value)
        clean = self.without_patterns(clean)
        if self._replace is not None:
            clean = self._replaced(path, clean)
        if cut:
            kept = clean[: max(0, min(limit, len(clean) - _EDGE if self.filters else limit))]
            return f"{kept}… [cut: {size} characters]"
        return clean

    def leaf(self, path: str, value: float | bool | None) -> Any:
        """A number or None, through the caller's function where there is one."""
        if self._replace is None or value is None:
            return value
        try:
            shown = self._replace(path, value)
        except Exception:  # noqa: BLE001  # the caller's own function: hide what it failed on
            return REDACTED
        if isinstance(shown, float) and not isfinite(shown):
            return str(shown)
        return shown if isinstance(shown, str | int | float | bool | None) else REDACTED

    def remember(self, message: Any, shown: dict[str, Any], cost: int) -> None:
        """A state holds the same messages step after step: each is made plain once."""
        if not self.asks and isinstance(message.content, str):
            self.messages[id(message)] = _Message(message, shown, cost)
            while len(self.messages) > _MESSAGES_KNOWN:
                try:
                    self.messages.popitem(last=False)
                except KeyError:  # another thread was faster
                    return

    def without_patterns(self, text: str) -> str:
        """`text` with what the patterns find blanked out."""
        for pattern in self._patterns:
            text = pattern.sub(REDACTED, text)
        return text

    def _replaced(self, path: str, value: str) -> str:
        try:
            shown = self._replace(path, value) if self._replace is not None else value
            return _encodable(shown) if isinstance(shown, str) else REDACTED
        except Exception:  # noqa: BLE001  # the caller's own function: hide what it failed on
            return REDACTED


class _Message:
    """A LangChain message and what it was made into. It keeps the message, so its id stays its own."""

    __slots__ = ("_content", "_fields", "_id", "_message", "_size", "cost", "shown")

    def __init__(self, message: Any, shown: dict[str, Any], cost: int) -> None:
        self._message = message
        self._fields: dict[str, Any] = message.__dict__
        self._content = self._fields["content"]
        self._id = self._fields.get("id")
        self._size = len(self._fields.get("tool_calls") or ())
        self.shown = shown
        self.cost = cost

    def fits(self, left: int, depth: int) -> bool:
        """Whether it would be made the same here: nothing of it cut off."""
        return self.cost < left and depth > _MESSAGE_DEPTH

    def same(self, message: object) -> bool:
        """Whether it is this message, and nobody has written into it since."""
        found = self._fields
        return (
            message is self._message
            and found.get("content") is self._content
            and found.get("id") is self._id
            and len(found.get("tool_calls") or ()) == self._size
        )


class _Walk:
    """One value on its way: what is open above, and how much room is left."""

    __slots__ = ("_above", "_left", "_limits", "_rules", "_whole")

    def __init__(self, rules: Plain, limits: Limits) -> None:
        self._rules = rules
        self._limits = limits
        self._left = limits.total
        self._whole = limits is NARROWER[0]
        self._above: set[int] = set()

    def plain(self, value: object, path: str, depth: int) -> Any:
        """See `Plain.__call__`."""
        self._left -= 4
        cls = type(value)  # isinstance() would ask the object itself, which may fail
        if cls is str:
            return self._text(value, path)  # type: ignore[arg-type]  # it is one
        if cls in _SCALARS:
            return self._rules.leaf(path, value) if _is_json(value) else _not_json(value)  # type: ignore[arg-type]
        known = self._rules.messages.get(id(value)) if self._whole else None
        if known is not None and known.fits(self._left, depth) and known.same(value):
            self._left -= known.cost
            return known.shown
        if self._left <= 0:
            return f"[left out: {_name(value)}]"
        if depth <= 0:
            return f"[too deep: {_name(value)}]"
        if id(value) in self._above:
            return f"[cycle: {_name(value)}]"
        self._above.add(id(value))
        try:
            return _maker(cls)(self, value, path, depth)
        except Exception as exc:  # noqa: BLE001  # anybody's properties and iterators run here
            return f"[unreadable: {_name(value)}, {type(exc).__name__}]"
        finally:
            self._above.discard(id(value))

    def used(self) -> int:
        """How much of the room is taken."""
        return self._limits.total - self._left

    def entry(self, key: str, value: object, path: str, depth: int) -> Any:
        """The value under a key, unless the key says that it is secret."""
        if self._rules.hides(key):
            return REDACTED
        if self._rules.asks:  # the path is for the caller's function alone
            path = f"{path}.{key}" if path else key
        return self.plain(value, path, depth)

    def _subclass(self, value: object, path: str, depth: int) -> Any:
        """A text or a number of a class of its own, an enum's member, a pure path."""
        match value:
            case Enum():
                return self.plain(value.value, path, depth - 1)
            case str():
                return self._text(str.__str__(value), path)
            case int() | float():
                base = int(value) if isinstance(value, int) else float(value)
                return self.plain(base, path, depth)
        return self._text(str(value), path)

    def _bytes(self, value: Any, path: str, depth: int) -> str:
        return f"[{len(value):,} bytes]"

    def _error(self, value: object, path: str, depth: int) -> dict[str, str]:
        return {"error": type(value).__name__, "message": self._text(str(value), path)}

    def _moment(self, value: Any, path: str, depth: int) -> Any:
        return value.total_seconds() if isinstance(value, timedelta) else value.isoformat()

    def _mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, item in islice(value.items(), self._limits.items):
            if self._left <= 0:
                break
            name = _encodable(key if type(key) is str else _key(key))[:200]
            if self._rules.filters:
                name = self._rules.without_patterns(name)
            self._left -= len(name)
            made[name] = self.entry(name, item, path, depth - 1)
        if (left_out := len(value) - len(made)) > 0:
            made["…"] = f"[{left_out:,} more]"
        return made

    def _sequence(self, value: Sequence[Any] | Set[Any], path: str, depth: int) -> list[Any]:
        """A long list keeps its end as well: that is where a conversation goes on."""
        size, most = len(value), self._limits.items
        if size <= most or not isinstance(value, list | tuple):
            made = self._items(islice(value, most), path, depth)
            return [*made, f"[{size - len(made):,} more]"] if len(made) < size else made
        head = most // 4
        first = self._items(value[:head], path, depth)
        last = self._items(value[size - (most - head) :], path, depth)
        return [*first, f"[{size - len(first) - len(last):,} more]", *last]

    def _items(self, values: Iterable[Any], path: str, depth: int) -> list[Any]:
        made = []
        for item in values:
            if self._left <= 0:
                break
            made.append(self.plain(item, path, depth - 1))
        return made

    def _record(self, value: Any, path: str, depth: int) -> Any:
        """A dataclass or a pydantic model: what its repr would show."""
        names = _shown_names(type(value))
        return self._mapping({name: getattr(value, name, None) for name in names}, path, depth)

    def _strange(self, value: object, path: str, depth: int) -> str:
        return f"[{_name(value)}]"

    def _message(self, value: Any, path: str, depth: int) -> dict[str, Any]:
        """A LangChain message: what is empty is left out, and so are the provider's own fields."""
        before = self._left
        found = {"type": value.type, "content": value.content}
        for name in _MESSAGE_FIELDS:
            if item := getattr(value, name, None):
                found[name] = item
        made = self._mapping(found, path, depth)
        if self._whole and depth > _MESSAGE_DEPTH and self._left > self._limits.text:
            self._rules.remember(value, made, before - self._left)
        return made

    def _text(self, value: str, path: str) -> str:
        made = self._rules.text(value, path, min(self._limits.text, max(0, self._left)))
        self._left -= len(made)
        return made


_Maker: TypeAlias = Callable[[_Walk, Any, str, int], Any]

_SCALARS: Final = frozenset({int, float, bool, type(None)})
_TEXTUAL: Final = frozenset({"uuid", "decimal", "fractions", "ipaddress", "re"})
_MAKERS: Final[tuple[tuple[tuple[type, ...], _Maker], ...]] = (
    ((Mapping,), _Walk._mapping),
    ((str, int, float, Enum, PurePath), _Walk._subclass),
    ((bytes, bytearray, memoryview), _Walk._bytes),
    ((BaseException,), _Walk._error),
    ((Sequence, Set), _Walk._sequence),
    ((datetime, date, time, timedelta), _Walk._moment),
)


def _maker_of(cls: type) -> _Maker:
    """How values of a class are made plain."""
    for classes, maker in _MAKERS:
        if issubclass(cls, classes):
            return maker
    names = _names_of(cls)
    if "additional_kwargs" in names:
        return _Walk._message
    if names:
        return _Walk._record
    return _Walk._subclass if cls.__module__ in _TEXTUAL else _Walk._strange


def _names_of(cls: type) -> tuple[str, ...]:
    """The fields of a dataclass or a pydantic model that its repr shows; () for anything else.

    `additional_kwargs` is always among them: it marks LangChain's messages.
    """
    found: Any = getattr(cls, "model_fields", None) or getattr(cls, "__pydantic_fields__", None)
    if not isinstance(found, Mapping):
        found = {spec.name: spec for spec in fields(cls)} if is_dataclass(cls) else {}
    return tuple(
        name
        for name, spec in found.items()
        if getattr(spec, "repr", True) is not False or name == "additional_kwargs"
    )


_maker: Final = cast("Callable[[type], _Maker]", lru_cache(maxsize=2_000)(_maker_of))
_shown_names: Final = cast("Callable[[type], tuple[str, ...]]", lru_cache(maxsize=2_000)(_names_of))


def _is_json(value: float | bool | None) -> bool:
    if type(value) is float:
        return isfinite(value)
    return not isinstance(value, int) or -_SAFE_INT < value < _SAFE_INT


def _not_json(value: float) -> str:
    bits = value.bit_length() if isinstance(value, int) else 0
    return str(value) if bits <= _LONGEST_INT_BITS else f"[an int of {bits:,} bits]"


def _key(value: object) -> str:
    return str(value) if isinstance(value, str | int | float | bool | None) else f"[{_name(value)}]"


def _name(value: object) -> str:
    cls, size = type(value), ""
    try:
        size = f" of {len(value):,}" if isinstance(value, Mapping | list | tuple | Set) else ""
    except Exception:  # noqa: BLE001  # anybody's __len__
        return f"{cls.__module__}.{cls.__qualname__}".removeprefix("builtins.")
    return f"{cls.__module__}.{cls.__qualname__}{size}".removeprefix("builtins.")


def _encodable(text: str) -> str:
    """`text` as UTF-8 and every database take it: no lone surrogate, no NUL."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\0", unicodedata.lookup("SYMBOL FOR NULL")) if "\0" in text else text
