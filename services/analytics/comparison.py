"""The figures that a time, an agent or a version is judged by, and how two of them differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from services.analytics.metrics import Figures
from services.analytics.session_metrics import Outcome
from services.analytics.significance import Difference, of_quantiles, of_rates, of_shares

PART_WORDS: Final = MappingProxyType(
    {
        "transcription": "Speech-to-text",
        "turn detection": "End-of-turn detection",
        "graph": "Graph (first token)",
        "synthesis": "Text-to-speech (first byte)",
        "answer": "Total latency",
    }
)
PARTS: Final = tuple(PART_WORDS)
_HOURS_OF_A_DAY: Final = 24


class Unit(StrEnum):
    """What a figure is measured in."""

    SHARE = "share"  # 0 to 1
    MS = "ms"
    PER_DAY = "a day"


class Better(StrEnum):
    """Which way is good news."""

    MORE = "more"
    LESS = "less"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure of what is looked at (`value`) and of what it is compared with (`before`).

    `mark`, `errors` and `verdict` lead to its sessions (`services.store.session_fields.SessionFilter`).
    """

    name: str  # unique
    words: str
    unit: Unit
    better: Better
    value: float | None
    before: float | None = None
    difference: Difference | None = None
    mark: str = ""
    is_high: bool = False  # a percentile: those above it are worth a look
    errors: bool = False
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many."""

    name: str
    words: str
    better: Better
    of: Callable[[Figures], tuple[int, int]]
    mark: str = ""
    errors: bool = False
    verdict: str = ""


_SHARES: Final = (
    Share(
        name="abandoned",
        words="Abandoned",
        better=Better.LESS,
        of=lambda figures: (figures.outcome(Outcome.ABANDONED), figures.over),
        mark=f"outcome|{Outcome.ABANDONED}",
    ),
    Share(
        name="nobody",
        words="No participant",
        better=Better.LESS,
        of=lambda figures: (figures.outcome(Outcome.NOBODY), figures.over),
        mark=f"outcome|{Outcome.NOBODY}",
    ),
    Share(
        name="troubled",
        words="Error rate",
        better=Better.LESS,
        of=lambda figures: (figures.counts.get("troubled", 0), figures.sessions),
        errors=True,
    ),
    Share(
        name="passed",
        words="Pass rate",
        better=Better.MORE,
        of=lambda figures: (figures.named("verdict").get("pass", 0), figures.judged),
        verdict="pass",
    ),
)


def compare(
    figures: Figures, hours: float, before: Figures | None = None, before_hours: float = 0.0
) -> tuple[Line, ...]:
    """Every figure, in a fixed order; `hours` is how long the time is."""
    return (
        _sessions(figures, hours, before, before_hours),
        *(_share(share, figures, before) for share in _SHARES),
        *_times("duration", "Duration", figures, before, better=Better.NEITHER),
        *(
            line
            for part in reversed(PARTS)
            for line in _times(f"part|{part}", PART_WORDS[part], figures, before)
        ),
        *_questions(figures, before),
        *_nodes(figures, before),
    )


def _sessions(figures: Figures, hours: float, before: Figures | None, before_hours: float) -> Line:
    per_day = figures.sessions / hours * _HOURS_OF_A_DAY if hours else None
    was, difference = None, None
    if before is not None and before_hours:
        was = before.sessions / before_hours * _HOURS_OF_A_DAY
        difference = of_rates(
            (before.sessions, before_hours / _HOURS_OF_A_DAY),
            (figures.sessions, hours / _HOURS_OF_A_DAY),
        )
    return Line(
        name="sessions",
        words="Sessions per day",
        unit=Unit.PER_DAY,
        better=Better.NEITHER,
        value=per_day,
        before=was,
        difference=difference,
    )


def _share(share: Share, figures: Figures, before: Figures | None) -> Line:
    count, of = share.of(figures)
    was = share.of(before) if before is not None else (0, 0)
    return Line(
        name=share.name,
        words=share.words,
        unit=Unit.SHARE,
        better=share.better,
        value=count / of if of else None,
        before=was[0] / was[1] if was[1] else None,
        difference=of_shares(was, (count, of)),
        mark=share.mark,
        errors=share.errors,
        verdict=share.verdict,
    )


def _times(
    name: str, words: str, figures: Figures, before: Figures | None, *, better: Better = Better.LESS
) -> Iterable[Line]:
    now = figures.spread(name)
    was = before.spread(name) if before is not None else None
    for part, label in ((0.5, "median"), (0.95, "p95")):
        yield Line(
            name=f"{name}.{label}",
            words=f"{words}, {'p50' if part == 0.5 else label}",
            unit=Unit.MS,
            better=better,
            value=now.quantile(part),
            before=was.quantile(part) if was is not None else None,
            difference=of_quantiles(was, now, part) if was is not None else None,
            mark=name,
            is_high=part > 0.5,
        )


def _questions(figures: Figures, before: Figures | None) -> Iterable[Line]:
    both = {*figures.questions(), *(before.questions() if before is not None else ())}
    for node in sorted(both):
        yield from _times(f"waited|{node}", f"Interrupt wait, {node}", figures, before)


def _nodes(figures: Figures, before: Figures | None) -> Iterable[Line]:
    both = {*figures.nodes(), *(before.nodes() if before is not None else ())}
    for node in sorted(both):
        yield from _times(f"node|{node}", f"Node {node}", figures, before)
        yield _failed(node, figures, before)


def _failed(node: str, figures: Figures, before: Figures | None) -> Line:
    now, was = runs_failed(figures, node), (0, 0)
    difference = None
    if before is not None:
        was = runs_failed(before, node)
        difference = of_shares(_by_session(before, node), _by_session(figures, node))
    return Line(
        name=f"node|{node}|errors",
        words=f"Node {node}, failure rate",
        unit=Unit.SHARE,
        better=Better.LESS,
        value=now[0] / now[1] if now[1] else None,
        before=was[0] / was[1] if was[1] else None,
        difference=difference,
        mark=f"node|{node}|errors",
    )


def _by_session(figures: Figures, node: str) -> tuple[float, float]:
    """The same share of as many as there are sessions: the runs of one hang together."""
    count, of = runs_failed(figures, node)
    sessions = figures.spread(f"node|{node}").sessions
    return (count * sessions / of, sessions) if of else (0.0, 0.0)


def runs_failed(figures: Figures, node: str) -> tuple[int, int]:
    """How many of the runs of a node failed."""
    return figures.counts.get(f"node|{node}|errors", 0), figures.spread(f"node|{node}").n
