"""Sessions are found by what happened in them, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from services.errors import InvalidInputError
from services.events import Event, Kind, Provenance, Source
from services.ids import SessionId, new_session_id, room_name_for
from services.store import session_search
from services.store.records import SessionStatus
from services.store.session_fields import DEFAULT_SORT, SORTS, SessionFilter, SessionRow
from services.store.store import Store, open_store
from tests.integration.store.test_store import settings_for

T0 = datetime(2026, 1, 1, 9, tzinfo=UTC)
_OF_0004 = ("found", "tags", "texts")
_LATER = (
    "audit", "api_keys", "views", "retention_rules", "reviews", "alert_rules", "alerts",
    "counted", "counts", "rollups", "marks",
)  # fmt: skip


@pytest_asyncio.fixture
async def store(store_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(settings_for(store_url, tmp_path)) as opened:
        yield opened


class Told:
    """One session, told event by event."""

    def __init__(
        self, store: Store, number: int, *, agent: str = "pm-agent", room: str = ""
    ) -> None:
        self.id: SessionId = new_session_id()
        self.room_name = room or room_name_for(self.id, "find")
        self._store = store
        self._number = number
        self._agent = agent
        self._at = T0 + timedelta(hours=number)

    async def tell(self, kind: Kind, after_s: float, /, **data: Any) -> None:
        certainty = data.pop("certainty", Provenance.OBSERVED)
        at = self._at + timedelta(seconds=after_s)
        ours = kind in {
            Kind.MESSAGE, Kind.INTERRUPT_RAISED, Kind.RUN_FINISHED, Kind.AGENT_ERROR, Kind.RUN_FAILED,
        }  # fmt: skip
        await self._store.log.append(
            Event(
                kind=kind,
                at=at,
                received_at=at,
                source=Source.AGENT if ours else Source.OPERATOR,
                certainty=certainty,
                session_id=self.id,
                room_name=self.room_name,
                room_sid=f"RM_{self._number}",
                data=data,
            )
        )

    async def begin(self, user: str) -> None:
        await self.tell(
            Kind.SESSION_CREATED, 0, agent_name=self._agent, user_id=user, identity=user
        )

    async def turn(self, after_s: float, asked: str, answer: str, answer_ms: float | None) -> None:
        await self.tell(Kind.MESSAGE, after_s, role="user", text=asked, agent_name=self._agent)
        metrics = {} if answer_ms is None else {"e2e_latency": answer_ms}
        facts = {"role": "assistant", "text": answer, "metrics": metrics}
        await self.tell(Kind.MESSAGE, after_s + 1, **facts, interrupted=answer.endswith("…"))

    async def end(self, after_s: float, **given: Any) -> None:
        await self.tell(Kind.ROOM_FINISHED, after_s, **given)


async def find(store: Store, sort: str = DEFAULT_SORT, **wanted: Any) -> list[SessionRow]:
    page = await store.session_search.page(SessionFilter.where(**wanted), sort=sort)
    return list(page.sessions)


async def ids(store: Store, sort: str = DEFAULT_SORT, **wanted: Any) -> list[str]:
    return [one.session_id for one in await find(store, sort, **wanted)]


async def test_a_session_is_told_in_figures_as_it_goes_on(store: Store) -> None:
    told = Told(store, 1)
    await told.begin("ana")
    (found,) = await find(store)
    assert (found.session_id, found.turns, found.duration_s, found.verdict) == (
        told.id,
        0,
        None,
        "",
    )
    await told.turn(5, "Yesterday I finished the login page.", "What is next?", 600)
    await told.turn(9, "The audit log.", "Is anything…", 900)
    await told.turn(15, "No.", "Fine.", 1500)
    await told.tell(Kind.INTERRUPT_RAISED, 16, interrupt_id="i1", value={})
    await told.tell(Kind.AGENT_ERROR, 17, message="x")
    await told.tell(Kind.RUN_FAILED, 18, error="CancelledError", cancelled=True)  # broken in upon
    (found,) = await find(store)
    assert (found.turns, found.interruptions, found.interrupts_pending, found.errors) == (
        3,
        1,
        1,
        1,
    )
    assert (found.latency_p50_ms, found.latency_max_ms) == (900, 1500)

    await told.end(60)
    await told.tell(Kind.REVIEWED, 70, verdict="fail", remark="", scores={})
    await told.tell(Kind.REVIEWED, 71, verdict="pass", remark="", scores={})
    (found,) = await find(store)
    assert (found.duration_s, found.interrupts_pending, found.verdict) == (60, 0, "pass")
    assert (found.status, found.provenance) == (SessionStatus.ENDED, Provenance.OBSERVED)


async def test_tags_and_words_of_notes_go_with_them(store: Store) -> None:
    told = Told(store, 1)
    await told.begin("ana")
    for note, tags in (("n1", ["slow", "wrong"]), ("n2", ["slow"])):
        words = f"Zögerlich {note}"
        await told.tell(Kind.NOTE_ADDED, 5, note_id=note, text=words, tags=tags)
    (found,) = await find(store, tag="wrong", q="zögerlich n1")
    assert found.tags == ("slow", "wrong")
    await told.tell(Kind.NOTE_REMOVED, 9, note_id="n1")
    assert await find(store, tag="wrong") == []
    assert await find(store, q="n1") == []
    (found,) = await find(store, tag="slow", q="n2")
    assert found.tags == ("slow",)
    assert (await store.session_search.values())["tag"] == ("slow",)


async def test_each_filter_finds_what_it_says_and_all_must_hold(store: Store) -> None:
    one, two, three = Told(store, 1), Told(store, 2, agent="echo"), Told(store, 3)
    await one.begin("ana")
    await one.turn(1, "Where is the invoice for the blue bicycle?", "In your mail.", 400)
    await one.end(30)
    await two.begin("ben")
    await two.turn(1, "Hello there", "Hello there", 2_000)
    await two.tell(Kind.INTERRUPT_RAISED, 3, interrupt_id="i", value={})
    await three.begin("ana")
    await three.tell(Kind.AGENT_ERROR, 2, message="broken")
    await three.end(10, certainty=Provenance.INFERRED)
    await one.tell(Kind.REVIEWED, 40, verdict="fail", remark="", scores={})

    for wanted, expected in (
        ({}, [three, two, one]),
        ({"q": "bicycle"}, [one]),
        ({"q": "BICY inv"}, [one]),
        ({"q": "bicycle hello"}, []),
        ({"q": '"; DROP TABLE texts; -- bicycle'}, []),
        ({"q": "bicycle) OR (a* NOT"}, []),
        ({"q": "???"}, []),
        ({"q": str(two.id)}, [two]),
        ({"q": room_name_for(three.id, "find")}, [three]),
        ({"status": (SessionStatus.CREATED,)}, [two]),
        ({"agent_name": "echo"}, [two]),
        ({"user_id": "ana"}, [three, one]),
        ({"user_id": "ana", "errors": True}, [three]),
        ({"provenance": Provenance.INFERRED}, [three]),
        ({"verdict": "fail"}, [one]),
        ({"verdict": "none"}, [three, two]),
        ({"interrupts_pending": True}, [two]),
        ({"min_latency_max_ms": 1_000}, [two]),
        ({"min_latency_p50_ms": 1_000}, [two]),
        ({"min_duration_s": 1}, [three, one]),
        ({"min_turns": 1}, [two, one]),
        ({"min_turns": 9}, []),
        ({"min_interruptions": 1}, []),
        ({"created_after": T0 + timedelta(hours=2)}, [three, two]),
        ({"created_before": T0 + timedelta(hours=2)}, [one]),
    ):
        assert await ids(store, **wanted) == [told.id for told in expected], wanted
    assert await ids(store, "-latency_max_ms") == [two.id, one.id]  # of three there is none
    assert await ids(store, "-duration_s") == [one.id, three.id]


@pytest.mark.parametrize("few", [5_000, 1], ids=["few", "many"])
async def test_a_room_is_found_by_its_name_or_the_beginning_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(session_search, "_FEW", few)
    names = ("support-1", "support-10", "Support-1", "supper", "100%_a\\b", "1000_a", "名前-1")
    for number, name in enumerate(names):
        await Told(store, number, room=name).begin("ana")
    for wanted, expected in (
        ("support-1", ["support-1"]),
        ("support-1*", ["support-10", "support-1"]),
        ("supp*", ["supper", "support-10", "support-1"]),
        ("100%*", ["100%_a\\b"]),
        ("100%_a\\*", ["100%_a\\b"]),
        ("1000_*", ["1000_a"]),
        ("名*", ["名前-1"]),
        ("port*", []),
        ("*", list(reversed(names))),
        ("sup\x00*", []),
    ):
        found = [one.room_name for one in await find(store, room_name=wanted)]
        assert found == expected, wanted
    by_user = await find(store, "user_id", room_name="supp*", user_id="ana")
    assert [one.room_name for one in by_user] == ["support-1", "support-10", "supper"]


async def test_sessions_are_found_and_sorted_by_who_is_to_review_them(store: Store) -> None:
    told = [Told(store, number) for number in range(4)]
    for one in told:
        await one.begin("ana")
    for one, reviewer in zip(told, ("zoe", "", "bob", "zoe"), strict=True):
        await one.tell(Kind.ASSIGNED, 5, to=reviewer)
    assert await ids(store, assignee="zoe") == [told[3].id, told[0].id]
    assert await ids(store, assignee="-") == [told[1].id]
    assert await ids(store, assignee="nobody") == []
    assert await ids(store, "assignee") == [told[2].id, told[0].id, told[3].id]
    assert (await store.session_search.values())["assignee"] == ("bob", "zoe")


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "waiting"])
async def test_pages_go_on_without_gaps_in_every_order(store: Store, ended: bool) -> None:
    for number in range(7):
        told = Told(store, number)
        await told.begin("ana")
        for turn in range(1 + number % 3):
            await told.turn(turn * 5, "a", "b…" if number % 2 else "b", 100.5 * (number % 4))
            await told.tell(Kind.AGENT_ERROR, 20 + turn, message="x")
        await told.tell(Kind.INTERRUPT_RAISED, 30, interrupt_id="i", value={})
        await told.tell(Kind.ASSIGNED, 40, to=f"reviewer {number % 2}")
        if ended:
            await told.end(60 + number % 2)
    for sort in SORTS:
        if sort.removeprefix("-") == ("interrupts_pending" if ended else "duration_s"):
            continue  # an end answers every question; what goes on has no duration
        seen = await walk(store, sort)
        whole = await store.session_search.page(sort=sort, limit=500)
        assert seen == [one.session_id for one in whole.sessions], sort
        assert len(seen) == len(set(seen)) == 7, sort


async def walk(store: Store, sort: str) -> list[str]:
    """Every page of two, one after the other."""
    seen: list[str] = []
    cursor = None
    while True:
        page = await store.session_search.page(sort=sort, cursor=cursor, limit=2)
        seen += [one.session_id for one in page.sessions]
        cursor = page.next_cursor
        if cursor is None:
            return seen


async def test_a_cursor_of_another_making_is_refused(store: Store) -> None:
    for cursor in ("x", "AAAA", "WyJ0dXJucyIsZmFsc2UsMSwieCJd"):
        with pytest.raises(InvalidInputError):
            await store.session_search.page(cursor=cursor)


async def test_sessions_of_before_are_found_after_the_migration(
    store_url: str, tmp_path: Path
) -> None:
    async with open_store(settings_for(store_url, tmp_path)) as store:
        told = Told(store, 1)
        await told.begin("ana")
        await told.turn(1, "The green lantern", "Yes.", 700)
        await told.tell(Kind.NOTE_ADDED, 5, note_id="n", text="A remark", tags=["odd"])
        await told.tell(Kind.REVIEWED, 6, verdict="unsure", remark="", scores={})
        await told.end(30)
        (before,) = await find(store)
        async with store.writing() as db:
            for table in (*_OF_0004, *_LATER):
                await db.execute(text(f"DROP TABLE {table}"))
            if db.dialect.name == "sqlite":
                await db.execute(text("DROP TABLE words"))
            else:
                await db.execute(text("DROP FUNCTION audit_refuses"))
            await db.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    async with open_store(settings_for(store_url, tmp_path)) as store:
        (after,) = await find(store, q="lantern", tag="odd")
        assert after == before
        assert await ids(store, q="remark") == [told.id]
        (scored,) = await store.quality.versions(T0)
        assert (scored.verdict, scored.count) == ("unsure", 1)
