"""What is deleted is gone from everywhere, on both databases; what is to stay stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from sqlalchemy import func, select

from agents.pm_agent.graph import build
from agents.pm_agent.llm import RuleMind
from agents.pm_agent.tickets import TicketStore, read_tickets
from services.access.audit_log import AuditLog, open_audit
from services.analytics.rollup_store import RollupStore, forget_sessions
from services.checkpointer import open_checkpointer
from services.errors import ConflictError, InvalidInputError, NotFoundError, PermissionDeniedError
from services.events import Kind
from services.live.hub import Hub
from services.sessions.retention import KEEP_TAG, DataRetention, RetentionRule
from services.store import tables as t
from services.store.audit_records import AuditQuery
from services.store.session_search import SessionFilter
from services.store.store import Store, open_store
from tests.integration.sessions.test_session_search import T0, Told
from tests.integration.store.test_store import settings_for
from tests.support.callers import person

NOW = T0 + timedelta(days=30)


@dataclass
class Bed:
    """A store with what deletes from it, thirty days after the first session."""

    store: Store
    audit: AuditLog
    erasing: DataRetention

    async def session(self, number: int, user: str = "ana", *, tag: str = "") -> Told:
        """One with words, an answer and a note, which is over."""
        told = Told(self.store, number)
        await told.begin(user)
        await told.turn(1, f"secret number {number}", "so it is", 400.0)
        await told.tell(
            Kind.NOTE_ADDED,
            3,
            note_id=f"note_{number}",
            pinned_at=T0.isoformat(),
            text="odd",
            tags=[tag] if tag else [],
        )
        await told.end(60)
        return told

    async def left(self, **wanted: Any) -> list[str]:
        return [
            one.session.user_id
            for one in (await self.store.found.page(SessionFilter(**wanted))).sessions
        ]

    async def rows(self) -> dict[str, int]:
        """How many rows each table has that holds what is known of sessions."""
        counts = {}
        async with self.store.reading() as db:
            for table in t.metadata.sorted_tables:
                if table.name not in {"audit", "retention_rules", "counted"}:
                    count = await db.execute(select(func.count()).select_from(table))
                    counts[table.name] = int(count.scalar_one())
        return {name: count for name, count in counts.items() if count}


@pytest_asyncio.fixture
async def bed(store_url: str, tmp_path: Path) -> AsyncIterator[Bed]:
    import asyncio

    settings = settings_for(store_url, tmp_path)
    hub = Hub(asyncio.get_running_loop(), lambda: "")
    async with (
        open_store(settings, delete_hooks=[forget_sessions]) as store,
        open_audit(store.access.add_entries) as audit,
    ):
        yield Bed(store, audit, DataRetention(settings, store, hub, audit, now=lambda: NOW))
    hub.close()


async def test_nothing_is_left_of_a_deleted_session(
    bed: Bed, tmp_path: Path, store_url: str
) -> None:
    told = await bed.session(1)
    settings = settings_for(store_url, tmp_path)
    thread = RunnableConfig(configurable={"thread_id": told.id})
    async with open_checkpointer(settings) as saver:
        graph = build(RuleMind(), TicketStore(tmp_path / "x.db")).compile(checkpointer=saver)
        await graph.ainvoke({"messages": [HumanMessage("hello")]}, thread)
    await RollupStore(bed.store).catch_up(NOW)
    held = await bed.rows()
    assert held["events"] > 4
    assert held["rollups"] == 2, "an hour and a day"
    assert await bed.erasing.sessions([told.id], actor=person("ada")) == 1
    assert await bed.rows() == {}
    assert await bed.left(text="secret") == []
    async with open_checkpointer(settings) as saver:
        assert await saver.aget_tuple(thread) is None
    await bed.audit.settled(timeout_s=5)
    (entry,) = (await bed.store.access.page(AuditQuery(), cursor=None)).entries
    assert (entry.actor, entry.action, entry.target, entry.outcome) == (
        "ada",
        "Erasing.sessions",
        told.id,
        "done",
    )


async def test_all_or_nothing_and_only_what_is_over(bed: Bed) -> None:
    over = await bed.session(1)
    going_on = Told(bed.store, 2)
    await going_on.begin("ben")
    just_over = Told(bed.store, 24 * 30)
    await just_over.begin("zoe")
    await just_over.end(-10)
    for ids, error in (
        ([over.id, going_on.id], ConflictError),
        ([over.id, just_over.id], ConflictError),
        ([over.id, "ses_" + "0" * 32], NotFoundError),
        ([over.id] * 201, InvalidInputError),
    ):
        with pytest.raises(error):
            await bed.erasing.sessions(ids, actor=person())
    assert sorted(await bed.left()) == ["ana", "ben", "zoe"]


async def test_a_users_data_goes_on_request_and_nobody_elses(bed: Bed, tmp_path: Path) -> None:
    for number in range(3):
        await bed.session(number, "ana", tag=KEEP_TAG)
    await bed.session(9, "ben")
    tickets = TicketStore(tmp_path / "tickets.db")
    for user in ("ana", "ben"):
        ticket = {"title": "t", "kind": "task", "note": ""}
        tickets.create([ticket], batch=user, user_id=user, session_id=f"ses_{user}")
    assert await bed.erasing.user("ana", actor=person()) == 3
    assert await bed.left() == ["ben"]
    assert [one.user_id for one in read_tickets(tmp_path / "tickets.db")] == ["ben"]
    with pytest.raises(InvalidInputError):
        await bed.erasing.user("  ", actor=person())
    going_on = Told(bed.store, 20)
    await going_on.begin("ben")
    with pytest.raises(ConflictError, match="goes on"):
        await bed.erasing.user("ben", actor=person())


async def test_a_rule_deletes_what_it_no_longer_keeps(bed: Bed) -> None:
    await bed.session(0, "old")
    await bed.session(1, "old and marked", tag="sales")
    await bed.session(2, "old and kept", tag=KEEP_TAG)
    await bed.session(24 * 25, "young")
    going_on = Told(bed.store, 3)
    await going_on.begin("going on")
    sales = RetentionRule(name="sales", days=7, tag="sales")
    await bed.erasing.save_rule(sales, actor=person("ada"))
    assert await bed.erasing.due(sales) == 1
    assert await bed.erasing.apply() == 1
    everything = RetentionRule(name="all", days=20)
    await bed.erasing.save_rule(everything, actor=person("ada"))
    assert await bed.erasing.apply() == 1
    assert sorted(await bed.left()) == ["going on", "old and kept", "young"]
    assert await bed.erasing.apply() == 0
    await bed.erasing.delete_rule("all", actor=person("ada"))
    assert [rule.name for rule in await bed.erasing.rules()] == ["sales"]
    await bed.audit.settled(timeout_s=5)
    entries = (await bed.store.access.page(AuditQuery(), cursor=None)).entries
    assert [(one.action, one.target, one.facts.get("sessions")) for one in entries] == [
        ("Erasing.delete_rule", "all", None),
        ("Erasing.apply", "all", 1),
        ("Erasing.save_rule", "all", None),
        ("Erasing.apply", "sales", 1),
        ("Erasing.save_rule", "sales", None),
    ]


@pytest.mark.parametrize("days", [0, -1, 3651])
async def test_a_rule_that_makes_no_sense_is_refused(bed: Bed, days: int) -> None:
    with pytest.raises(InvalidInputError):
        await bed.erasing.save_rule(RetentionRule(name="x", days=days), actor=person())
    with pytest.raises(InvalidInputError):
        await bed.erasing.save_rule(RetentionRule(name=" ", days=1), actor=person())


async def test_only_an_admin_deletes(bed: Bed) -> None:
    from services.access.permissions import Role

    told = await bed.session(1)
    with pytest.raises(PermissionDeniedError):
        await bed.erasing.sessions([told.id], actor=person("bob", Role.OPERATOR))
    assert await bed.left() == ["ana"]
