"""Whether two figures differ by more than chance: bounds that hold 95 times of 100."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.analytics.histogram import begins_ms

_Z: Final = 1.96
_US: Final = 1_000  # in a millisecond


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much the second figure lies over the first; `low` and `high` bound what it really is."""

    value: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """The 95 % confidence interval does not contain zero."""
        return not self.low <= 0 <= self.high

    @property
    def is_told(self) -> bool:
        """There are enough sessions to bound it."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Times as they were counted on the scale. `steps`: how many lie in each of its steps.

    `sessions`: how many they come from. Times of one session hang together, so bounds are taken
    as wide as if each session had told of one time only.
    """

    steps: Mapping[int, int]
    total_us: int
    sessions: int

    @property
    def n(self) -> int:
        """How many times."""
        return sum(self.steps.values())

    @property
    def mean_ms(self) -> float | None:
        """Exact; None where there are none."""
        return self.total_us / _US / self.n if self.n else None

    def quantile(self, part: float) -> float | None:
        """The time (ms) below which that part of them lies; within some 5 %."""
        n = self.n
        if not n:
            return None
        wanted, below = part * n, 0
        steps = sorted(self.steps.items())
        for step, count in steps:
            if below + count >= wanted:
                low, high = max(begins_ms(step), begins_ms(1) / 2), begins_ms(step + 1)
                inside = min(1.0, max(0.0, (wanted - below) / count))
                return low * math.pow(high / low, inside)
            below += count
        return begins_ms(steps[-1][0] + 1)

    def bounds(self, part: float) -> tuple[float, float]:
        """Between what that quantile really lies, by the ranks that it may have."""
        if not self.n or not self.sessions:
            return -math.inf, math.inf
        away = _Z * math.sqrt(part * (1 - part) / self.sessions)
        low, high = part - away, part + away
        return (
            (self.quantile(low) or 0.0) if low > 0 else -math.inf,
            (self.quantile(high) or 0.0) if high < 1 else math.inf,
        )


def wilson(count: float, of: float, z: float = _Z) -> tuple[float, float]:
    """The bounds within which the true share lies, 95 times of 100 (E. B. Wilson, 1927)."""
    if not of:
        return 0.0, 1.0
    rate, square = count / of, z * z
    middle = (rate + square / (2 * of)) / (1 + square / of)
    half = z / (1 + square / of) * math.sqrt(rate * (1 - rate) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def of_shares(before: tuple[float, float], after: tuple[float, float]) -> Difference | None:
    """Of two shares (count, of how many), by R. G. Newcombe's tenth method (1998)."""
    if not before[1] or not after[1]:
        return None
    first, second = before[0] / before[1], after[0] / after[1]
    return _moved(first, wilson(*before), second, wilson(*after))


def of_quantiles(before: Spread, after: Spread, part: float) -> Difference | None:
    """Of two quantiles (ms)."""
    first, second = before.quantile(part), after.quantile(part)
    if first is None or second is None:
        return None
    return _moved(first, before.bounds(part), second, after.bounds(part))


def of_rates(before: tuple[int, float], after: tuple[int, float]) -> Difference | None:
    """Of two counts in times (h) of their own, each an hour's; counts scatter as their roots."""
    if before[1] <= 0 or after[1] <= 0:
        return None
    first, second = before[0] / before[1], after[0] / after[1]
    away = _Z * math.sqrt(before[0] / before[1] ** 2 + after[0] / after[1] ** 2)
    value = second - first
    return Difference(value=value, low=value - away, high=value + away)


def _moved(
    first: float, first_bounds: tuple[float, float], second: float, bounds: tuple[float, float]
) -> Difference:
    """Bounds of a difference out of those of its parts (G. Y. Zou and A. Donner, 2008)."""
    value = second - first
    low = value - math.hypot(second - bounds[0], first_bounds[1] - first)
    high = value + math.hypot(bounds[1] - second, first - first_bounds[0])
    return Difference(value=value, low=low, high=high)
