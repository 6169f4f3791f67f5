"""Sessions found by what happened in them: filters, an order, and the words that were said.

Made by `Store`, as its `found`. One page at a time; where a page ends is in its cursor, so that the
thousandth costs as much as the first.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, column, func, or_, select, table, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.errors import BadInputError
from services.events import Certainty
from services.ids import is_session_id
from services.store import tables as t
from services.store.records import SessionRecord, SessionStatus
from services.store.rows import clean, session_record

Connect = Callable[[], AbstractAsyncContextManager[AsyncConnection]]

PAGE_MOST: Final = 500
TEXT_MOST: Final = 200
"""Characters of what is searched for."""
_HITS: Final = 5_000  # texts of the newest that a search looks at
_WORDS: Final = 12
_FEW: Final = 5_000
"""Sessions with a mark; of a million with more of them, one of 200 that are looked at has it."""


class Order(StrEnum):
    """What sessions are sorted by. Those that have no such figure are not listed then."""

    STARTED = "created_at"
    DURATION = "duration_s"
    TURNS = "turns"
    MEDIAN_ANSWER = "answer_median_ms"
    WORST_ANSWER = "answer_worst_ms"
    INTERRUPTIONS = "interruptions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """Every part that is set must hold.

    `text`: words that were all said or noted in one text, of the newest 5,000 that have them.
    `verdict` "none": nobody gave one. `slower_than_ms`: the worst answer took longer.
    `mark`: what `services.store.counting` marks a session with, such as `node|route|errors`;
    `mark_over_ms`: it took so long at least once.
    """

    text: str = ""
    statuses: tuple[SessionStatus, ...] = ()
    agent_name: str | None = None
    user_id: str | None = None
    room_name: str | None = None
    evidence: Certainty | None = None
    verdict: str | None = None
    tag: str | None = None
    assignee: str | None = None
    version: str | None = None
    asks: bool = False
    errors: bool = False
    slower_than_ms: float | None = None
    mark: str | None = None
    mark_over_ms: float | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A session with what it is found by. Answers in ms, from end of speech to first audio."""

    session: SessionRecord
    evidence: Certainty
    duration_s: float | None
    turns: int
    answer_median_ms: float | None
    answer_worst_ms: float | None
    interruptions: int
    asks: int
    errors: int
    verdict: str
    version: str
    assignee: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPage:
    """`next_cursor` None: no more."""

    sessions: tuple[Found, ...]
    next_cursor: str | None


class FoundStore:
    """Raises StoreUnavailableError where the database is away."""

    def __init__(self, reading: Connect) -> None:
        self._reading = reading

    async def page(
        self,
        wanted: Find | None = None,
        *,
        order: Order = Order.STARTED,
        ascending: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> FoundPage:
        """A page of sessions in that order; `limit` is 1 to 500.

        Raises:
            BadInputError: the cursor is not one of ours, or of another order.
        """
        limit = max(1, min(limit, PAGE_MOST))
        wanted = wanted or Find()
        by: ColumnElement[Any] = t.found.c[order.value]
        key = t.found.c.session_id
        async with self._reading() as db:
            where = _conditions(wanted, db.dialect.name)
            if wanted.mark is not None:
                where.append(await _marked(db, wanted.mark, wanted.mark_over_ms or 0.0))
            if order is not Order.STARTED:
                where.append(by.is_not(None))
            if cursor:
                at = _read_cursor(cursor, order, ascending=ascending)
                pair = tuple_(by, key)
                where.append(pair > at if ascending else pair < at)
            query = (
                select(t.found)
                .where(*where)
                .order_by(by if ascending else by.desc(), key if ascending else key.desc())
                .limit(limit + 1)
            )
            rows = (await db.execute(query)).mappings().all()
            more, rows = len(rows) > limit, rows[:limit]
            ids = [row["session_id"] for row in rows]
            sessions = await db.execute(select(t.sessions).where(t.sessions.c.id.in_(ids)))
            records = {row["id"]: session_record(row) for row in sessions.mappings()}
            tags: dict[str, list[str]] = {}
            marked = select(t.tags).where(t.tags.c.session_id.in_(ids)).order_by(t.tags.c.tag)
            for row in (await db.execute(marked)).mappings():
                tags.setdefault(row["session_id"], []).append(row["tag"])
        found = tuple(
            _found(row, records[row["session_id"]], tags.get(row["session_id"], []))
            for row in rows
            if row["session_id"] in records
        )
        last = rows[-1] if rows else None
        return FoundPage(
            sessions=found,
            next_cursor=_write_cursor(last, order, ascending=ascending) if more and last else None,
        )

    async def values(self, *, limit: int = 200) -> dict[str, tuple[str, ...]]:
        """What can be filtered by: `agent_name` and `tag`, each in alphabetical order."""
        async with self._reading() as db:
            return {
                "agent_name": await _different(db, t.found.c.agent_name, limit),
                "tag": await _different(db, t.tags.c.tag, limit),
            }


async def _different(
    db: AsyncConnection, values: ColumnElement[str], limit: int
) -> tuple[str, ...]:
    """Different values, each found from the one before by the index: DISTINCT would read all rows."""
    step = select(func.min(values).label("value")).where(values > "").cte("step", recursive=True)
    later = select(func.min(values)).where(values > step.c.value).scalar_subquery()
    step = step.union_all(select(later).where(step.c.value.is_not(None)))
    found = select(step.c.value).where(step.c.value.is_not(None)).limit(limit)
    return tuple((await db.execute(found)).scalars())


def _found(row: Any, session: SessionRecord, tags: list[str]) -> Found:
    return Found(
        session=session,
        evidence=Certainty(row["evidence"]),
        duration_s=row["duration_s"],
        turns=row["turns"],
        answer_median_ms=row["answer_median_ms"],
        answer_worst_ms=row["answer_worst_ms"],
        interruptions=row["interruptions"],
        asks=row["asks"],
        errors=row["errors"],
        verdict=row["verdict"],
        version=row["version"],
        assignee=row["assignee"],
        tags=tuple(tags),
    )


def _conditions(wanted: Find, dialect: str) -> list[ColumnElement[bool]]:
    c = t.found.c
    where: list[ColumnElement[bool]] = []
    if wanted.statuses:
        where.append(c.status.in_(wanted.statuses))
    same = ("agent_name", "user_id", "room_name", "evidence", "assignee", "version")
    where += [
        c[name] == clean(value) for name in same if (value := getattr(wanted, name)) is not None
    ]
    if wanted.verdict is not None:
        where.append(c.verdict == ("" if wanted.verdict == "none" else wanted.verdict))
    if wanted.tag is not None:
        marked = select(t.tags.c.session_id).where(t.tags.c.tag == clean(wanted.tag))
        where.append(c.session_id.in_(marked))
    if wanted.asks:
        where.append(c.asks > 0)
    if wanted.errors:
        where.append(c.errors > 0)
    if wanted.slower_than_ms is not None:
        where.append(c.answer_worst_ms > wanted.slower_than_ms)
    if wanted.created_after is not None:
        where.append(c.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        where.append(c.created_at < wanted.created_before)
    if wanted.text.strip():
        where.append(_said(wanted.text, dialect))
    return where


async def _marked(db: AsyncConnection, mark: str, over_ms: float) -> ColumnElement[bool]:
    """Sessions with that mark: few are listed first, of many each session is asked for its own."""
    c = t.marks.c
    like = (c.mark == clean(mark), c.worst_ms >= over_ms)
    some = select(c.session_id).where(*like)
    few = select(func.count()).select_from(some.limit(_FEW + 1).subquery())
    if (await db.execute(few)).scalar_one() <= _FEW:
        return t.found.c.session_id.in_(some)
    return select(c.mark).where(c.session_id == t.found.c.session_id, *like).exists()


def _said(wanted: str, dialect: str) -> ColumnElement[bool]:
    """Sessions in which all of the words come in one text; or the one of that id or room."""
    c = t.found.c
    wanted = clean(wanted.strip()[:TEXT_MOST])
    itself = select(c.session_id).where(or_(c.session_id == wanted, c.room_name == wanted))
    words = re.findall(r"\w+", wanted)[:_WORDS]
    if not words:
        return c.session_id.in_(itself)
    if dialect == "postgresql":
        hits = (
            select(t.texts.c.session_id)
            .where(
                func.to_tsvector(text("'simple'"), t.texts.c.text).op("@@")(
                    func.to_tsquery(text("'simple'"), " & ".join(f"{word}:*" for word in words))
                )
            )
            .order_by(t.texts.c.id.desc())
            .limit(_HITS)
            .subquery()
        )
        told = select(hits.c.session_id)
    else:
        index = table("words", column("rowid"), column("words"))
        ids = (
            select(index.c.rowid)
            .where(index.c.words.match(" ".join(f'"{word}"*' for word in words)))
            .order_by(index.c.rowid.desc())
            .limit(_HITS)
        )
        told = select(t.texts.c.session_id).where(t.texts.c.id.in_(ids))
    return c.session_id.in_(told.union_all(itself))


def _write_cursor(last: Any, order: Order, *, ascending: bool) -> str:
    value = last[order.value]
    told = value.isoformat() if isinstance(value, datetime) else value
    raw = json.dumps([order.value, ascending, told, last["session_id"]]).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read_cursor(cursor: str, order: Order, *, ascending: bool) -> tuple[Any, str]:
    try:
        raw = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        name, upwards, value, session_id = raw
        if (name, upwards) != (order.value, ascending) or not is_session_id(session_id):
            raise ValueError("of another order")
        if order is Order.STARTED:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError("naive")
            return moment.astimezone(UTC), session_id
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("no number")
    except (ValueError, TypeError, AttributeError) as exc:
        raise BadInputError(
            "The cursor is not one that was given for this list.",
            hint="Begin at the first page.",
            field="cursor",
        ) from exc
    return value, session_id
