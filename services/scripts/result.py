"""What came of scripts: checked line by line, as rows, as text and as JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from services.scripts.script import Expectation, Script

_NOT_XML: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResult:
    """One line: what was said, understood and answered. `latency_ms` None: nothing was answered."""

    said: str
    heard: str
    answered: str
    path: tuple[str, ...]
    latency_ms: float | None
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all expectations held."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptResult:
    """One script's run. `error`: why it stopped before its end; "" if it did not."""

    script: Script
    session_id: str
    lines: tuple[LineResult, ...]
    took_s: float
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether it came to its end and every expectation held."""
        return not self.error and all(line.passed for line in self.lines)


def check(
    expected: Expectation, answered: str, path: Sequence[str], latency_ms: float | None
) -> tuple[str, ...]:
    """What is wrong with an answer, as sentences; empty: nothing."""
    problems: list[str] = []
    low = answered.casefold()
    if not answered and (expected.contains or expected.max_latency_ms is not None):
        problems.append("No answer in time.")
    else:
        problems += [
            f"The answer doesn't contain {text!r}."
            for text in expected.contains
            if text.casefold() not in low
        ]
    problems += [
        f"The answer contains {text!r}." for text in expected.lacks if text.casefold() in low
    ]
    missed = [node for node in expected.visits if node not in path]
    if missed:
        problems.append(f"Not visited: {', '.join(missed)}.")
    if expected.path is not None and tuple(path) != expected.path:
        problems.append(f"The path was {' → '.join(path) or 'empty'}.")
    most = expected.max_latency_ms
    if most is not None and latency_ms is not None and latency_ms > most:
        problems.append(f"Latency {latency_ms:,.0f} ms exceeds {most:,.0f} ms.")
    return tuple(problems)


def as_text(results: Iterable[ScriptResult]) -> str:
    """For a terminal: a line a script, and what was wrong below it."""
    lines: list[str] = []
    for result in results:
        word = "passed" if result.passed else "FAILED"
        lines.append(
            f"{word}  {result.script.name}  ({result.took_s:.1f} s, {result.session_id or 'none'})"
        )
        if result.error:
            lines.append(f"        stopped: {result.error}")
        for number, line in enumerate(result.lines, start=1):
            lines += [
                f"        line {number} ({_short(line.said)}): {problem}  "
                f"answered: {_short(line.answered)}"
                for problem in line.problems
            ]
    return "\n".join(lines)


def as_junit(results: Sequence[ScriptResult]) -> str:
    """JUnit XML: a test case a script, in one suite."""
    failed = sum(not result.passed and not result.error for result in results)
    errors = sum(bool(result.error) for result in results)
    suite = ElementTree.Element(
        "testsuite",
        name="switchboard scripts",
        tests=str(len(results)),
        failures=str(failed),
        errors=str(errors),
        time=f"{sum(result.took_s for result in results):.3f}",
    )
    for result in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=_xml(result.script.agent),
            name=_xml(result.script.name),
            time=f"{result.took_s:.3f}",
        )
        if result.error:
            ElementTree.SubElement(case, "error", message=_xml(result.error))
        elif not result.passed:
            wrong = [
                f"line {number}: {problem}"
                for number, line in enumerate(result.lines, start=1)
                for problem in line.problems
            ]
            found = ElementTree.SubElement(case, "failure", message=_xml(wrong[0]))
            found.text = _xml("\n".join(wrong))
        out = ElementTree.SubElement(case, "system-out")
        out.text = _xml(
            "\n".join(f"> {line.said}\n< {line.answered}" for line in result.lines)
            + f"\nsession {result.session_id}"
        )
    body: str = ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)
    return body


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
