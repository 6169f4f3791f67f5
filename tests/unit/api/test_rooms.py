"""The list of rooms is written once for all who ask for the same snapshot."""

from __future__ import annotations

import asyncio
import json

import pytest

from api import rooms
from services.clock import utc_now
from services.rooms.views import RoomsSnapshot


async def test_clients_that_ask_together_get_what_was_written_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[RoomsSnapshot] = []
    write = rooms._written

    def counted(snapshot: RoomsSnapshot, now: object) -> bytes:
        written.append(snapshot)
        return write(snapshot, utc_now())

    monkeypatch.setattr(rooms, "_written", counted)
    listing, snapshot = rooms._Listing(), RoomsSnapshot(taken_at=utc_now())
    bodies = await asyncio.gather(*(listing.body(snapshot, utc_now()) for _ in range(50)))
    assert len(written) == 1
    assert len(set(bodies)) == 1
    assert json.loads(bodies[0])["rooms"] == []

    later = RoomsSnapshot(taken_at=utc_now())
    await listing.body(later, utc_now())
    assert written == [snapshot, later]


async def test_one_who_hangs_up_does_not_take_the_list_from_the_others() -> None:
    listing, snapshot = rooms._Listing(), RoomsSnapshot(taken_at=utc_now())
    first = asyncio.create_task(listing.body(snapshot, utc_now()))
    second = asyncio.create_task(listing.body(snapshot, utc_now()))
    await asyncio.sleep(0)
    first.cancel()
    assert json.loads(await second)["rooms"] == []


async def test_the_same_snapshot_is_written_again_after_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listing, snapshot = rooms._Listing(), RoomsSnapshot(taken_at=utc_now())
    body = await listing.body(snapshot, utc_now())
    assert await listing.body(snapshot, utc_now()) is body
    monkeypatch.setattr(rooms, "_FRESH_S", -1.0)
    assert await listing.body(snapshot, utc_now()) is not body
