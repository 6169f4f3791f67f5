"""`python -m bench.find [sessions]`: how soon any page of many sessions is found, on both databases.

Believable sessions are written into tables of their own making, with twenty events each; the marks of
analytics as well. Each query's plan is asked for: what it is read by, and whether a table is read whole.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import event, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bench.report import Report, quantile, spread
from services.ids import new_session_id
from services.settings import Settings
from services.store import tables as t
from services.store.engine import database_url, make_engine
from services.store.records import SessionStatus
from services.store.session_search import Order, SessionFilter
from services.store.store import Store, open_store
from tests.support.postgres import PostgresServer

SESSIONS: Final = 1_000_000
EVENTS: Final = 20  # of each session
_FILL_S: Final = 3_600
_EACH: Final = 20
_PORTION: Final = 5_000
_T0: Final = datetime(2026, 1, 1, tzinfo=UTC)
_AGENTS: Final = ("pm-agent", "support", "sales", "echo")
_WORDS: Final = (
    "login", "page", "audit", "log", "database", "access", "invoice", "customer", "ticket",
    "release", "payment", "bug", "search", "certificate", "server", "build", "review", "meeting",
    "sprint", "planning", "budget", "contract", "supplier", "order", "delivery", "bicycle",
    "lantern", "garden", "window", "paper", "coffee", "train", "weather", "monday", "friday",
)  # fmt: skip
_TAGS: Final = ("slow", "wrong", "misheard", "good", "billing", "escalated")


@dataclass(frozen=True)
class _Case:
    name: str
    find: SessionFilter
    order: Order = Order.STARTED
    ascending: bool = False


CASES: Final = (
    _Case("all, newest first", SessionFilter()),
    _Case("all, oldest first", SessionFilter(), ascending=True),
    _Case("by worst answer", SessionFilter(), Order.WORST_ANSWER),
    _Case("by duration", SessionFilter(), Order.DURATION),
    _Case("of one agent", SessionFilter(agent_name="support")),
    _Case("of one user", SessionFilter(user_id="user-4711")),
    _Case("of one agent, by median answer", SessionFilter(agent_name="echo"), Order.MEDIAN_ANSWER),
    _Case("failed verdicts", SessionFilter(verdict="fail")),
    _Case("failed verdicts of one agent, by worst answer",
          SessionFilter(verdict="fail", agent_name="sales"), Order.WORST_ANSWER),
    _Case("with errors", SessionFilter(errors=True)),
    _Case("with a question that waits", SessionFilter(asks=True)),
    _Case("slower than 4 s", SessionFilter(slower_than_ms=4_000)),
    _Case("with a tag", SessionFilter(tag="escalated")),
    _Case("a frequent word", SessionFilter(text="ticket")),
    _Case("two words", SessionFilter(text="bicycle invoice")),
    _Case("a word that is in one session", SessionFilter(text="zzunique")),
    _Case("a word nobody said", SessionFilter(text="qqnever")),
    _Case("a word, by worst answer", SessionFilter(text="lantern"), Order.WORST_ANSWER),
    _Case("one week", SessionFilter(created_after=_T0 + timedelta(days=60), created_before=_T0 + timedelta(days=67))),
    _Case("ended by expiry, of one agent", SessionFilter(statuses=(SessionStatus.EXPIRED,), agent_name="sales")),
    _Case("of an old version", SessionFilter(version="v1")),
    _Case("by user", SessionFilter(), Order.USER, ascending=True),
    _Case("by verdict", SessionFilter(), Order.VERDICT),
    _Case("by errors", SessionFilter(), Order.ERRORS),
    _Case("by questions that wait", SessionFilter(), Order.ASKS),
    _Case("through a node that all go through", SessionFilter(mark="node|route")),
    _Case("through a node that one of five does", SessionFilter(mark="node|create")),
    _Case("that failed in a node", SessionFilter(mark="node|create|errors")),
    _Case("whose synthesis took 1.5 s", SessionFilter(mark="part|synthesis", mark_over_ms=1_500)),
    _Case("that failed in a node, by worst answer", SessionFilter(mark="node|create|errors"), Order.WORST_ANSWER),
    _Case("of one agent, abandoned", SessionFilter(mark="outcome|abandoned", agent_name="echo")),
)  # fmt: skip


async def measure(settings: Settings, report: Report, name: str, sessions: int) -> None:
    """Fill it, then ask for first pages and for later ones."""
    async with open_store(settings) as store:
        begun = time.monotonic()
        filling = make_engine(database_url(settings), timeout_s=_FILL_S)
        try:
            await _fill_all(filling, sessions)
        finally:
            await filling.dispose()
        report.add(
            f"{name}: {sessions:,} sessions, {EVENTS * sessions:,} events written in",
            f"{time.monotonic() - begun:.0f} s",
        )
        await _measure(store, report, name)


async def _fill_all(engine: AsyncEngine, sessions: int) -> None:
    async with engine.begin() as db:
        await _fill(db, sessions)
    async with engine.begin() as db:
        for statement in _AFTER:
            await db.execute(text(statement))
    async with engine.connect() as db:
        await (await db.execution_options(isolation_level="AUTOCOMMIT")).execute(
            text("VACUUM ANALYZE" if db.dialect.name == "postgresql" else "ANALYZE")
        )


async def _measure(store: Store, report: Report, name: str) -> None:
    took: list[float] = []
    for _ in range(_EACH):
        begun = time.perf_counter()
        await store.found.values()
        took.append((time.perf_counter() - begun) * 1000)
    report.add(f"{name}: what can be filtered by", spread(took), "p95 100 ms")
    worst: tuple[float, str] = (0.0, "")
    asked: list[tuple[str, Any]] = []

    @event.listens_for(store._engine.sync_engine, "before_cursor_execute")
    def _note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM " in statement and "found.session_id" in statement and "LIMIT" in statement:
            asked[:] = [(statement, parameters)]

    for case in CASES:
        took = []
        found = 0
        cursor: str | None = None
        for _ in range(_EACH):  # page after page, from the first again where there is no more
            begun = time.perf_counter()
            page = await store.found.page(
                case.find, order=case.order, ascending=case.ascending, cursor=cursor
            )
            took.append((time.perf_counter() - begun) * 1000)
            found += len(page.sessions)
            cursor = page.next_cursor
        read_by = await _read_by(store._engine, asked)
        p95 = quantile(took, 0.95)
        worst = max(worst, (p95, case.name))
        report.add(
            f"{name}: {case.name}",
            f"{quantile(took, 0.5):.1f} / {p95:.1f} ms ({found} found; read by {read_by})",
            "p95 100 ms",
        )
    report.add(f"{name}: the slowest of these", f"{worst[0]:.1f} ms ({worst[1]})", "100 ms")


_AFTER: Final = (
    f"""
    INSERT INTO events (id, kind, at, received_at, source, certainty, session_id, room_name,
                        room_sid, identity, actor, data)
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {EVENTS})
    SELECT s.id || ':' || n,
           CASE n % 5 WHEN 0 THEN 'conversation_item_added' WHEN 1 THEN 'node_started'
                      WHEN 2 THEN 'node_finished' WHEN 3 THEN 'checkpoint_saved' ELSE 'run_finished' END,
           s.created_at, s.created_at, 'agent', 'observed', s.id, s.room_name, s.room_sid, '', '',
           '{{"run": "r", "node": "route", "step": 1, "ms": 3.2, "values": {{"slots": [1, 2, 3]}}}}'
    FROM sessions s CROSS JOIN number
    """,
    """
    INSERT INTO marks (session_id, created_at, mark, worst_ms)
    SELECT session_id, created_at, 'node|route', 4 FROM found
    UNION ALL SELECT session_id, created_at, 'edge|__start__|route', 0 FROM found
    UNION ALL SELECT session_id, created_at, 'node|create', 30 FROM found WHERE turns % 5 = 1
    UNION ALL SELECT session_id, created_at, 'node|create|errors', 0 FROM found WHERE errors > 0
    UNION ALL SELECT session_id, created_at, CASE WHEN turns > 0 THEN 'outcome|answered'
                                                  ELSE 'outcome|abandoned' END, 0 FROM found
    UNION ALL SELECT session_id, created_at, 'part|synthesis', answer_worst_ms / 3 FROM found
              WHERE answer_worst_ms IS NOT NULL
    """,
)


async def _read_by(engine: AsyncEngine, asked: list[tuple[str, Any]]) -> str:
    """The indexes of the last query's plan; a table that is read whole in capitals."""
    statement, parameters = asked[-1]
    async with engine.connect() as db:
        of = "EXPLAIN " if db.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
        rows = await db.exec_driver_sql(of + statement, parameters)
        plan = "\n".join(" ".join(map(str, row)) for row in rows)
    indexes = re.findall(r"\b((?:ix|pk|sqlite_autoindex)_\w+)", plan)
    whole = [
        name.upper()
        for name in re.findall(r"(?:Seq Scan on|SCAN) (\w+)", plan)
        if f"SCAN {name} USING" not in plan and name in t.metadata.tables
    ]
    return ", ".join(dict.fromkeys([*whole, *indexes])) or "the key"


async def _fill(db: AsyncConnection, sessions: int) -> None:
    rows: dict[str, list[dict[str, Any]]] = {"sessions": [], "found": [], "tags": [], "texts": []}
    tables = {"sessions": t.sessions, "found": t.found, "tags": t.tags, "texts": t.texts}
    for number, made in enumerate(_made(sessions)):
        for name, row in made:
            rows[name].append(row)
        if number % _PORTION == _PORTION - 1 or number == sessions - 1:
            for name, some in rows.items():
                if some:
                    await db.execute(insert(tables[name]), some)
                some.clear()


def _made(sessions: int) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    chance = random.Random(7)
    for number in range(sessions):
        session_id = str(new_session_id())
        created = _T0 + timedelta(seconds=number * 20)
        agent = chance.choices(_AGENTS, (70, 20, 8, 2))[0]
        user = f"user-{int(chance.paretovariate(0.6)) % 50_000}"
        turns = min(60, int(chance.expovariate(1 / 6)))
        median = chance.lognormvariate(6.4, 0.4)
        worst = median * (1 + chance.expovariate(1))
        duration = 20 + turns * chance.uniform(4, 14)
        status = chance.choices(("ended", "expired", "failed"), (96, 3, 1))[0]
        shared = {"created_at": created, "status": status, "agent_name": agent, "user_id": user}
        room = f"{agent}-{session_id[4:]}"
        made: list[tuple[str, dict[str, Any]]] = [
            ("sessions", {
                **shared, "id": session_id, "room_name": room, "room_sid": f"RM_{number}",
                "identity": user, "origin": "api", "created_certainty": "observed",
                "started_at": created, "started_certainty": "observed",
                "ended_at": created + timedelta(seconds=duration), "ended_certainty": "observed",
                "end_reason": "", "expires_at": None, "last_event_at": created, "dispatch_id": "",
                "people_peak": 1, "data": {},
            }),
            ("found", {
                **shared, "session_id": session_id, "room_name": room,
                "evidence": chance.choices(("observed", "inferred", "incomplete"), (94, 5, 1))[0],
                "duration_s": duration, "turns": turns,
                "answer_median_ms": median if turns else None,
                "answer_worst_ms": worst if turns else None,
                "interruptions": int(chance.expovariate(1)),
                "asks": int(number > sessions - 200 and chance.random() < 0.1),
                "errors": int(chance.random() < 0.01),
                "verdict": chance.choices(("", "pass", "fail", "unsure"), (94, 4, 1.5, 0.5))[0],
                "version": f"v{1 + 6 * number // sessions}",
            }),
        ]  # fmt: skip
        for _ in range(2):
            said = " ".join(chance.choices(_WORDS, k=8))
            if number == sessions // 2:
                said += " zzunique"
            made.append(("texts", {"session_id": session_id, "source": "s", "text": said}))
        if chance.random() < 0.02:
            made.append(("tags", {"session_id": session_id, "tag": chance.choice(_TAGS)}))
        yield made


async def run(sessions: int) -> Report:
    """Both databases, one after the other."""
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = Settings(switchboard_data_dir=folder, switchboard_store_timeout_s=60, _env_file=None)
        await measure(kept, report, "SQLite", sessions)
        postgres = PostgresServer()
        try:
            postgres.create()
            url = SecretStr(postgres.url(postgres.new_database()))
            elsewhere = kept.model_copy(update={"database_url": url})
            await measure(elsewhere, report, "PostgreSQL", sessions)
        finally:
            postgres.close()
    return report


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS
    print("\n" + asyncio.run(run(wanted)).markdown())
