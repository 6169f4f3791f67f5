"""The sessions of a view as CSV, Parquet and JSON Lines: the same rows, whatever is in them."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest_asyncio

from services.events import Kind
from services.exports.sessions_table import COLUMNS, TableFormat, as_table
from services.store.session_search import PAGE_MOST, Order, SessionFilter
from services.store.store import Store, open_store
from tests.integration.sessions.test_session_search import T0, Told
from tests.integration.store.test_store import settings_for
from tests.support.api_server import ApiServer, Wired

NAMES = ["=cmd|' /C calc'!A0", 'Zoë "Q", Inc.\nnew line', "+49", "名前"]


@pytest_asyncio.fixture
async def store(store_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(settings_for(store_url, tmp_path)) as opened:
        for number, name in enumerate(NAMES):
            told = Told(opened, number)
            await told.begin(name)
            await told.turn(1, "hello", "hi", 100.0 * (number + 1))
            await told.tell(
                Kind.NOTE_ADDED, 3, note_id="n", pinned_at=T0.isoformat(), text="x", tags=["b", "a"]
            )
            if number:
                await told.end(60)
        yield opened


async def table(store: Store, written_as: TableFormat, **given: object) -> bytes:
    pieces = as_table(
        store, SessionFilter(), order=Order.STARTED, ascending=True, written_as=written_as, **given
    )
    return b"".join([piece async for piece in pieces])


async def test_the_three_formats_hold_the_same(store: Store) -> None:
    parquet = pd.read_parquet(io.BytesIO(await table(store, TableFormat.PARQUET)))
    lines = [json.loads(line) for line in (await table(store, TableFormat.JSONL)).splitlines()]
    csv = pd.read_csv(io.BytesIO(await table(store, TableFormat.CSV)))
    assert list(parquet.columns) == list(csv.columns) == list(lines[0]) == list(COLUMNS)
    assert list(parquet["user_id"]) == [line["user_id"] for line in lines] == NAMES
    assert list(csv["user_id"]) == ["'" + NAMES[0], NAMES[1], "'" + NAMES[2], NAMES[3]]
    assert str(parquet["created_at"].dtype).startswith("datetime64[us, UTC")
    assert list(parquet["created_at"]) == [T0 + timedelta(hours=n) for n in range(4)]
    assert list(parquet["answer_worst_ms"]) == [100.0, 200.0, 300.0, 400.0]
    assert [list(tags) for tags in parquet["tags"]] == [["a", "b"]] * 4
    assert list(csv["tags"]) == ["a, b"] * 4
    assert pd.isna(parquet["ended_at"][0])
    assert lines[0]["ended_at"] is None


async def test_a_table_of_nothing_is_a_table(store_url: str, tmp_path: Path) -> None:
    async with open_store(settings_for(store_url, tmp_path / "empty")) as empty:
        for written_as in TableFormat:
            pieces = as_table(
                empty,
                SessionFilter(user_id="x"),
                order=Order.STARTED,
                ascending=False,
                written_as=written_as,
            )
            raw = b"".join([piece async for piece in pieces])
            if written_as is TableFormat.PARQUET:
                frame = pd.read_parquet(io.BytesIO(raw))
                assert (list(frame.columns), len(frame)) == (list(COLUMNS), 0)
            elif written_as is TableFormat.CSV:
                assert raw.decode().splitlines() == [",".join(COLUMNS)]
            else:
                assert raw == b""


async def test_more_than_a_page_comes_whole_and_in_pieces(store: Store) -> None:
    for number in range(PAGE_MOST + 20):
        await Told(store, 100 + number).begin("many")
    pieces = [
        piece
        async for piece in as_table(
            store,
            SessionFilter(user_id="many"),
            order=Order.STARTED,
            ascending=False,
            written_as=TableFormat.JSONL,
        )
    ]
    assert len(pieces) == 2
    rows = [json.loads(line) for line in b"".join(pieces).splitlines()]
    assert len({row["session_id"] for row in rows}) == PAGE_MOST + 20


async def test_the_api_gives_the_view_that_was_asked_for(wired: Wired) -> None:
    async with wired.api() as server:
        assert await exported(server) == []
        ana = await server.create(user_id="ana")
        await server.create(user_id="ben")
        assert [row["session_id"] for row in await exported(server, user_id="ana")] == [
            ana["session_id"]
        ]
        bad = await server.http.get("/api/voice/sessions/export", params={"format": "xls"})
        assert (bad.status_code, bad.json()["field"]) == (422, "format")


async def exported(server: ApiServer, **view: str) -> list[dict[str, object]]:
    reply = await server.http.get("/api/voice/sessions/export", params={"format": "jsonl", **view})
    assert reply.status_code == 200, reply.text
    assert 'filename="switchboard-sessions-' in reply.headers["content-disposition"]
    return [json.loads(line) for line in reply.text.splitlines()]
