"""Counts by their names, gathered of one session."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Final

from services.analytics.histogram import step_of

_NAME_MOST: Final = 80
_DIFFERENT: Final = 150  # nodes, edges or paths of one session that are told apart
_US: Final = 1_000  # in a millisecond


def part(text: object) -> str:
    """Text as a part of a count's name."""
    return str(text or "").replace("|", "/")[:_NAME_MOST]


def ms_between(since: datetime, until: datetime) -> float:
    """Never less than none: clocks differ."""
    return max(0.0, (until - since) / timedelta(milliseconds=1))


_LONGEST_MS: Final = 7 * 24 * 3600 * 1000.0


class Tally:
    """`marks`: what the session can be found by, with the longest time (ms) that it took."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.marks: dict[str, float] = {}
        self._timed: set[str] = set()
        self._different: defaultdict[str, set[str]] = defaultdict(set)

    def time(self, name: str, ms: float) -> None:
        """Count a time on the scale, and that this session has such a time.

        Bounded: one absurd time of an older recording must not spoil the sums, or stop them.
        """
        ms = 0.0 if ms != ms else min(max(ms, 0.0), _LONGEST_MS)  # NaN
        self.counts[f"{name}|{step_of(ms)}"] += 1
        self.counts[f"{name}|us"] += round(ms * _US)
        if name not in self._timed:
            self._timed.add(name)
            self.counts[f"{name}|sessions"] += 1
        self.marks[name] = max(self.marks.get(name, 0.0), ms)

    def mark(self, name: str) -> None:
        """Count it, and let the session be found by it."""
        self.counts[name] += 1
        self.marks.setdefault(name, 0.0)

    def has_room(self, name: str) -> bool:
        """A graph that makes up its nodes' names must not make a row without an end."""
        there = self._different[name.partition("|")[0]]
        if name not in there and len(there) >= _DIFFERENT:
            return False
        there.add(name)
        return True
