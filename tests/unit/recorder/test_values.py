"""Any value becomes small, plain JSON: cut, without cycles, redacted, and never an error."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.types import Command, Interrupt, Send
from pydantic import BaseModel, Field

from switchboard_recorder.protocol import Live, decode, encode
from switchboard_recorder.times import now
from switchboard_recorder.values import NARROWER, REDACTED, Limits, Plain

plain = Plain()


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Ticket:
    title: str
    owner: str | None = None
    hidden: str = field(default="", repr=False)


class Form(BaseModel):
    name: str
    inner: Ticket
    key: str = Field(default="", repr=False)


class Rude:
    """Fails at whatever it is asked."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


class RudeError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class RudeMapping(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> int:
        return -1


class Stubborn(str):
    """A text of its own kind."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> str:
        raise RuntimeError


def cyclic() -> list[Any]:
    made: list[Any] = [1]
    made.append({"again": made})
    return made


def deep(levels: int) -> Any:
    made: Any = "bottom"
    for _ in range(levels):
        made = {"down": [made]}
    return made


HOSTILE = [
    float("nan"), float("inf"), -float("inf"), 10**50, 10**10_000, -(2**63), True, None,
    b"\x00\xff" * 10, bytearray(5), memoryview(b"abc"), "\ud800 alone", "nul \0 here", "x" * 10**6,
    RudeError("x"), RudeMapping(), cyclic(), deep(2_000), {1: 2, None: 3, (1, 2): 4},
    {"\ud800": "\udfff"}, set(range(500)), frozenset({"a"}), deque([1, 2]), range(10**9),
    object(), type, len, Exception("no"), ExceptionGroup("many", [ValueError("one")]),
    datetime.now(UTC), date(2026, 1, 1), timedelta(seconds=90), Decimal("1.5"), Path("/x"),
    UUID(int=7), Colour.RED, Point(1, 2), Ticket("t"), Stubborn("s" * 10_000),
    [[["x" * 5_000] * 200] * 200] * 200, {str(n): "y" * 5_000 for n in range(5_000)},
    (n for n in range(3)), re.compile("x"), Interrupt(value={"q": 1}, id="i"), Send("node", {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: type(value).__name__)
def test_whatever_it_is_it_becomes_short_json(value: object) -> None:
    for limits in NARROWER:
        frame = encode(Live(kind="x", at=now(), data={"value": plain(value, limits)}))
        assert isinstance(decode(frame), Live)
        assert len(frame.encode()) < limits.total * 6 + 2_000


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: type(value).__name__)
def test_what_is_plain_stays_what_it_is(value: object) -> None:
    once = plain(value)
    json.dumps(once, allow_nan=False).encode()
    assert type(once) in {str, int, float, bool, dict, list, type(None)}


def test_a_long_text_says_how_long_it_was() -> None:
    cut = plain("a" * 5_000, Limits(text=10))
    assert cut == "aaaaaaaaaa… [cut: 5,000 characters]"
    assert plain("b" * 9_999, Limits(text=3)).endswith("[cut: 9,999 characters]")


def test_a_text_that_is_cut_twice_says_how_long_it_was_at_first() -> None:
    first = plain("a" * 50_000)
    assert plain(first, Limits(text=10)) == "aaaaaaaaaa… [cut: 50,000 characters]"


def test_a_long_list_keeps_its_beginning_and_its_end() -> None:
    assert plain(list(range(1_000)), Limits(items=4)) == [0, "[996 more]", 997, 998, 999]


def test_a_wide_mapping_says_how_much_is_missing() -> None:
    made = plain({str(n): n for n in range(10)}, Limits(items=3))
    assert made == {"0": 0, "1": 1, "2": 2, "…": "[7 more]"}


def test_depth_and_cycles_are_named() -> None:
    assert plain(deep(2), Limits(depth=2)) == {"down": ["[too deep: dict of 1]"]}
    assert plain(cyclic()) == [1, {"again": "[cycle: list of 2]"}]
    same = {"a": 1}
    assert plain([same, same]) == [{"a": 1}, {"a": 1}], "twice beside each other is no cycle"


def test_numbers_that_json_has_not_become_text() -> None:
    assert plain([float("nan"), float("inf"), 2**64]) == ["nan", "inf", "18446744073709551616"]
    assert plain(10**10_000) == "[an int of 33,220 bits]"


def test_bytes_and_strange_objects_are_named_and_not_shown() -> None:
    assert plain(b"secret") == "[6 bytes]"
    assert plain(object()) == "[object]"


def test_an_object_that_fails_at_everything_is_named() -> None:
    assert "Rude" in plain([Rude()])[0]
    assert plain({"rude": RudeError("x")})["rude"].startswith("[unreadable: ")


def test_models_and_dataclasses_show_what_their_repr_would() -> None:
    form = Form(name="n", inner=Ticket("t", hidden="h"), key="k")
    assert plain(form) == {"name": "n", "inner": {"title": "t", "owner": None}}


def test_messages_keep_what_matters() -> None:
    call = {"name": "add", "args": {"x": 1}, "id": "c1", "type": "tool_call"}
    said = AIMessage("hello", tool_calls=[call], id="m1")
    assert plain(said) == {"type": "ai", "content": "hello", "id": "m1", "tool_calls": [call]}
    assert plain(HumanMessage("hi")) == {"type": "human", "content": "hi"}
    answer = plain(ToolMessage("2", tool_call_id="c1"))
    assert answer == {"type": "tool", "content": "2", "tool_call_id": "c1", "status": "success"}


def test_what_langgraph_hands_over_is_shown() -> None:
    assert plain(Interrupt(value={"q": 1}, id="i1"))["id"] == "i1"
    assert plain(Command(goto="next", update={"a": 1}))["update"] == {"a": 1}


def test_an_exception_tells_its_class_and_text() -> None:
    assert plain(ValueError("bad")) == {"error": "ValueError", "message": "bad"}


def test_known_secrets_are_blanked_out_by_themselves() -> None:
    made = plain({"API_KEY": "k", "inner": [{"password": "p", "tokens_in": 3}]})
    assert made == {"API_KEY": REDACTED, "inner": [{"password": REDACTED, "tokens_in": 3}]}


def test_keys_and_patterns_can_be_named() -> None:
    rules = Plain(["Phone", re.compile(r"\b\d{4}-\d{4}\b")])
    made = rules({"phone": 5, "text": "card 1234-5678, thanks", "list": ["9999-0000"]})
    assert made == {"phone": REDACTED, "text": f"card {REDACTED}, thanks", "list": [REDACTED]}


def test_a_cut_leaves_no_half_of_a_secret() -> None:
    rules = Plain([re.compile(r"SECRET\d+END")])
    text = "a" * 95 + "SECRET" + "1" * 50 + "END" + "b" * 1_000
    assert "SECRET" not in rules(text, Limits(text=100))


def test_a_function_decides_over_each_leaf() -> None:
    def hide(path: str, value: Any) -> Any:
        return "***" if path == "user.name" else value

    assert Plain(hide)({"user": {"name": "Ann", "age": 3}}) == {"user": {"name": "***", "age": 3}}


def test_a_function_that_fails_hides() -> None:
    def broken(path: str, value: Any) -> Any:
        raise RuntimeError(path)

    assert Plain(broken)({"a": "x", "n": 1}) == {"a": REDACTED, "n": REDACTED}


def test_a_function_that_answers_with_something_else_hides() -> None:
    assert Plain(lambda _, __: object())({"a": "x", "n": 1}) == {"a": REDACTED, "n": REDACTED}
    assert Plain(lambda _, __: float("nan"))({"n": 1}) == {"n": "nan"}


def test_a_message_that_was_written_into_is_shown_as_it_is_now() -> None:
    rules, message = Plain(), AIMessage("first", id="m1")
    assert rules([message])[0]["content"] == "first"
    message.content = "second"
    assert rules([message])[0]["content"] == "second"
    message.tool_calls.append({"name": "add", "args": {}, "id": "c1", "type": "tool_call"})
    assert rules([message])[0]["tool_calls"][0]["name"] == "add"
    assert rules([message], Limits(text=3))[0]["content"] == "sec… [cut: 6 characters]"


def test_no_more_messages_are_remembered_than_a_call_needs() -> None:
    rules = Plain()
    rules.data({"state": [AIMessage(str(n)) for n in range(90)]})
    for _ in range(10):
        rules.data({"state": [AIMessage(str(n)) for n in range(90)]})
    assert len(rules.messages) <= 300
