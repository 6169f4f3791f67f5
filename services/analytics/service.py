"""What all sessions of a time tell together, and how two such times or versions differ.

Sessions are counted by when they began. What is asked for twice is worked out once, for all who look.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from services.analytics.metrics import Figures
from services.analytics.rollup_store import CountedUntil, HourCount, Rollup, RollupStore
from services.clock import Now
from services.errors import SwitchboardError
from services.live.hub import Hub
from services.store.records import Sample

log = logging.getLogger(__name__)

TOPIC: Final = "analytics"
DAYS_MOST: Final = 366
_BY_HOUR: Final = timedelta(days=3)  # longer times are shown by day
_LOCAL_DAYS: Final = timedelta(days=32)  # longer ones by days UTC
_SETTLE: Final = timedelta(seconds=10)
_EVERY_S: Final = 5.0
_FRESH_S: Final = 60.0
_KEPT: Final = 24  # reports

_SlotOf = Callable[[datetime], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Sessions that began in [`begin`, `end`), both cut to the hour; of an agent, of a version."""

    begin: datetime
    end: datetime
    agent_name: str | None = None
    version: str | None = None

    @property
    def hours(self) -> float:
        """How long it is."""
        return (self.end - self.begin) / timedelta(hours=1)

    def before(self) -> Scope:
        """As long a time, right before it."""
        return replace(self, begin=self.begin - (self.end - self.begin), end=self.begin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """An hour or a day of one version of an agent; `begins_at` in the zone that was asked for."""

    begins_at: datetime
    agent_name: str
    version: str
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of a time.

    `slots`: each hour (`by_hour`) or day of each version of each agent; `times`: of all of them
    together, oldest first; `versions`: of the whole time, by agent and version, the most first.
    `busiest`: the minute with the most sessions at once, where no agent was asked for.
    `not_created`: sessions that could not be, by our errors' codes; these are no sessions.
    """

    scope: Scope
    whole: Figures
    slots: tuple[Slot, ...]
    times: tuple[tuple[datetime, Figures], ...]
    versions: Mapping[tuple[str, str], Figures]
    by_hour: bool
    hours: tuple[HourCount, ...]
    busiest: Sample | None
    not_created: Mapping[str, int]
    until: CountedUntil


class Analytics:
    """On the runtime's loop; `run` keeps the counts up to the events."""

    def __init__(
        self, rollups: RollupStore, hub: Hub, *, now: Now, settle: timedelta = _SETTLE
    ) -> None:
        self._rollups = rollups
        self._hub = hub
        self._now = now
        self._settle = settle
        self._kept: OrderedDict[tuple[Scope, tzinfo], tuple[float, Report]] = OrderedDict()
        self._locks: dict[tuple[Scope, tzinfo], asyncio.Lock] = {}
        self._turn = -1

    async def report(self, scope: Scope, zone: tzinfo) -> Report:
        """The figures of that time. Days are the zone's where there are at most 32, else UTC's."""
        scope = replace(scope, begin=_hour(scope.begin), end=_hour(scope.end))
        key = (scope, zone)
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:  # who asks for the same waits for the same
                until = await self._rollups.until()
                made_s, kept = self._kept.get(key, (float("-inf"), None))
                now_s = asyncio.get_running_loop().time()
                if kept is None or kept.until.turn != until.turn or now_s - made_s > _FRESH_S:
                    kept = await self._make(scope, zone, until)
                    self._kept[key] = (now_s, kept)
                self._kept.move_to_end(key)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
                return replace(kept, until=until)
        finally:
            if not lock.locked():
                self._locks.pop(key, None)

    async def count(self) -> None:
        """Count what has happened since, up to some seconds ago."""
        more = True
        while more:
            more = await self._rollups.catch_up(self._now() - self._settle)
        until = await self._rollups.until()
        if until.turn != self._turn:
            self._turn = until.turn
            self._hub.touch(TOPIC)

    async def run(self) -> None:
        """Count every few seconds, until cancelled."""
        away = False
        while True:
            try:
                await self.count()
                away = False
            except SwitchboardError as exc:
                if not away:
                    log.warning("the sessions could not be counted", extra={"error": exc.code})
                away = True
            await asyncio.sleep(_EVERY_S)

    async def _make(self, scope: Scope, zone: tzinfo, until: CountedUntil) -> Report:
        counts, length = self._rollups, scope.end - scope.begin
        whose = {"agent_name": scope.agent_name, "version": scope.version}
        local = length <= _LOCAL_DAYS
        rollups = await counts.rollups(scope.begin, scope.end, **whose, hourly=local)
        hours = await counts.hours(scope.begin, scope.end, **whose)
        everybody = scope.agent_name is None and scope.version is None
        by_hour = length <= _BY_HOUR

        def slot_of(moment: datetime) -> datetime:
            there = moment.astimezone(zone) if local else moment
            return there if by_hour else there.replace(hour=0, minute=0, second=0, microsecond=0)

        merged = await asyncio.to_thread(_merged, rollups, slot_of)
        return Report(
            scope=scope,
            **merged,
            by_hour=by_hour,
            hours=hours,
            busiest=await counts.busiest(scope.begin, scope.end) if everybody else None,
            not_created=await counts.not_created(scope.begin, scope.end) if everybody else {},
            until=until,
        )


def _merged(rollups: Iterable[Rollup], slot_of: _SlotOf) -> dict[str, Any]:
    """The sums of a report. Not on the loop: it may take a while."""
    slots: dict[tuple[datetime, str, str], Counter[str]] = {}
    for rollup in rollups:
        key = (slot_of(rollup.begins_at), rollup.agent_name, rollup.version)
        slots.setdefault(key, Counter()).update(json.loads(rollup.counts))
    times: dict[datetime, Counter[str]] = {}
    versions: dict[tuple[str, str], Counter[str]] = {}
    for (begins_at, agent, version), counts in slots.items():
        times.setdefault(begins_at, Counter()).update(counts)
        versions.setdefault((agent, version), Counter()).update(counts)
    whole: Counter[str] = Counter()
    for counts in versions.values():
        whole.update(counts)
    most = sorted(versions.items(), key=lambda pair: -pair[1]["sessions"])
    return {
        "whole": Figures(whole),
        "slots": tuple(
            Slot(begins_at=begins_at, agent_name=agent, version=version, figures=Figures(counts))
            for (begins_at, agent, version), counts in sorted(slots.items(), key=lambda one: one[0])
        ),
        "times": tuple((at, Figures(counts)) for at, counts in sorted(times.items())),
        "versions": {key: Figures(counts) for key, counts in most},
    }


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
