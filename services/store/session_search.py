"""Sessions by what happened in them: filters, an order, and the words that were said.

`Store.session_search` is one. One page at a time; where a page ends is in its cursor, so that the
thousandth costs as much as the first. What there is to filter and sort by: `session_fields.py`.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
    text,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.errors import InvalidInputError
from services.ids import is_session_id
from services.store import tables as t
from services.store.rows import clean
from services.store.session_fields import (
    DEFAULT_SORT,
    FIELDS,
    PARAMETERS,
    PREFIX,
    SORTS,
    TEXT_MOST,
    Op,
    SessionField,
    SessionFilter,
    SessionRow,
    Source,
)

Connect = Callable[[], AbstractAsyncContextManager[AsyncConnection]]

PAGE_MOST: Final = 500
_HITS: Final = 5_000  # texts of the newest that a search looks at
_WORDS: Final = 12
_FEW: Final = 5_000
"""Sessions that are listed first; of a million with more, one of 200 that are looked at is one."""


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
        sort: str = DEFAULT_SORT,
        cursor: str | None = None,
        limit: int = 50,
    ) -> SessionPage:
        """A page of sessions; `sort` is one of `SORTS`, `limit` is 1 to 500.

        Sorted by a number, sessions that have none are not listed; by text, those with the same
        text come by the time of their creation.

        Raises:
            InvalidInputError: no such order; or the cursor is not one of ours, or of another order.
        """
        limit = max(1, min(limit, PAGE_MOST))
        if sort not in SORTS:
            raise InvalidInputError(
                f"Sessions are not sorted by {sort!r}.",
                hint="See the list of fields.",
                field="sort",
            )
        values = (wanted or SessionFilter()).values
        by, descending = FIELDS[sort.removeprefix("-")], sort.startswith("-")
        by_mark = "mark" in values and by.kind is datetime
        # a mark has its sessions in the order of their beginning: any page of any mark at once
        keys = [(t.marks if by_mark else t.found).c[name] for name in _keys(by)]
        async with self._reading() as db:
            where = _conditions(values, db.dialect.name)
            source: FromClause = t.found
            if by_mark:
                source = t.marks.join(t.found, t.marks.c.session_id == t.found.c.session_id)
                where += _like(values)
            elif "mark" in values:
                where.append(await _marked(db, values))
            where += [await _named(db, of, value) for of, value in _beginnings(values)]
            if by.sparse:
                where.append(_has(by))
            elif by.optional:
                where.append(keys[0].is_not(None))
            if cursor:
                at = _read_cursor(cursor, sort)
                where.append(tuple_(*keys) < at if descending else tuple_(*keys) > at)
            query = (
                select(t.found)
                .select_from(source)
                .where(*where)
                .order_by(*(key.desc() if descending else key for key in keys))
                .limit(limit + 1)
            )
            rows = (await db.execute(query)).mappings().all()
            more, rows = len(rows) > limit, rows[:limit]
            ids = [row["session_id"] for row in rows]
            of_ids = await db.execute(select(t.sessions).where(t.sessions.c.id.in_(ids)))
            records = {row["id"]: row for row in of_ids.mappings()}
            tags: dict[str, list[str]] = {}
            tagged = select(t.tags).where(t.tags.c.session_id.in_(ids)).order_by(t.tags.c.tag)
            for row in (await db.execute(tagged)).mappings():
                tags.setdefault(row["session_id"], []).append(row["tag"])
        return SessionPage(
            sessions=tuple(
                _row(row, records[row["session_id"]], tags.get(row["session_id"], ()))
                for row in rows
                if row["session_id"] in records
            ),
            next_cursor=_write_cursor(rows[-1], sort) if more else None,
        )

    async def values(self, *, limit: int = 200) -> dict[str, tuple[str, ...]]:
        """The values that there are of each field that suggests them, in alphabetical order."""
        async with self._reading() as db:
            return {
                one.parameter: await _different(db, one, limit)
                for one in FIELDS.values()
                if one.suggested
            }


def _row(row: Any, record: Any, tags: Any) -> SessionRow:
    of = {Source.INDEX: row, Source.SESSION: record, Source.TAGS: {"tags": tuple(tags)}}
    return SessionRow(**{one.name: one.read(of[one.source]) for one in FIELDS.values()})


async def _different(db: AsyncConnection, of: SessionField, limit: int) -> tuple[str, ...]:
    """Different values, each found from the one before by the index: DISTINCT would read all rows."""
    values = t.tags.c.tag if of.source is Source.TAGS else t.found.c[of.name]
    also = [_has(of)] if of.sparse else []
    step = select(func.min(values).label("value")).where(values > "", *also)
    steps = step.cte("step", recursive=True)
    later = select(func.min(values)).where(values > steps.c.value, *also).scalar_subquery()
    steps = steps.union_all(select(later).where(steps.c.value.is_not(None)))
    found = select(steps.c.value).where(steps.c.value.is_not(None)).limit(limit)
    return tuple((await db.execute(found)).scalars())


def _has(of: SessionField) -> ColumnElement[bool]:
    """In the words of the sparse index: SQLite uses it for no others."""
    return (
        t.found.c[of.name] != literal_column("''")
        if of.is_text
        else t.found.c[of.name] > literal_column("0")
    )


def _conditions(values: Mapping[str, Any], dialect: str) -> list[ColumnElement[bool]]:
    where = [_said(values["q"], dialect)] if "q" in values else []
    for name, value in values.items():
        parameter = PARAMETERS[name]
        if parameter.field is not None:
            where += _condition(parameter.field, parameter.op, value)
    return where


def _condition(of: SessionField, op: Op, value: Any) -> list[ColumnElement[bool]]:
    c = t.found.c
    match op:
        case Op.NAME:
            return [] if value.endswith(PREFIX) else [c[of.name] == clean(value)]
        case Op.EQUAL:
            value = "" if value == of.none else clean(value)
            return [c[of.name] == value, *([_has(of)] if of.sparse and value else [])]
        case Op.ONE_OF:
            return [c[of.name].in_(value)]
        case Op.HAS:
            return [_has(of)]
        case Op.MEMBER:
            having = select(t.tags.c.session_id).where(t.tags.c.tag == clean(value))
            return [c.session_id.in_(having)]
        case Op.AT_LEAST:
            return [c[of.name] >= value]
        case Op.AT_MOST:
            return [c[of.name] <= value]
        case Op.BEFORE:
            return [c[of.name] < value]
        case Op.SEARCH:
            return []


def _like(values: Mapping[str, Any]) -> tuple[ColumnElement[bool], ...]:
    c = t.marks.c
    return c.mark == clean(values["mark"]), c.worst_ms >= values.get("mark_over_ms", 0.0)


async def _marked(db: AsyncConnection, values: Mapping[str, Any]) -> ColumnElement[bool]:
    """Sessions with that mark: few are listed first, of many each session is asked for its own."""
    c = t.marks.c
    some = select(c.session_id).where(*_like(values))
    if await _are_few(db, some):
        return t.found.c.session_id.in_(some)
    return select(c.mark).where(c.session_id == t.found.c.session_id, *_like(values)).exists()


async def _named(db: AsyncConnection, of: SessionField, beginning: str) -> ColumnElement[bool]:
    """Sessions whose name begins so: few are listed first, of many each session's own is read."""
    c, some = t.found.c, clean(beginning.removesuffix(PREFIX))

    def begins(name: ColumnElement[Any]) -> ColumnElement[bool]:
        if db.dialect.name == "postgresql":  # LIKE for any collation; SQLite's would ignore case
            return name.like(re.sub(r"([\\%_])", r"\\\1", some) + "%")
        return and_(name >= some, name < some + chr(sys.maxunicode))

    listed = select(c.session_id).where(begins(c[of.name]))
    if await _are_few(db, listed):
        return c.session_id.in_(listed)
    # `+`: SQLite would read all of them by the name's index, and sort them
    own = "" if db.dialect.name == "postgresql" else "+"
    return begins(literal_column(f"{own}found.{of.name}", c[of.name].type))


def _beginnings(values: Mapping[str, Any]) -> Iterator[tuple[SessionField, str]]:
    """The filters that ask for the beginning of a name."""
    for name, value in values.items():
        of = PARAMETERS[name].field
        if of is not None and PARAMETERS[name].op is Op.NAME and value.endswith(PREFIX):
            yield of, value


async def _are_few(db: AsyncConnection, some: Select[Any]) -> bool:
    count = select(func.count()).select_from(some.limit(_FEW + 1).subquery())
    return bool((await db.execute(count)).scalar_one() <= _FEW)


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


def _keys(by: SessionField) -> tuple[str, ...]:
    """The columns that the order goes by; there is an index for each that begins with them."""
    return (by.name, "created_at", "session_id") if by.is_text else (by.name, "session_id")


def _write_cursor(last: Any, sort: str) -> str:
    values = [last[name] for name in _keys(FIELDS[sort.removeprefix("-")])]
    told = [one.isoformat() if isinstance(one, datetime) else one for one in values]
    raw = json.dumps([sort, *told]).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read_cursor(cursor: str, sort: str) -> tuple[Any, ...]:
    names = _keys(FIELDS[sort.removeprefix("-")])
    try:
        raw = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        sorted_by, *values = raw
        if sorted_by != sort or len(values) != len(names):
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
    if FIELDS[name].kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("naive")
        return moment.astimezone(UTC)
    right: type | tuple[type, ...] = str if FIELDS[name].is_text else (int, float)
    if isinstance(value, bool) or not isinstance(value, right):
        raise ValueError("of another kind")
    return value
