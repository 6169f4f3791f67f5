"""Between rows and records, for both dialects."""

from __future__ import annotations

import math
from dataclasses import fields
from functools import cache
from typing import Any

from sqlalchemy import JSON, ColumnElement, RowMapping, Table, case, cast, func, type_coerce
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert

from services.events import Event, Kind, Provenance, Source
from services.ids import SessionId
from services.store import tables as t
from services.store.records import (
    Origin,
    SessionRecord,
    SessionStatus,
    StoredEvent,
    Visit,
)

_NUL = "\x00"  # PostgreSQL takes no NUL in text or JSON


@cache
def upsert(dialect_name: str, table: Table) -> Insert:
    """Insert rows, or replace those whose primary key exists. Execute it with a list of rows.

    Made once: a statement with its values inside would be compiled anew at every call.
    """
    statement = postgresql.insert(table) if dialect_name == "postgresql" else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    others = {c.name: statement.excluded[c.name] for c in table.c if c.name not in keys}
    done: Insert = statement.on_conflict_do_update(index_elements=keys, set_=others)
    return done


@cache
def insert_new(dialect_name: str, table: Table, key: str) -> Insert:
    """Insert the rows whose `key` is not there yet; gives the keys of those inserted."""
    statement = postgresql.insert(table) if dialect_name == "postgresql" else sqlite.insert(table)
    done: Insert = statement.on_conflict_do_nothing(index_elements=[key]).returning(table.c[key])
    return done


@cache
def insert_pair_new(dialect_name: str, table: Table) -> Insert:
    """Insert the rows whose primary key is not there yet."""
    statement = postgresql.insert(table) if dialect_name == "postgresql" else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    done: Insert = statement.on_conflict_do_nothing(index_elements=keys)
    return done


@cache
def without_values(dialect_name: str) -> ColumnElement[Any]:
    """An event's data; a saved state's without its `values`."""
    data = t.events.c.data
    if dialect_name == "postgresql":
        lean: ColumnElement[Any] = cast(cast(data, postgresql.JSONB).op("-")("values"), JSON)
    else:
        lean = func.json_remove(data, "$.values")
    return type_coerce(case((t.events.c.kind == Kind.CHECKPOINT_SAVED, lean), else_=data), JSON)


def clean(value: Any) -> Any:
    """The same JSON value without NUL, halves of characters, NaN and infinity."""
    if isinstance(value, str):
        if _NUL in value:
            value = value.replace(_NUL, "\N{REPLACEMENT CHARACTER}")
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def _values(record: Event | SessionRecord | Visit) -> dict[str, Any]:
    """As `dataclasses.asdict`, without its deep copies."""
    return {f.name: getattr(record, f.name) for f in fields(record)}


def cleaned(event: Event) -> Event:
    """The event with nothing in it that a database refuses as text."""
    values = _values(event)
    return event if (kept := clean(values)) == values else Event(**kept)


def event_row(event: Event, session_id: str | None) -> dict[str, Any]:
    """The row of a cleaned event, under its session."""
    row = _values(event)
    row["session_id"] = session_id
    return row


def stored_event(row: RowMapping) -> StoredEvent:
    """The event of a row."""
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    seq = values.pop("seq")
    values |= {
        "kind": Kind(values["kind"]),
        "source": Source(values["source"]),
        "certainty": Provenance(values["certainty"]),
    }
    return StoredEvent(seq=seq, event=Event(**values))


def session_row(session: SessionRecord) -> dict[str, Any]:
    """The row of a session."""
    row: dict[str, Any] = clean(_values(session))
    return row


def session_record(row: RowMapping) -> SessionRecord:
    """The session of a row."""
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    for name in ("created_certainty", "started_certainty", "ended_certainty"):
        values[name] = Provenance(values[name]) if values[name] else None
    values |= {
        "id": SessionId(values["id"]),
        "status": SessionStatus(values["status"]),
        "origin": Origin(values["origin"]),
    }
    return SessionRecord(**values)


def visit_row(visit: Visit) -> dict[str, Any]:
    """The row of a visit."""
    row: dict[str, Any] = clean(_values(visit))
    row["hidden"] = int(visit.hidden)
    return row


def visit_record(row: RowMapping) -> Visit:
    """The visit of a row."""
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    for name in ("joined_certainty", "left_certainty"):
        values[name] = Provenance(values[name]) if values[name] else None
    values["session_id"] = SessionId(values["session_id"])
    values["hidden"] = bool(values["hidden"])
    return Visit(**values)
