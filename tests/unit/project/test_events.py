"""What documents and front end say of agents' events is what their module declares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from jsonschema import Draft202012Validator

from scripts.events import GUIDE, SCHEMA, TYPES, documents, main, outdated, schema
from services.events import Kind
from services.settings import PROJECT_DIR
from switchboard_recorder.events import (
    PAYLOADS,
    EventKind,
    Items,
    Json,
    Name,
    Number,
    Text,
    object_shape,
)

RECORDED = PROJECT_DIR / "frontend/tests/session/trace.json"


def test_what_is_made_of_the_declarations_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_what_is_out_of_date_is_named(tmp_path: Path) -> None:
    for path, text in documents(PROJECT_DIR).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    assert outdated(tmp_path) == []
    guide = (tmp_path / GUIDE).read_text(encoding="utf-8")
    (tmp_path / GUIDE).write_text(
        guide.replace("`ttft_ms` ms?", "`ttft_ms` text"), encoding="utf-8"
    )
    (tmp_path / TYPES).unlink()
    assert outdated(tmp_path) == [GUIDE, TYPES]
    (tmp_path / SCHEMA).write_text("{}", encoding="utf-8")
    assert outdated(tmp_path) == [GUIDE, SCHEMA, TYPES]


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_of_a_job_is_one_of_the_logs_and_has_its_payload(kind: EventKind) -> None:
    assert Kind(kind.value).name == {"ERROR": "AGENT_ERROR", "OTHER": "UNKNOWN_AGENT_EVENT"}.get(
        kind.name, kind.name
    )
    assert object_shape(PAYLOADS[kind]).fields


class Unbounded(TypedDict):
    text: str


class Loose(TypedDict):
    texts: list[Name]


class Sound(TypedDict):
    free: Json
    few: Annotated[list[Annotated[str, Text("short", 3)]], Items(2)]
    count: Annotated[int, Number("count", 1, 9)]
    share: Annotated[float, Number("share", 0, 1, drops=True)] | None


@pytest.mark.parametrize("cls", [Unbounded, Loose])
def test_a_field_without_bounds_is_refused(cls: type) -> None:
    with pytest.raises(TypeError, match="has no bounds"):
        object_shape(cls)


def test_bounds_are_read_from_the_declaration() -> None:
    free, few, count, share = object_shape(Sound).fields.values()
    assert free.type == "json"
    assert few.item is not None
    assert (few.type, few.most, few.item.type, few.item.most) == ("list", 2, "text", 3)
    assert (count.type, count.least, count.most, count.nullable) == ("integer", 1, 9, False)
    assert (share.type, share.drops, share.nullable) == ("number", True, True)


def test_what_a_recorder_sent_is_as_the_schema_has_it() -> None:
    Draft202012Validator.check_schema(schema())
    validator = Draft202012Validator(schema())
    recorded = [e for e in json.loads(RECORDED.read_text())["events"] if e["source"] == "agent"]
    assert {event["kind"] for event in recorded} >= {"node_finished", "interrupt_raised"}
    for event in recorded:
        validator.validate({"seq": 1, **event})


@pytest.mark.parametrize(
    ("kind", "data", "valid"),
    [
        ("run_finished", {"ms": 0, "next": []}, True),
        ("run_finished", {"ms": -1}, False),
        ("run_finished", {"next": ["x"] * 301}, False),
        ("run_failed", {"error": None}, True),
        ("run_failed", {"error": 3}, False),
        ("error", {"message": "x" * 20_001}, False),
        ("command_completed", {"outcome": "perhaps"}, False),
        ("graph_described", {"nodes": [{"kind": "star"}]}, False),
        ("job_started", {"versions": {"a": 1}}, False),
        ("custom", {"data": {"any": [1]}, "of_tomorrow": 1}, True),
        ("of_tomorrow", {"ms": "soon"}, True),
    ],
)
def test_the_schema_has_the_bounds(kind: str, data: dict[str, Any], valid: bool) -> None:
    record = {"seq": 1, "kind": kind, "at": "2026-01-01T00:00:00Z", "data": data}
    assert Draft202012Validator(schema()).is_valid(record) == valid
