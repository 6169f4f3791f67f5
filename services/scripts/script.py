"""A script as people write it: YAML in, frozen values out, with errors that name the line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from services.errors import InvalidInputError

SUFFIXES: Final = (".yaml", ".yml")
MOST_BYTES: Final = 100_000
MOST_SCRIPTS: Final = 200

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]


class Expectation(BaseModel):
    """What must be true of one answer. Texts are looked for without regard to capitals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    contains: tuple[_Text, ...] = Field(default=(), max_length=20)
    lacks: tuple[_Text, ...] = Field(default=(), max_length=20)
    visits: tuple[_Text, ...] = Field(default=(), max_length=50)
    """Nodes that must have run."""
    path: tuple[_Text, ...] | None = Field(default=None, max_length=200)
    """The nodes that ran, all of them and in this order."""
    max_latency_ms: float | None = Field(default=None, gt=0)
    """From the end of the line to the first sign of the answer."""


class Line(BaseModel):
    """One step: something said, or a human's decision, or neither (what the agent says by itself)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    say: _Text | None = None
    decide: Literal["accept", "edit", "respond", "ignore"] | None = None
    args: Any = None  # of the decision
    expect: Expectation = Expectation()
    within_s: float | None = Field(default=None, gt=0, le=120)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Text
    agent: _Text = "pm-agent"
    mode: Literal["text", "voice"] = "text"
    user: _Text = "script"
    lines: tuple[Line, ...] = Field(min_length=1, max_length=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One scripted session. `source`: where it came from, for people."""

    name: str
    agent: str
    mode: Literal["text", "voice"]
    user: str
    lines: tuple[Line, ...]
    source: str = ""


def parse(text: str, *, source: str = "") -> Script:
    """The script of a YAML text.

    Raises:
        InvalidInputError: it is no YAML, or not a script; says where.
    """
    where = f"{source}: " if source else ""
    if len(text.encode("utf-8", errors="surrogatepass")) > MOST_BYTES:
        raise InvalidInputError(
            f"{where}The script is longer than {MOST_BYTES:,} bytes.",
            hint="Split it into several scripts.",
        )
    try:
        raw = yaml.safe_load(text)
        body = _Body.model_validate(raw)
    except (yaml.YAMLError, RecursionError) as exc:
        raise InvalidInputError(
            f"{where}Invalid YAML{_place(exc)}.", hint="docs/scripts.md has an example."
        ) from None
    except ValidationError as exc:
        raise InvalidInputError(
            f"{where}{_first(exc)}", hint="docs/scripts.md has every field."
        ) from None
    if any(line.say is not None and line.decide is not None for line in body.lines):
        raise InvalidInputError(
            f"{where}A line has either `say` or `decide`, not both.",
            hint="Split it into two lines.",
        )
    return Script(
        name=body.name,
        agent=body.agent,
        mode=body.mode,
        user=body.user,
        lines=body.lines,
        source=source,
    )


def read(paths: Iterable[Path]) -> tuple[Script, ...]:
    """The scripts of these files, and of all in these folders, in the order of their names.

    Raises:
        InvalidInputError: a file cannot be read or is no script, or there are none or too many.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
        else:
            files.append(path)
    if not files:
        raise InvalidInputError(
            "No scripts found.", hint="Pass .yaml files or a folder with such files."
        )
    if len(files) > MOST_SCRIPTS:
        raise InvalidInputError(
            f"{len(files)} scripts are more than the limit of {MOST_SCRIPTS}.",
            hint="Run fewer scripts.",
        )
    return tuple(parse(_text(file), source=file.name) for file in files)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInputError(f"Cannot read {file}: {exc}", hint="Check the path.") from None


def _place(exc: Exception) -> str:
    mark = getattr(exc, "problem_mark", None)
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""


def _first(exc: ValidationError) -> str:
    error = exc.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in error["loc"]) or "the script"
    return f"{place}: {error['msg']}."
