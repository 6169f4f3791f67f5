"""`python -m bench.analytics`: how soon the figures of a day or a year are there, and what counting costs.

A year of sums is written as sessions of three versions would leave it: each hour's is what a believable
session counts, twenty times. Sessions are counted from events as agents tell them.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert

from bench.report import Report, quantile, spread
from services.analytics.rollup_store import RollupStore
from services.analytics.service import Analytics, Scope
from services.live.hub import Hub
from services.settings import Settings
from services.store import tables as t
from services.store.store import Store, open_store
from tests.support.past import calls, write_past

_NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
_VERSIONS: Final = ("1.0", "1.1", "2.0")
_SESSIONS: Final = 300
_IN_AN_HOUR: Final = 20
_EACH: Final = 10
_TIMES: Final = {"a day": 1, "a week": 7, "a month": 30, "a quarter": 90, "a year": 366}


async def run() -> Report:
    """Count a past, write a year of it, ask for reports; how late the loop was meanwhile."""
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(switchboard_data_dir=Path(folder), _env_file=None)
        async with open_store(settings) as store:
            await _counting(store, report)
            await _reports(store, report)
    return report


async def _counting(store: Store, report: Report) -> None:
    told = calls(sessions=_SESSIONS, until=_NOW)
    await write_past(store, told)
    begun = time.perf_counter()
    while await RollupStore(store).catch_up(_NOW + timedelta(days=1)):
        pass
    took_ms = (time.perf_counter() - begun) * 1_000
    events = sum(map(len, told))
    report.add(
        f"a session of {events / _SESSIONS:.0f} events is counted in",
        f"{took_ms / _SESSIONS:.1f} ms (n={_SESSIONS})",
    )


async def _reports(store: Store, report: Report) -> None:
    async with store._engine.begin() as db:
        whole: Counter[str] = Counter()
        for text in (await db.execute(t.counts.select())).mappings():
            for name, count in json.loads(text["counts"]).items():
                whole["busy" if name.startswith("busy|") else name] += count
        # an hour holds some of the steps of the scale, a day nearly all
        hour = {name: 1 + count * _IN_AN_HOUR // _SESSIONS for name, count in whole.items()}
        hour = dict(list(hour.items())[::2])
        rows = [
            _row(period, begins_at, version, hour if period == "hour" else dict(whole))
            for version in _VERSIONS
            for period, length, count in (
                ("hour", timedelta(hours=1), 366 * 24),
                ("day", timedelta(days=1), 366),
            )
            for begins_at in (_NOW - number * length for number in range(1, count + 1))
        ]
        await db.execute(t.rollups.delete())
        await db.execute(insert(t.rollups), rows)
    report.add("names in an hour's counts / in a day's", f"{len(hour)} / {len(whole)}")
    hub = Hub(asyncio.get_running_loop(), lambda: "")
    for words, days in _TIMES.items():
        took: list[float] = []
        again: list[float] = []
        late: list[float] = []
        scope = Scope(begin=_NOW - timedelta(days=days), end=_NOW)
        for _ in range(_EACH):
            analytics = Analytics(RollupStore(store), hub, now=lambda: _NOW)
            watch = asyncio.create_task(_watch(late))
            begun = time.perf_counter()
            await analytics.report(scope, UTC)
            took.append((time.perf_counter() - begun) * 1_000)
            watch.cancel()
            begun = time.perf_counter()
            await analytics.report(scope, UTC)
            again.append((time.perf_counter() - begun) * 1_000)
        report.add(
            f"the figures of {words}", f"{spread(took)}; for the next who asks {spread(again)}"
        )
        report.add(
            f"meanwhile the loop was late by, {words}", f"at most {quantile(late, 1):.0f} ms"
        )
    hub.close()


def _row(period: str, begins_at: datetime, version: str, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "period": period,
        "begins_at": begins_at,
        "agent_name": "pm-agent",
        "version": version,
        "sessions": counts.get("sessions", 0),
        "counts": json.dumps(counts),
    }


async def _watch(late_ms: list[float]) -> None:
    """How much later than asked for one is woken."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(0.005)
        late_ms.append((time.perf_counter() - begun) * 1_000 - 5)


if __name__ == "__main__":
    print("\n" + asyncio.run(run()).markdown())
