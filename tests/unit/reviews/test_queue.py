"""The arithmetic of reviews, against figures that were worked out by hand or are in print."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.analytics.significance import wilson
from services.reviews.queue import agreements, scores
from services.store.review_store import PairCount, VersionCount

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def pair(verdict: str, other: str, count: int) -> PairCount:
    return PairCount(author="ana", other="ben", verdict=verdict, other_verdict=other, count=count)


def test_kappa_is_what_cohen_has() -> None:
    """20 of 50 both yes, 15 both no, 5 and 10 apart: 0.7 agreed, 0.5 by chance, 0.4."""
    cells = [
        pair("pass", "pass", 20),
        pair("pass", "fail", 5),
        pair("fail", "pass", 10),
        pair("fail", "fail", 15),
    ]
    (one,) = agreements(cells)
    assert (one.author, one.other, one.count) == ("ana", "ben", 50)
    assert one.same == pytest.approx(0.7)
    assert one.kappa == pytest.approx(0.4)


def test_where_both_always_say_one_thing_kappa_says_nothing() -> None:
    (one,) = agreements([pair("pass", "pass", 9)])
    assert (one.same, one.kappa) == (1.0, None)


def test_never_the_same_is_below_chance() -> None:
    (one,) = agreements([pair("pass", "fail", 5), pair("fail", "pass", 5)])
    assert one.kappa == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("passed", "judged", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (5, 10, 0.2366, 0.7634)],
)
def test_wilsons_bounds(passed: int, judged: int, low: float, high: float) -> None:
    assert wilson(passed, judged) == pytest.approx((low, high), abs=1e-4)


def test_a_version_is_scored_over_all_its_verdicts() -> None:
    def told(version: str, verdict: str, count: int, day: int) -> VersionCount:
        first = T0.replace(day=day)
        return VersionCount(
            agent_name="pm", version=version, verdict=verdict, count=count, first=first
        )

    newest, oldest = scores(
        [told("1", "pass", 1, 2), told("2", "pass", 3, 9), told("2", "unsure", 1, 8)]
    )
    assert (newest.version, newest.passed, newest.judged, newest.rate) == ("2", 3, 4, 0.75)
    assert newest.first.day == 8
    assert oldest.version == "1"
