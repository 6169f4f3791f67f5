"""Scripted test sessions, without a server: what a script is, and what is said of its result."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from services.errors import InvalidInputError
from services.scripts.result import (
    LineResult,
    ScriptResult,
    as_junit,
    as_text,
    check,
)
from services.scripts.script import MOST_BYTES, Expectation, parse, read
from services.settings import Settings

SCRIPT = """
name: One
agent: echo
lines:
  - expect: {contains: [hello]}
  - say: "  Hi there  "
    expect: {visits: [answer], max_latency_ms: 500}
  - decide: edit
    args: {title: x}
"""


def test_a_script_is_read() -> None:
    script = parse(SCRIPT)
    assert (script.name, script.agent, script.mode) == ("One", "echo", "text")
    greeting, said, decided = script.lines
    assert greeting.say is None
    assert greeting.expect.contains == ("hello",)
    assert said.say == "Hi there"
    assert said.expect.max_latency_ms == 500
    assert (decided.decide, decided.args) == ("edit", {"title": "x"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the script"),
        ("- a", "the script"),
        ("name: x", "lines"),
        ("name: x\nlines: []", "lines"),
        ("name: x\nlines: [{sag: y}]", "lines.0.sag"),
        ("name: x\nlines: [{say: ''}]", "lines.0.say"),
        ("name: x\nlines: [{decide: maybe}]", "lines.0.decide"),
        ("name: x\nlines: [{expect: {max_latency_ms: .nan}}]", "max_latency_ms"),
        ("name: x\nmode: video\nlines: [{}]", "mode"),
        ("name: [\n", "line 2"),
        ("name: !!python/object/apply:os.system [ls]\nlines: [{}]", "Invalid YAML"),
        ("name: x\nlines: [{say: a, decide: accept}]", "not both"),
        ("a: &a [*a]", "name"),
        ("x" * (MOST_BYTES + 1), "longer than"),
        ("[" * 5000, "Invalid YAML"),
    ],
)
def test_what_is_no_script_is_refused_and_says_where(text: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=r"mine\.yaml") as caught:
        parse(text, source="mine.yaml")
    assert said.casefold() in str(caught.value).casefold()


def test_a_folder_gives_its_scripts_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "notes.txt"):
        (tmp_path / name).write_text(SCRIPT.replace("One", name), encoding="utf-8")
    assert [script.name for script in read([tmp_path])] == ["a.yml", "b.yaml"]
    assert [script.source for script in read([tmp_path / "b.yaml"])] == ["b.yaml"]


def test_an_empty_folder_and_a_missing_file_are_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No scripts"):
        read([tmp_path])
    with pytest.raises(InvalidInputError, match="Cannot read"):
        read([tmp_path / "gone.yaml"])


def test_every_script_that_ships_can_be_read() -> None:
    found = read([Settings().switchboard_scripts_dir])
    assert len(found) >= 4
    assert {"text", "voice"} == {script.mode for script in found}


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ({"contains": ("PLAN", "next")}, None),
        ({"contains": ("ticket",)}, "contain 'ticket'"),
        ({"lacks": ("ticket",)}, None),
        ({"lacks": ("plan",)}, "contains 'plan'"),
        ({"visits": ("b", "a")}, None),
        ({"visits": ("c",)}, "Not visited: c"),
        ({"path": ("a", "b")}, None),
        ({"path": ("b", "a")}, "The path was a → b"),
        ({"max_latency_ms": 100}, "Latency 120 ms"),
        ({"max_latency_ms": 121}, None),
    ],
)
def test_expectations_are_checked(expected: dict[str, object], problem: str | None) -> None:
    found = check(Expectation.model_validate(expected), "The plan is next.", ["a", "b"], 120)
    assert [problem in text for text in found if problem] == ([True] if problem else [])
    assert bool(found) is (problem is not None)


def test_no_answer_at_all_is_one_problem() -> None:
    found = check(Expectation(contains=("a", "b")), "", [], None)
    assert found == ("No answer in time.",)


def _result(*lines: LineResult, error: str = "") -> ScriptResult:
    return ScriptResult(
        script=parse(SCRIPT), session_id="ses_1", lines=lines, took_s=1.5, error=error
    )


def _line(*problems: str, answered: str = "ok") -> LineResult:
    return LineResult(
        said="hi", heard="hi", answered=answered, path=("a",), latency_ms=5, problems=problems
    )


def test_junit_counts_and_holds_what_xml_can_hold() -> None:
    results = [
        _result(_line(answered="]]> <b> \x00 \ud800 😀")),
        _result(_line("Wrong."), _line("Worse.")),
        _result(error="It stopped."),
    ]
    suite = ElementTree.fromstring(as_junit(results))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    good, bad, stopped = suite.findall("testcase")
    assert "]]> <b>" in (good.findtext("system-out") or "")
    assert bad.findtext("failure") == "line 1: Wrong.\nline 2: Worse."
    error = stopped.find("error")
    assert error is not None
    assert error.get("message") == "It stopped."


def test_the_text_names_what_failed() -> None:
    text = as_text([_result(_line()), _result(_line("Wrong.")), _result(error="It stopped.")])
    assert text.count("FAILED") == 2
    assert "line 1 (hi): Wrong." in text
    assert "stopped: It stopped." in text
