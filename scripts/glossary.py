"""`python -m scripts.glossary`: UI texts, docs and public names use the words of the field.

One concept has one word. Each table maps the word to use to regular expressions for the words
that must not appear. It holds only what is unambiguous: a reviewer judges the rest.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

# What is stored was written in the words of its day.
HISTORY: Final[tuple[str, ...]] = ("services/store/migrations/",)

# Labels: the whole text, upper and lower case as here.
LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "Events": ("What happened",),
    "Details": ("Facts",),
    "Save": ("Keep it",),
    "Resume": ("Go on",),
    "Take over": ("Hand over",),
    "End call with goodbye": ("End politely",),
    "Comment": ("Remark",),
    "Concurrent sessions": ("At once",),
    "Duration": ("Lasted", "Lasts"),
    "p50 latency, max latency": ("Median", "Worst"),
    "Issues": ("Trouble",),
    "Redispatch exhausted": ("Given up", "Agent given up"),
    "Source": ("Known",),
    "Pass, Fail": ("Works", "works", "Does not", "does not"),
    "View sessions": ("See them",),
    "Unavailable, Checking": ("Away", "Asking"),
    "Duplicates": ("Came again",),
    "Fix, Impact": ("What to do", "Why it matters"),
    "Intended for": ("Held by",),
}

# Phrases, anywhere in a text that a user reads: string literals of Python (not docstrings), the
# code of the front end (not comments), prose in Markdown (not code blocks). In any case.
PHRASES: Final[Mapping[str, tuple[str, ...]]] = {
    "export": (r"\btake away\b", r"\btak(e|es|ing) (the )?sessions? away\b"),
    "save view": (r"\bkeep this view\b", r"\bview is kept\b", r"\bkept views?\b"),
    "save rule": (r"\bkeep the rule\b", r"\brules? (is|are) kept\b"),
    "participant": (
        r"\bwho was there\b",
        r"\b(first|last) person\b",
        r"\bmost people\b",
        r"\bas a person\b",
        r"\bpeople are (here|in the room)\b",
    ),
    "user": (r"\bfile of people\b", r"\bpeople and roles\b"),
    "result": (r"\bwhat (came|became) of\b",),
    "severity": (r"\bhow grave\b",),
    "cooldown": (r"\bquiet time\b",),
    "metric": (r"\bwatch for\b",),
    "active alert": (r"\b(is|was) the matter\b",),
    "default rules": (r"\busual rules\b",),
    "not significant": (r"\bmay be chance\b", r"\bnoise\?", r"\bmore than chance\b"),
    "remove, disconnect": (r"\bput(s|ting)? (\w+ )?out\b",),
    "block, unblock": (r"\bke(ep|eps|pt) out\b", r"\blets? (\w+ )?back\b", r"\bmay come back\b"),
    "redispatch": (r"\bask(s|ed|ing)? (for )?(again|anew)\b",),
    "dispatch": (r"\bwas asked for\b", r"\bask for (an|the|this|these) agents?\b"),
    "redispatch exhausted, dropped": (r"\bgiven up (by|after)\b", r"\bagent (was )?given up\b"),
    "respond": (r"\bsend remark\b",),
    "fix": (r"\bmend(s|ed|ing)?\b",),
    "concurrent sessions": (r"\bat once, (most|busiest)\b", r"\bsessions at once\b"),
    "p50, p95, max latency": (
        r"\bmedian answer\b",
        r"\banswer, (median|p95)\b",
        r"\b(slowest|worst) answer\b",
    ),
    "duration": (r"\blasted from\b", r"\blasts, median\b"),
    "pass": (r"\bjudged to work\b",),
    "no … match": (r"\bis like that\b", r"\bnothing was done that\b"),
    "clear drill-down": (r"\bshow others, too\b",),
    "commands": (r"\btell the agent\b",),
    "pending, waiting for human": (r"\bquestions? waits?\b", r"\bwaits? for (you|a human)\b"),
    "time range": (r"\bsessions that began in the\b",),
    "previous period": (r"\bthe time before\b",),
    "inspect token": (r"\blook into (a token|it)\b",),
    "create token": (r"\bmake (a|the) token\b",),
    "subscribe": (r"\bhear and see\b",),
    "text chat": (r"\bchat in text\b",),
    "live updates paused while hovering": (r"\brows hold still\b",),
    "zero": (r"\bnought\b",),
    "receives, gets": (r"\b(is|are) told\b",),
}

# Public modules, classes and functions, in lower case with "_" between words.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "remediation, fix": (r"mend(s|ed)?",),
    "blocks": (r"(is_)?kept_out", r"keep_out"),
    "unblock": (r"allow_back", r"let_back"),
    "remove": (r"put_out",),
    "saved_items": (r"kept(_things)?",),
    "redispatch": (r"ask_again",),
    "loop bridge": (r"crossing",),
    "batches": (r"portions?",),
    "retention": (r"erasing",),
    "significance": (r"(is_)?noise",),
    "comment": (r"remark",),
}

_TEXT_FOLDERS: Final = ("dashboard", "pages", "services")
_NAME_FOLDERS: Final = ("api", "agents", "dashboard", "pages", "services", "switchboard_recorder")
_FENCE: Final = re.compile(r"^\s*(```|~~~)")
_COMMENT: Final = re.compile(r"/\*.*?\*/|(?<![:\w])//[^\n]*", re.DOTALL)
_TS_TEXT: Final = re.compile(r'"([^"\n]*)"|`([^`]*)`|[>}]([^<>{}]+)[<{]')


@dataclass(frozen=True, slots=True)
class Hit:
    """A word that must not appear. `path` is relative to the root; lines count from 1."""

    path: str
    line: int
    found: str
    use: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: “{self.found}”: use “{self.use}”"


def texts_in_python(source: str) -> Iterator[tuple[int, str]]:
    """String literals with their lines, not docstrings; `{}` stands for what an f-string fills in."""
    tree = ast.parse(source)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in node.values)
            parts = [
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            ]
            yield node.lineno, "".join(parts)
    for node in ast.walk(tree):
        if id(node) in skipped or not isinstance(node, ast.Constant):
            continue
        if isinstance(node.value, str):
            yield node.lineno, node.value


def names_in_python(source: str) -> Iterator[tuple[int, str]]:
    """Public classes and functions with their lines."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not node.name.startswith("_"):
            yield node.lineno, node.name


def texts_in_typescript(source: str) -> Iterator[tuple[int, str]]:
    """String literals and the text of elements with their lines, not comments."""
    code = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), source)
    for match in _TS_TEXT.finditer(code):
        text = next(group for group in match.groups() if group is not None)
        yield code.count("\n", 0, match.start()) + 1, " ".join(text.split())


def texts_in_markdown(source: str) -> Iterator[tuple[int, str]]:
    """Paragraphs with the line of their start, not code blocks."""
    inside, first, lines = False, 0, list[str]()
    for number, line in enumerate([*source.splitlines(), ""], start=1):
        fence = _FENCE.match(line) is not None
        if inside or fence or not line.strip():
            if lines:
                yield first, " ".join(lines)
            lines = []
        else:
            first = first if lines else number
            lines.append(line.strip())
        inside = inside != fence


def snake_case(name: str) -> str:
    """`SavedItems` becomes `saved_items`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def hits_in_text(path: str, texts: Iterable[tuple[int, str]]) -> Iterator[Hit]:
    """The labels and phrases that must not appear in these texts."""
    for line, text in texts:
        for use, labels in LABELS.items():
            if text.strip() in labels:
                yield Hit(path, line, text.strip(), use)
        for use, patterns in PHRASES.items():
            for pattern in patterns:
                if match := re.search(pattern, text, re.IGNORECASE):
                    yield Hit(path, line, match[0], use)


def hits_in_names(path: str, names: Iterable[tuple[int, str]]) -> Iterator[Hit]:
    """The names that must not appear among these."""
    for line, name in names:
        for use, patterns in NAMES.items():
            if any(re.fullmatch(pattern, snake_case(name)) for pattern in patterns):
                yield Hit(path, line, name, use)


def hits(root: Path) -> list[Hit]:
    """All of them, by path and line."""
    found: list[Hit] = []
    for folder in dict.fromkeys((*_TEXT_FOLDERS, *_NAME_FOLDERS)):
        for file in sorted((root / folder).rglob("*.py")):
            path, source = file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")
            if folder in _TEXT_FOLDERS:
                found += hits_in_text(path, texts_in_python(source))
            if folder in _NAME_FOLDERS:
                found += hits_in_names(path, [(1, file.stem), *names_in_python(source)])
    for file in sorted((root / "frontend" / "src").rglob("*.ts*")):
        source = file.read_text(encoding="utf-8")
        found += hits_in_text(file.relative_to(root).as_posix(), texts_in_typescript(source))
    for file in (*sorted((root / "docs").glob("*.md")), root / "README.md"):
        source = file.read_text(encoding="utf-8") if file.is_file() else ""
        found += hits_in_text(file.relative_to(root).as_posix(), texts_in_markdown(source))
    return [hit for hit in found if not hit.path.startswith(HISTORY)]


if __name__ == "__main__":
    if reported := hits(ROOT):
        sys.exit("\n".join(map(str, reported)))
    print("Texts and names use the words of the field.")
