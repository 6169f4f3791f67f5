"""Live updates: guarded by a ticket, a snapshot and then changes, the same work for any number."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.api_server import ApiServer, Wired
from tests.support.participants import People
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _quiet_client(caplog: pytest.LogCaptureFixture) -> None:
    """The test's own HTTP client logs the URLs that it asks for, tickets and all."""
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.WARNING, logger=name)


@dataclass(frozen=True, slots=True)
class Told:
    """One server-sent event."""

    event: str
    id: str
    data: dict[str, Any]


class Stream:
    """An open event stream, read as a browser's EventSource does."""

    def __init__(self, reply: httpx.Response) -> None:
        self._lines = reply.aiter_lines()

    async def next(self) -> Told:
        """The next event with data."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(5):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
                elif "data" in fields:
                    data: dict[str, Any] = json.loads(fields["data"])
                    return Told(fields.get("event", ""), fields.get("id", ""), data)
                else:
                    fields = {}
        raise AssertionError("the stream has ended")

    async def until(self, name: str, people: int) -> Told:
        """The first event in which that room's row has so many people."""
        while True:
            told = await self.next()
            rows = told.data.get("rows", []) + told.data.get("upsert", [])
            if any((row["name"], row["people"]) == (name, people) for row in rows):
                return told


@asynccontextmanager
async def stream(server: ApiServer, *topics: str, last_event_id: str = "") -> AsyncIterator[Stream]:
    ticket = server.runtime.tickets.issue(topics)
    headers = {"last-event-id": last_event_id} if last_event_id else {}
    async with server.http.stream(
        "GET", "/api/live", params={"ticket": ticket}, headers=headers
    ) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["cache-control"] == "no-cache"
        yield Stream(reply)


@pytest.mark.parametrize("ticket", ["", "x", "a.b.c", "ü"])
async def test_without_a_good_ticket_there_is_nothing_to_read(wired: Wired, ticket: str) -> None:
    async with wired.api() as server:
        reply = await server.http.get("/api/live", params={"ticket": ticket})
        assert (reply.status_code, reply.json()["code"]) == (401, "bad_signature")
        assert reply.headers["content-type"] == "application/problem+json"


async def test_a_missing_ticket_is_named(wired: Wired) -> None:
    async with wired.api() as server:
        reply = await server.http.get("/api/live")
        assert (reply.status_code, reply.json()["field"]) == (422, "ticket")


async def test_a_snapshot_comes_first_and_then_a_real_participants_arrival(
    wired: Wired, join_room: People
) -> None:
    async with wired.api(switchboard_poll_interval_s=60) as server:
        made = await server.create()
        async with stream(server, "rooms") as live:
            first = await live.next()
            assert first.event == "snapshot"
            assert [row["name"] for row in first.data["rows"]] == [made["room_name"]]
            assert first.data["rows"][0]["session_id"] == made["session_id"]
            person = await join_room(wired.target, made["room_name"], token=made["token"])
            told = await live.until(made["room_name"], 1)
            assert told.event == "change"
            await person.leave()
            await live.until(made["room_name"], 0)
            await server.http.delete(f"/api/rooms/{made['room_name']}")
            while made["room_name"] not in (await live.next()).data["remove"]:
                pass


async def test_who_comes_back_is_sent_only_what_it_missed(wired: Wired, join_room: People) -> None:
    async with wired.api(switchboard_poll_interval_s=60) as server:
        made = await server.create()
        async with stream(server, "rooms") as live:
            await live.next()
            await join_room(wired.target, made["room_name"], "ann", audio=False)
            last = await live.until(made["room_name"], 1)
        await join_room(wired.target, made["room_name"], "bob", audio=False)
        await eventually(lambda: server.runtime.rooms.snapshot.people == 2)
        async with stream(server, "rooms", last_event_id=last.id) as live:
            told = await live.until(made["room_name"], 2)
            assert told.event == "change"
        async with stream(server, "rooms", last_event_id="other-1") as live:
            assert (await live.next()).event == "snapshot"


async def test_a_rooms_own_topic_says_that_something_changed(
    wired: Wired, join_room: People
) -> None:
    async with wired.api(switchboard_poll_interval_s=60) as server:
        made = await server.create()
        topic = f"room:{made['room_name']}"
        async with stream(server, topic) as live:
            assert (await live.next()).event == "snapshot"
            await join_room(wired.target, made["room_name"], "ann")
            told = await live.next()
            assert (told.event, told.data["topic"]) == ("change", topic)


async def test_the_loss_of_livekit_is_told_to_who_watches(wired: Wired) -> None:
    async with wired.api(switchboard_livekit_timeout_s=0.5) as server:
        await eventually(lambda: server.runtime.rooms.polls >= 1)
        async with stream(server, "rooms", "system") as live:
            await live.next()
            await live.next()
            wired.livekit.kill()
            topics = {(await live.next()).data["topic"], (await live.next()).data["topic"]}
            assert topics == {"rooms", "system"}


async def test_fifty_viewers_make_no_more_calls_to_livekit_than_one(wired: Wired) -> None:
    async with wired.api() as server:
        await server.create()
        await eventually(lambda: server.runtime.rooms.polls >= 1)

        async def calls_in_five_polls() -> int:
            polls, calls = server.runtime.rooms.polls, server.runtime.livekit.calls
            await eventually(lambda: server.runtime.rooms.polls >= polls + 5)
            return server.runtime.livekit.calls - calls

        async with stream(server, "rooms") as only:
            await only.next()
            with_one = await calls_in_five_polls()
        async with AsyncExitStack() as stack:
            viewers = [await stack.enter_async_context(stream(server, "rooms")) for _ in range(50)]
            for live in viewers:
                await live.next()
            assert server.runtime.hub.viewers() == 50
            with_fifty = await calls_in_five_polls()
        assert abs(with_fifty - with_one) <= 1
        await eventually(lambda: server.runtime.hub.viewers() == 0)


async def test_viewers_who_left_are_forgotten(wired: Wired) -> None:
    async with wired.api() as server:
        async with stream(server, "rooms", "room:a", "room:b") as live:
            await live.next()
            assert server.runtime.hub.viewers() == 1
        await eventually(lambda: server.runtime.hub.viewers() == 0)
        assert server.runtime.hub.topics_read("room:") == ()
