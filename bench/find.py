"""`python -m bench.find [sessions]`: how soon any page of many sessions is found, on both databases.

Believable sessions are written into tables of their own making: what is measured reads `found`,
`sessions`, `tags` and `texts`, and never the events.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.report import Report, quantile, spread
from services.ids import new_session_id
from services.settings import Settings
from services.store import tables as t
from services.store.find import Find, Order
from services.store.records import SessionStatus
from services.store.store import Store, open_store
from tests.support.postgres import PostgresServer

SESSIONS: Final = 1_000_000
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
    find: Find
    order: Order = Order.STARTED
    ascending: bool = False


CASES: Final = (
    _Case("all, newest first", Find()),
    _Case("all, oldest first", Find(), ascending=True),
    _Case("by worst answer", Find(), Order.WORST_ANSWER),
    _Case("by duration", Find(), Order.DURATION),
    _Case("of one agent", Find(agent_name="support")),
    _Case("of one user", Find(user_id="user-4711")),
    _Case("of one agent, by median answer", Find(agent_name="echo"), Order.MEDIAN_ANSWER),
    _Case("failed verdicts", Find(verdict="fail")),
    _Case("failed verdicts of one agent, by worst answer",
          Find(verdict="fail", agent_name="sales"), Order.WORST_ANSWER),
    _Case("with errors", Find(errors=True)),
    _Case("with a question that waits", Find(asks=True)),
    _Case("slower than 4 s", Find(slower_than_ms=4_000)),
    _Case("with a tag", Find(tag="escalated")),
    _Case("a frequent word", Find(text="ticket")),
    _Case("two words", Find(text="bicycle invoice")),
    _Case("a word that is in one session", Find(text="zzunique")),
    _Case("a word nobody said", Find(text="qqnever")),
    _Case("a word, by worst answer", Find(text="lantern"), Order.WORST_ANSWER),
    _Case("one week", Find(created_after=_T0 + timedelta(days=60), created_before=_T0 + timedelta(days=67))),
    _Case("ended by expiry, of one agent", Find(statuses=(SessionStatus.EXPIRED,), agent_name="sales")),
)  # fmt: skip


async def measure(store: Store, report: Report, name: str, sessions: int) -> None:
    """Fill it, then ask for first pages and for later ones."""
    begun = time.monotonic()
    async with store._engine.begin() as db:
        await _fill(db, sessions)
    async with store._engine.begin() as db:
        await db.execute(text("ANALYZE"))
    report.add(f"{name}: {sessions:,} sessions written in", f"{time.monotonic() - begun:.0f} s")
    took: list[float] = []
    for _ in range(_EACH):
        begun = time.perf_counter()
        await store.found.values()
        took.append((time.perf_counter() - begun) * 1000)
    report.add(f"{name}: what can be filtered by", spread(took), "p95 100 ms")
    worst: tuple[float, str] = (0.0, "")
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
        p95 = quantile(took, 0.95)
        worst = max(worst, (p95, case.name))
        report.add(
            f"{name}: {case.name}",
            f"{quantile(took, 0.5):.1f} / {p95:.1f} ms ({found} found)",
            "p95 100 ms",
        )
    report.add(f"{name}: the slowest of these", f"{worst[0]:.1f} ms ({worst[1]})", "100 ms")


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
        async with open_store(kept) as store:
            await measure(store, report, "SQLite", sessions)
        postgres = PostgresServer()
        try:
            postgres.create()
            url = SecretStr(postgres.url(postgres.new_database()))
            elsewhere = kept.model_copy(update={"database_url": url})
            async with open_store(elsewhere) as store:
                await measure(store, report, "PostgreSQL", sessions)
        finally:
            postgres.close()
    return report


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS
    print("\n" + asyncio.run(run(wanted)).markdown())
