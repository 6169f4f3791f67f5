"""Counts of many sessions, read as figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property

from services.analytics.session_metrics import Outcome
from services.analytics.significance import Spread


class Figures:
    """What `services.analytics.session_metrics` counted, of any number of sessions together."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.counts = counts

    @property
    def sessions(self) -> int:
        """How many there were, those that go on among them."""
        return self.counts.get("sessions", 0)

    @property
    def over(self) -> int:
        """How many of them are over: shares are parts of these."""
        return self.sessions - self.outcome(Outcome.OPEN)

    @property
    def judged(self) -> int:
        """How many have a verdict."""
        return sum(self.named("verdict").values())

    @property
    def busy_s(self) -> float:
        """Seconds of sessions that passed in this time; an hour's share of 3,600 is how many at once."""
        return self.counts.get("busy", 0) / 1e6

    def outcome(self, outcome: Outcome) -> int:
        """How many sessions went like that."""
        return self.counts.get(f"outcome|{outcome}", 0)

    def named(self, first: str) -> dict[str, int]:
        """Counts with a name of two parts, by the second: outcome, cause, verdict, path; most first."""
        found = [
            (rest, count)
            for name, count in self.counts.items()
            if (parts := name.partition("|"))[0] == first and (rest := parts[2]) and "|" not in rest
        ]
        return dict(sorted(found, key=lambda pair: -pair[1]))

    def spread(self, name: str) -> Spread:
        """Times of that name, such as `part|answer`, `node|route`, `edge|route|plan`, `duration`."""
        return Spread(
            steps=self._steps.get(name, {}),
            total_us=self.counts.get(f"{name}|us", 0),
            sessions=self.counts.get(f"{name}|sessions", 0),
        )

    def nodes(self) -> tuple[str, ...]:
        """Every node that ran, asked or was cut off."""
        return tuple(sorted({one for (one,) in self._parts("node", 1)}))

    def edges(self) -> tuple[tuple[str, str], ...]:
        """Every edge that was taken, as source and target."""
        return tuple(sorted((source, target) for source, target in self._parts("edge", 2)))

    def questions(self) -> tuple[str, ...]:
        """Every node that asked a human."""
        asked = {one for (one,) in self._parts("waited", 1)} | set(self.named("unanswered"))
        return tuple(sorted(asked))

    def scores(self) -> dict[str, dict[str, int]]:
        """Each question of the scorecard with its answers, and how often each was given."""
        found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for name, count in self.counts.items():
            parts = name.split("|")
            if parts[0] == "score" and len(parts) == 3:
                found[parts[1]][parts[2]] = count
        return dict(found)

    def _parts(self, first: str, count: int) -> Iterable[tuple[str, ...]]:
        for name in self.counts:
            parts = name.split("|")
            if parts[0] == first and len(parts) > count + 1:
                yield tuple(parts[1 : count + 1])

    @cached_property
    def _steps(self) -> Mapping[str, Mapping[int, int]]:
        steps: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for name, count in self.counts.items():
            head, _, last = name.rpartition("|")
            if last.isascii() and last.isdigit() and count > 0:
                steps[head][int(last)] = count
        return steps
