"""Differences are told from chance: against published examples, and against dice."""

from __future__ import annotations

import math
import random
from collections import Counter
from statistics import quantiles

import pytest

from services.analytics.histogram import step_of
from services.analytics.metrics import Figures
from services.analytics.session_metrics import Outcome
from services.analytics.significance import Spread, of_quantiles, of_rates, of_shares


def spread(times_ms: list[float], *, sessions: int | None = None) -> Spread:
    return Spread(
        steps=Counter(map(step_of, times_ms)),
        total_us=round(sum(times_ms) * 1_000),
        sessions=len(times_ms) if sessions is None else sessions,
    )


def answers(seed: int, count: int, median_ms: float) -> list[float]:
    dice = random.Random(seed)
    return [dice.lognormvariate(math.log(median_ms), 0.4) for _ in range(count)]


def test_newcombes_own_example() -> None:
    found = of_shares((48, 80), (56, 70))
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=1e-3)
    assert found.is_significant


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.95, 0.99])
def test_a_percentile_of_counts_is_near_the_exact_one(part: float) -> None:
    times = answers(1, 5_000, 700)
    exact = quantiles(times, n=1_000)[round(part * 1_000) - 1]
    assert spread(times).quantile(part) == pytest.approx(exact, rel=0.06)
    assert spread(times).mean_ms == pytest.approx(sum(times) / len(times), rel=1e-4)


def test_the_bounds_hold_as_often_as_they_say() -> None:
    held = 0
    for seed in range(400):
        low, high = spread(answers(seed, 150, 700)).bounds(0.5)
        held += low <= 700 <= high
    assert 0.92 < held / 400 <= 1


def test_two_samples_of_the_same_differ_by_noise_and_others_do_not() -> None:
    before, same = spread(answers(1, 400, 700)), spread(answers(2, 400, 700))
    slower = spread(answers(3, 400, 900))
    for part in (0.5, 0.95):
        found, real = of_quantiles(before, same, part), of_quantiles(before, slower, part)
        assert found is not None
        assert real is not None
        assert not found.is_significant
        assert real.is_significant
        assert real.value > 0
        assert real.low < real.value < real.high


def test_turns_of_few_sessions_tell_little() -> None:
    before, after = answers(1, 400, 700), answers(3, 400, 900)
    found = of_quantiles(spread(before, sessions=8), spread(after, sessions=8), 0.95)
    assert found is not None
    assert not found.is_significant
    assert not found.is_told, "eight sessions do not bound what one in twenty takes"


def test_nothing_is_compared_with_nothing() -> None:
    empty = Spread(steps={}, total_us=0, sessions=0)
    assert empty.quantile(0.5) is None
    assert empty.mean_ms is None
    assert of_quantiles(empty, spread([1.0]), 0.5) is None
    assert of_shares((0, 0), (1, 2)) is None
    assert of_rates((0, 0), (1, 2)) is None


def test_rates_of_times_that_are_not_as_long() -> None:
    same = of_rates((100, 24), (210, 48))
    more = of_rates((100, 24), (400, 48))
    assert same is not None
    assert more is not None
    assert not same.is_significant
    assert more.low > 0
    assert more.value == pytest.approx(400 / 48 - 100 / 24)


def test_figures_are_read_out_of_counts() -> None:
    figures = Figures(
        {
            "sessions": 5, "outcome|answered": 3, "outcome|open": 1, "outcome|nobody came": 1,
            "verdict|pass": 2, "verdict|fail": 1, "busy": 7_200_000_000,
            "node|route|49": 4, "node|route|us": 5_000, "node|route|sessions": 2,
            "node|route|errors": 1, "node|ask|asked": 1, "edge|route|ask|1": 2,
            "waited|ask|121": 1, "waited|ask|us": 9, "waited|ask|sessions": 1,
            "unanswered|sign": 2, "cause|404": 1, "cause|graph: X": 3,
        }
    )  # fmt: skip
    assert (figures.sessions, figures.over, figures.judged, figures.busy_s) == (5, 4, 3, 7_200)
    assert figures.outcome(Outcome.ANSWERED) == 3
    assert list(figures.named("cause").items()) == [("graph: X", 3), ("404", 1)]
    assert (figures.nodes(), figures.edges()) == (("ask", "route"), (("route", "ask"),))
    assert figures.questions() == ("ask", "sign")
    route = figures.spread("node|route")
    assert (route.n, route.mean_ms, route.sessions) == (4, 1.25, 2)
