"""Sums over sessions follow what happens to each, exactly, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from services.analytics.rollup_store import RollupStore, forget_sessions
from services.analytics.service import Analytics, Scope
from services.events import Kind
from services.live.hub import Hub
from services.store.session_search import Order, SessionFilter
from services.store.store import Store, open_store
from tests.integration.sessions.test_session_search import T0, Told, ids
from tests.integration.store.test_store import settings_for

FAR = T0 + timedelta(days=400)


@pytest_asyncio.fixture
async def store(store_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(
        settings_for(store_url, tmp_path), delete_hooks=[forget_sessions]
    ) as opened:
        yield opened


async def catch_up(store: Store, until: datetime = FAR) -> None:
    while await RollupStore(store).catch_up(until):
        pass


async def sums(store: Store, *, hourly: bool = False, days: int = 30) -> Counter[str]:
    """Everything in one."""
    total: Counter[str] = Counter()
    begin = T0.replace(hour=0)
    end = begin + timedelta(days=days)
    for rollup in await RollupStore(store).rollups(begin, end, hourly=hourly):
        total.update(json.loads(rollup.counts))
    return total


async def a_call(store: Store, number: int, *, agent: str = "pm-agent", ms: float = 600) -> Told:
    told = Told(store, number, agent=agent)
    await told.begin("ana")
    await told.tell(Kind.PARTICIPANT_JOINED, 1, participant_sid=f"PA_{number}", identity="ana")
    await told.tell(Kind.RUN_STARTED, 2, run="r", cause="message")
    await told.tell(Kind.NODE_STARTED, 2, run="r", task="1", node="route", step=1, ns="")
    facts = {"run": "r", "task": "1", "node": "route", "step": 1, "ns": ""}
    await told.tell(Kind.NODE_FINISHED, 3, **facts, ms=ms / 2, error="X: y" if ms > 5_000 else None)
    await told.tell(Kind.RUN_FINISHED, 3, run="r", next=[], interrupts=[])
    await told.turn(4, "Hello", "Hi", ms)
    await told.end(60)
    return told


async def test_sessions_are_summed_up_by_hour_and_by_day(store: Store) -> None:
    for number in range(3):
        await a_call(store, number)
    other = await a_call(store, 30, agent="support", ms=9_000)  # of the next day
    await catch_up(store)
    total = await sums(store)
    assert total == await sums(store, hourly=True)
    assert (total["sessions"], total["turns"], total["outcome|answered"]) == (4, 4, 4)
    assert (total["node|route|us"], total["node|route|errors"]) == (3 * 300_000 + 4_500_000, 1)
    assert total["busy"] == 4 * 59 * 10**6
    begin = T0.replace(hour=0)
    days = await RollupStore(store).rollups(begin, begin + timedelta(days=2))
    assert [(one.begins_at, one.agent_name) for one in days] == [
        (begin, "pm-agent"),
        (begin + timedelta(days=1), "support"),
    ]
    of_one = await RollupStore(store).rollups(
        begin, begin + timedelta(days=2), agent_name="support"
    )
    assert [json.loads(one.counts)["sessions"] for one in of_one] == [1]
    hours = await RollupStore(store).hours(begin, begin + timedelta(days=2))
    assert [one.sessions for one in hours] == [1, 1, 1, 1]
    part_of_day = await RollupStore(store).rollups(T0, T0 + timedelta(hours=2))
    assert sum(json.loads(one.counts)["sessions"] for one in part_of_day) == 2
    await store.erase([other.id])
    assert (await sums(store))["node|route|errors"] == 0


async def test_what_is_told_later_takes_the_place_of_what_was_counted(store: Store) -> None:
    told = await a_call(store, 1)
    await catch_up(store)
    before = await sums(store)
    assert before["verdict|pass"] == 0
    turn = (await RollupStore(store).until()).turn

    await told.tell(Kind.REVIEWED, 100, verdict="pass", remark="", scores={"Polite?": "yes"})
    await catch_up(store)
    after = await sums(store)
    assert after - before == Counter({"verdict|pass": 1, "score|Polite?|yes": 1})
    assert (await RollupStore(store).until()).turn > turn

    await catch_up(store)
    assert await sums(store) == after


async def test_a_session_that_goes_on_counts_as_that_alone(store: Store) -> None:
    told = Told(store, 1)
    await told.begin("ana")
    await told.turn(4, "Hello", "Hi", 700)
    await catch_up(store)
    total = await sums(store)
    assert (total["sessions"], total["outcome|open"], total["turns"]) == (1, 1, 0)
    turn = (await RollupStore(store).until()).turn
    await told.turn(9, "More", "Yes", 700)
    await catch_up(store)
    until = await RollupStore(store).until()
    assert (until.turn, until.behind) == (turn, 0), "it is not counted again while it goes on"
    assert await ids(store, mark="outcome|open") == [told.id]
    await told.end(60)
    await catch_up(store)
    assert await ids(store, mark="outcome|open") == []
    assert await ids(store, mark="outcome|answered") == [told.id]
    total = await sums(store)
    assert (total["sessions"], total["outcome|open"], total["turns"]) == (1, 0, 2)


async def test_a_version_that_is_told_late_takes_its_session_along(store: Store) -> None:
    told = await a_call(store, 1)
    await catch_up(store)
    await told.tell(Kind.JOB_STARTED, 1, versions={"agent": "v2"})
    await catch_up(store)
    rollups = await RollupStore(store).rollups(T0, T0 + timedelta(days=1))
    assert [one.version for one in rollups] == ["v2"]


async def test_what_has_gone_out_of_the_database_goes_out_of_the_sums(store: Store) -> None:
    calls = [await a_call(store, number) for number in range(3)]
    await catch_up(store)
    kept = await sums(store)
    more = await a_call(store, 4, ms=9_000)
    await catch_up(store)
    assert await ids(store, mark="node|route|errors") == [more.id]
    await store.erase([more.id])
    assert await sums(store) == kept
    assert await ids(store, mark="node|route|errors") == []
    await store.erase([call.id for call in calls])
    assert await sums(store) == Counter()
    assert await RollupStore(store).rollups(T0, FAR) == ()


async def test_deleted_events_do_not_take_their_counts_along(store: Store) -> None:
    told = await a_call(store, 1)
    await catch_up(store)
    before = await sums(store)
    assert await store.prune_events(FAR) > 0
    await told.tell(Kind.REVIEWED, 100, verdict="fail", remark="", scores={})
    await catch_up(store)
    assert await sums(store) - before == Counter({"verdict|fail": 1})
    assert await ids(store, mark="node|route") == [told.id]


async def test_what_is_new_waits_so_that_nothing_is_passed_over(store: Store) -> None:
    told = await a_call(store, 1)
    await catch_up(store, until=T0)  # all of it was received later
    assert (await sums(store))["sessions"] == 0
    assert (await RollupStore(store).until()).behind > 0
    await catch_up(store)
    assert (await sums(store))["sessions"] == 1
    assert (await RollupStore(store).until()).behind == 0
    assert await ids(store, mark="outcome|answered") == [told.id]


async def test_two_that_count_at_once_count_once(store: Store) -> None:
    for number in range(30):
        await a_call(store, number)
    await asyncio.gather(catch_up(store), catch_up(store), catch_up(store))
    assert (await sums(store))["sessions"] == 30


async def test_sessions_are_found_by_marks_and_by_how_long_they_took(store: Store) -> None:
    quick, slow = await a_call(store, 1, ms=200), await a_call(store, 2, ms=8_000)
    await catch_up(store)
    assert await ids(store, mark="node|route") == [slow.id, quick.id]
    assert await ids(store, mark="node|route", mark_over_ms=1_000) == [slow.id]
    assert await ids(store, mark="part|answer", mark_over_ms=100, agent_name="pm-agent") == [
        slow.id,
        quick.id,
    ]
    assert await ids(store, Order.WORST_ANSWER, mark="path|route") == [slow.id, quick.id]
    assert await ids(store, mark="node|nowhere") == []
    page = await store.found.page(SessionFilter(mark="node|route"), limit=1)
    rest = await store.found.page(
        SessionFilter(mark="node|route"), limit=1, cursor=page.next_cursor
    )
    assert [one.session.id for one in rest.sessions] == [quick.id]


async def test_a_mark_that_many_have_is_looked_for_in_another_way(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [await a_call(store, number) for number in range(4)]
    await catch_up(store)
    monkeypatch.setattr("services.store.session_search._FEW", 2)
    order = Order.WORST_ANSWER
    page = await store.found.page(SessionFilter(mark="node|route"), order=order, limit=3)
    assert [one.session.id for one in page.sessions] == [call.id for call in calls[:0:-1]]
    rest = await store.found.page(
        SessionFilter(mark="node|route"), order=order, limit=3, cursor=page.next_cursor
    )
    assert [one.session.id for one in rest.sessions] == [calls[0].id]


async def test_creations_that_failed_are_told_by_their_cause(store: Store) -> None:
    told = Told(store, 1)
    for error in ("livekit_unavailable", "invalid_argument", "livekit_unavailable"):
        await told.tell(Kind.SESSION_FAILED, 5, error=error, message="m")
    day = T0.replace(hour=0)
    found = await RollupStore(store).not_created(day, day + timedelta(days=1))
    assert found == {"livekit_unavailable": 2, "invalid_argument": 1}
    assert await RollupStore(store).not_created(T0 - timedelta(days=9), day) == {}
    assert await RollupStore(store).busiest(day, FAR) is None


async def test_a_report_shows_days_as_they_are_where_one_looks_from(store: Store) -> None:
    for number in (0, 1, 13, 14):  # from 9:00 UTC on: the last two begin at 22 and 23 o'clock
        await a_call(store, number)
    hub = Hub(asyncio.get_running_loop(), lambda: "")
    analytics = Analytics(RollupStore(store), hub, now=lambda: FAR)
    await analytics.count()
    day = T0.replace(hour=0)
    scope = Scope(begin=day, end=day + timedelta(days=10))
    berlin = ZoneInfo("Europe/Berlin")
    report = await analytics.report(scope, berlin)
    found = [(slot.begins_at.isoformat(), slot.figures.sessions) for slot in report.slots]
    assert found == [("2026-01-01T00:00:00+01:00", 3), ("2026-01-02T00:00:00+01:00", 1)]
    assert (report.whole.sessions, report.by_hour, report.until.behind) == (4, False, 0)

    by_hour = await analytics.report(replace(scope, end=day + timedelta(days=1)), berlin)
    assert by_hour.by_hour
    assert [slot.begins_at.hour for slot in by_hour.slots] == [10, 11, 23, 0]
    assert [hour.sessions for hour in by_hour.hours] == [1, 1, 1, 1]

    year = await analytics.report(replace(scope, end=day + timedelta(days=200)), berlin)
    assert [slot.begins_at for slot in year.slots] == [day], "UTC's days"

    assert (await analytics.report(scope, berlin)).whole is report.whole, "made once for all"
    await a_call(store, 2, agent="support")
    await analytics.count()
    after = await analytics.report(scope, berlin)
    assert {key: one.sessions for key, one in after.versions.items()} == {
        ("pm-agent", ""): 4,
        ("support", ""): 1,
    }
    assert after.whole.sessions - (await analytics.report(scope.before(), UTC)).whole.sessions == 5
    hub.close()
