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

from sqlalchemy import ColumnElement, FromClause, column, func, or_, select, table, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.errors import InvalidInputError
from services.events import Provenance
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
    """What sessions are sorted by. Those that have no such figure are not listed then.

    By words, those of one word come by the time of their beginning.
    """

    STARTED = "created_at"
    DURATION = "duration_s"
    TURNS = "turns"
    MEDIAN_ANSWER = "answer_median_ms"
    WORST_ANSWER = "answer_worst_ms"
    INTERRUPTIONS = "interruptions"
    ASKS = "asks"
    ERRORS = "errors"
    AGENT = "agent_name"
    VERSION = "version"
    USER = "user_id"
    ROOM = "room_name"
    STATUS = "status"
    VERDICT = "verdict"
    EVIDENCE = "evidence"


_FEW_HAVE: Final = {Order.ASKS, Order.ERRORS}  # listed are those with any
_WORDS_OF: Final = {
    Order.AGENT, Order.VERSION, Order.USER, Order.ROOM, Order.STATUS, Order.VERDICT, Order.EVIDENCE,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Every part that is set must hold.

    `text`: words that were all said or noted in one text, of the newest 5,000 that have them.
    `verdict` "none": nobody gave one. `slower_than_ms`: the worst answer took longer.
    `duration_from_s` and the others `from`: those with as much or more.
    `mark`: what `services.analytics.session_metrics` marks a session with, such as `node|route|errors`;
    `mark_over_ms`: it took so long at least once.
    """

    text: str = ""
    statuses: tuple[SessionStatus, ...] = ()
    agent_name: str | None = None
    user_id: str | None = None
    room_name: str | None = None
    evidence: Provenance | None = None
    verdict: str | None = None
    tag: str | None = None
    assignee: str | None = None
    version: str | None = None
    asks: bool = False
    errors: bool = False
    slower_than_ms: float | None = None
    median_from_ms: float | None = None
    duration_from_s: float | None = None
    turns_from: int | None = None
    interruptions_from: int | None = None
    mark: str | None = None
    mark_over_ms: float | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session with what it is found by. Answers in ms, from end of speech to first audio."""

    session: SessionRecord
    evidence: Provenance
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
class SessionPage:
    """`next_cursor` None: no more."""

    sessions: tuple[SessionRow, ...]
    next_cursor: str | None


class SessionSearch:
    """Raises StoreUnavailableError where the database is away."""

    def __init__(self, reading: Connect) -> None:
        self._reading = reading

    async def page(
        self,
        wanted: SessionFilter | None = None,
        *,
        order: Order = Order.STARTED,
        ascending: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> SessionPage:
        """A page of sessions in that order; `limit` is 1 to 500.

        Raises:
            InvalidInputError: the cursor is not one of ours, or of another order.
        """
        limit = max(1, min(limit, PAGE_MOST))
        wanted = wanted or SessionFilter()
        by_mark = wanted.mark is not None and order is Order.STARTED
        # a mark has its sessions in the order of their beginning: any page of any mark at once
        keys = [(t.marks if by_mark else t.found).c[name] for name in _keys(order)]
        async with self._reading() as db:
            where = _conditions(wanted, db.dialect.name)
            source: FromClause = t.found
            if by_mark:
                source = t.marks.join(t.found, t.marks.c.session_id == t.found.c.session_id)
                where += _like(wanted)
            elif wanted.mark is not None:
                where.append(await _marked(db, wanted))
            if order in _FEW_HAVE:
                where.append(keys[0] > 0)
            elif order is not Order.STARTED and order not in _WORDS_OF:
                where.append(keys[0].is_not(None))
            if cursor:
                at = _read_cursor(cursor, order, ascending=ascending)
                where.append(tuple_(*keys) > at if ascending else tuple_(*keys) < at)
            query = (
                select(t.found)
                .select_from(source)
                .where(*where)
                .order_by(*(key if ascending else key.desc() for key in keys))
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
        return SessionPage(
            sessions=found,
            next_cursor=_write_cursor(last, order, ascending=ascending) if more and last else None,
        )

    async def values(self, *, limit: int = 200) -> dict[str, tuple[str, ...]]:
        """What can be filtered by: `agent_name`, `version` and `tag`, each in alphabetical order."""
        async with self._reading() as db:
            return {
                "agent_name": await _different(db, t.found.c.agent_name, limit),
                "version": await _different(db, t.found.c.version, limit),
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


def _found(row: Any, session: SessionRecord, tags: list[str]) -> SessionRow:
    return SessionRow(
        session=session,
        evidence=Provenance(row["evidence"]),
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


def _conditions(wanted: SessionFilter, dialect: str) -> list[ColumnElement[bool]]:
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
    least = {
        c.answer_median_ms: wanted.median_from_ms,
        c.duration_s: wanted.duration_from_s,
        c.turns: wanted.turns_from,
        c.interruptions: wanted.interruptions_from,
    }
    where += [figure >= least_ for figure, least_ in least.items() if least_ is not None]
    if wanted.created_after is not None:
        where.append(c.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        where.append(c.created_at < wanted.created_before)
    if wanted.text.strip():
        where.append(_said(wanted.text, dialect))
    return where


def _like(wanted: SessionFilter) -> tuple[ColumnElement[bool], ...]:
    c = t.marks.c
    return c.mark == clean(wanted.mark), c.worst_ms >= (wanted.mark_over_ms or 0.0)


async def _marked(db: AsyncConnection, wanted: SessionFilter) -> ColumnElement[bool]:
    """Sessions with that mark: few are listed first, of many each session is asked for its own."""
    c = t.marks.c
    some = select(c.session_id).where(*_like(wanted))
    few = select(func.count()).select_from(some.limit(_FEW + 1).subquery())
    if (await db.execute(few)).scalar_one() <= _FEW:
        return t.found.c.session_id.in_(some)
    return select(c.mark).where(c.session_id == t.found.c.session_id, *_like(wanted)).exists()


def _said(wanted: str, dialect: str) -> ColumnElement[bool]:
    """Sessions in which all of the words come in one text; or the one of that id or room."""
    c = t.found.c
    wanted = clean(wanted.strip()[:TEXT_MOST])
    itself = select(c.session_id).where(or_(c.session_id == wanted, c.room_name == wanted))
    words = re.findall(r"\w+", wanted)[:_WORDS]
    if not words:
        return c.session_id.in_(itself)
    if dialect == "postgresql":
        # materialized: else it may walk all texts from the newest on, and read each for a rare word
        said = (
            select(t.texts.c.id, t.texts.c.session_id)
            .where(
                func.to_tsvector(text("'simple'"), t.texts.c.text).op("@@")(
                    func.to_tsquery(text("'simple'"), " & ".join(f"{word}:*" for word in words))
                )
            )
            .cte("said")
            .prefix_with("MATERIALIZED")
        )
        hits = select(said).order_by(said.c.id.desc()).limit(_HITS).subquery()
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


def _keys(order: Order) -> tuple[str, ...]:
    """The columns that the order goes by; there is an index for each that begins with them."""
    if order in _WORDS_OF:
        return order.value, Order.STARTED.value, "session_id"
    return order.value, "session_id"


def _write_cursor(last: Any, order: Order, *, ascending: bool) -> str:
    values = [last[name] for name in _keys(order)]
    told = [one.isoformat() if isinstance(one, datetime) else one for one in values]
    raw = json.dumps([order.value, ascending, *told]).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read_cursor(cursor: str, order: Order, *, ascending: bool) -> tuple[Any, ...]:
    names = _keys(order)
    try:
        raw = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        name, upwards, *values = raw
        if (name, upwards) != (order.value, ascending) or len(values) != len(names):
            raise ValueError("of another order")
        return tuple(map(_read_value, names, values))
    except (ValueError, TypeError, AttributeError) as exc:
        raise InvalidInputError(
            "The cursor is not one that was given for this list.",
            hint="Begin at the first page.",
            field="cursor",
        ) from exc


def _read_value(name: str, value: Any) -> Any:
    if name == "session_id":
        if not is_session_id(value):
            raise ValueError("no session's id")
        return value
    if name == Order.STARTED:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("naive")
        return moment.astimezone(UTC)
    right: type | tuple[type, ...] = str if name in _WORDS_OF else (int, float)
    if isinstance(value, bool) or not isinstance(value, right):
        raise ValueError("of another kind")
    return value
