"""The sums of sessions' counts by hour and day: a session's are taken out and put in, exactly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.analytics.graph_metrics import OF_EVENTS
from services.analytics.session_metrics import Counted
from services.store import tables as t
from services.store.rows import upsert

_HOUR: Final = timedelta(hours=1)

_Key = tuple[str, datetime, str, str]  # period, begins_at, agent_name, version


async def replace_counts(
    db: AsyncConnection,
    session_ids: Sequence[str],
    counted: Mapping[str, Counted],
    bare: frozenset[str],
) -> None:
    """Put what is counted in the place of what these sessions' counts were.

    `bare`: what only events told stays as it was, for those may have been deleted.
    """
    columns = t.counts.c
    changes: dict[_Key, Counter[str]] = {}
    before = await db.execute(select(t.counts).where(columns.session_id.in_(session_ids)))
    kept: dict[str, dict[str, int]] = {}
    for row in before.mappings():
        old = json.loads(row["counts"])
        kept[row["session_id"]] = old
        _change(changes, row["hour"], row["agent_name"], row["version"], old, -1)
    rows, found = [], []
    for session_id, one in counted.items():
        counts = dict(one.counts)
        if session_id in bare:
            old = kept.get(session_id, {})
            counts |= {k: v for k, v in old.items() if k.partition("|")[0] in OF_EVENTS}
        _change(changes, one.hour, one.agent_name, one.version, counts, 1)
        rows.append(
            {
                "session_id": session_id,
                "hour": one.hour,
                "agent_name": one.agent_name,
                "version": one.version,
                "is_open": one.is_open,
                "counts": json.dumps(counts),
            }
        )
        found += [
            {
                "session_id": session_id,
                "mark": mark,
                "created_at": one.created_at,
                "worst_ms": worst,
            }
            for mark, worst in one.marks.items()
        ]
    found += await _forget_marks(db, session_ids, keep=bare & counted.keys())
    gone = [one for one in session_ids if one not in counted]
    if gone:
        await db.execute(delete(t.counts).where(columns.session_id.in_(gone)))
    dialect = db.dialect.name
    if rows:
        await db.execute(upsert(dialect, t.counts), rows)
    if found:
        await db.execute(upsert(dialect, t.marks), found)
    await _sum_up(db, changes)


async def _forget_marks(
    db: AsyncConnection, session_ids: Sequence[str], *, keep: Set[str]
) -> list[dict[str, Any]]:
    """Delete their marks; gives the rows of those, of the sessions to `keep`, that only events told."""
    of = t.marks.c.session_id
    rows = (await db.execute(select(t.marks).where(of.in_(keep)))).mappings() if keep else ()
    kept = [dict(row) for row in rows if row["mark"].partition("|")[0] in OF_EVENTS]
    await db.execute(delete(t.marks).where(of.in_(session_ids)))
    return kept


def _change(
    changes: dict[_Key, Counter[str]],
    hour: datetime,
    agent_name: str,
    version: str,
    counts: Mapping[str, int],
    sign: int,
) -> None:
    """Add a session's counts to the hours and days that they are part of."""
    for name, number in counts.items():
        first, _, later = name.partition("|")
        at = hour
        if first == "busy":
            name, at = first, hour + int(later) * _HOUR
        for period, begins_at in (("hour", at), ("day", day_of(at))):
            key = (period, begins_at, agent_name, version)
            changes.setdefault(key, Counter())[name] += sign * number


async def _sum_up(db: AsyncConnection, changes: Mapping[_Key, Counter[str]]) -> None:
    changes = {key: change for key, change in changes.items() if any(change.values())}
    if not changes:
        return
    c = t.rollups.c
    moments = {key[1] for key in changes}
    there = await db.execute(
        select(t.rollups).where(c.period.in_(("hour", "day")), c.begins_at.in_(moments))
    )
    before = {
        (row["period"], row["begins_at"], row["agent_name"], row["version"]): row["counts"]
        for row in there.mappings()
    }
    rows = []
    for key, change in changes.items():
        total = Counter(json.loads(before[key]) if key in before else {})
        total.update(change)
        counts = {name: number for name, number in total.items() if number}
        period, begins_at, agent_name, version = key
        rows.append(
            {
                "period": period,
                "begins_at": begins_at,
                "agent_name": agent_name,
                "version": version,
                "sessions": counts.get("sessions", 0),
                "counts": json.dumps(counts),
            }
        )
    await db.execute(upsert(db.dialect.name, t.rollups), rows)
    await db.execute(delete(t.rollups).where(c.begins_at.in_(moments), c.counts == "{}"))


def day_of(moment: datetime) -> datetime:
    """Where its day begins."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
