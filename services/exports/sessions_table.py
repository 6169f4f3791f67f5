"""The sessions of any view as one table: CSV, Parquet or JSON Lines, written page by page.

However many there are, it needs the memory of one page (Parquet: of one row group).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from services.clock import rfc3339
from services.csv_rows import csv_row
from services.store.session_search import PAGE_MOST, Order, SessionFilter, SessionRow
from services.store.store import Store


class TableFormat(StrEnum):
    """What a table of sessions can be written as."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"


MEDIA_TYPES: Final = {
    TableFormat.CSV: "text/csv; charset=utf-8",
    TableFormat.PARQUET: "application/vnd.apache.parquet",
    TableFormat.JSONL: "application/jsonl; charset=utf-8",
}
COLUMNS: Final = (
    "session_id", "room_name", "user_id", "agent_id", "status", "origin", "created_at",
    "started_at", "ended_at", "end_reason", "duration_s", "turns", "answer_median_ms",
    "answer_worst_ms", "interruptions", "asks", "errors", "verdict", "tags", "evidence",
    "people_peak", "version", "assignee",
)  # fmt: skip
"""Of every format, in this order. Moments are UTC, durations seconds, answers milliseconds."""
_ROW_GROUP: Final = 5_000

Pages = AsyncIterator[list[dict[str, Any]]]


def as_table(
    store: Store, wanted: SessionFilter, *, order: Order, ascending: bool, written_as: TableFormat
) -> AsyncIterator[bytes]:
    """All sessions of that view, in its order, piece by piece."""
    return _WRITERS[written_as](_pages(store, wanted, order, ascending=ascending))


async def _pages(store: Store, wanted: SessionFilter, order: Order, *, ascending: bool) -> Pages:
    cursor: str | None = None
    while True:
        page = await store.found.page(
            wanted, order=order, ascending=ascending, cursor=cursor, limit=PAGE_MOST
        )
        yield [_row(found) for found in page.sessions]
        if (cursor := page.next_cursor) is None:
            return


async def _as_csv(pages: Pages) -> AsyncIterator[bytes]:
    yield csv_row(*COLUMNS).encode()
    async for rows in pages:
        yield "".join(csv_row(*map(_cell, row.values())) for row in rows).encode()


async def _as_jsonl(pages: Pages) -> AsyncIterator[bytes]:
    async for rows in pages:
        lines = (json.dumps(_plain(row), ensure_ascii=False) for row in rows)
        yield "".join(f"{line}\n" for line in lines).encode()


async def _as_parquet(pages: Pages) -> AsyncIterator[bytes]:
    import pyarrow as pa  # 0.1 s, for who needs it
    from pyarrow import parquet

    moment, some = pa.timestamp("us", tz="UTC"), pa.list_(pa.string())
    types = {
        **dict.fromkeys(COLUMNS, pa.string()),
        **dict.fromkeys(("created_at", "started_at", "ended_at"), moment),
        **dict.fromkeys(("duration_s", "answer_median_ms", "answer_worst_ms"), pa.float64()),
        **dict.fromkeys(("turns", "interruptions", "asks", "errors", "people_peak"), pa.int64()),
        "tags": some,
    }
    schema = pa.schema(list(types.items()))
    sink = _Pieces()
    writer = parquet.ParquetWriter(sink, schema, compression="zstd")
    held: list[dict[str, Any]] = []
    async for rows in pages:
        held += rows
        if len(held) >= _ROW_GROUP:
            writer.write_table(pa.Table.from_pylist(held, schema=schema))
            held = []
            yield sink.taken()
    if held:
        writer.write_table(pa.Table.from_pylist(held, schema=schema))
    writer.close()
    yield sink.taken()


class _Pieces:
    """A file for pyarrow to write to, from which is taken what was written so far."""

    closed = False

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: Any) -> int:
        self._held += memoryview(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits below."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        taken, self._held = bytes(self._held), bytearray()
        return taken


_WRITERS: Final[dict[TableFormat, Callable[[Pages], AsyncIterator[bytes]]]] = {
    TableFormat.CSV: _as_csv,
    TableFormat.PARQUET: _as_parquet,
    TableFormat.JSONL: _as_jsonl,
}


def _row(found: SessionRow) -> dict[str, Any]:
    session = found.session
    values: dict[str, Any] = {
        "session_id": session.id,
        "agent_id": session.agent_name,
        "status": session.status.value,
        "origin": session.origin.value,
        "evidence": found.evidence.value,
        "tags": list(found.tags),
    }
    for name in COLUMNS:
        if name not in values:
            values[name] = getattr(session if hasattr(session, name) else found, name)
    return {name: values[name] for name in COLUMNS}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: rfc3339(value) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return rfc3339(value)
        case list():
            return ", ".join(value)
        case _:
            return str(value)
