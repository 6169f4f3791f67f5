"""The live connection: guarded by tickets, a snapshot and then changes, the same work for any number."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from api import live as live_api
from services.live import hub as hub_module
from services.live import stream_tickets as tickets_module
from services.live.hub import BEHIND
from services.rooms.state import TOPIC
from tests.support.api_server import ApiServer, Wired
from tests.support.live_tab import LiveTab, Told, open_tab
from tests.support.participants import People
from tests.support.waiting import eventually


def url(server: ApiServer) -> str:
    return str(server.http.base_url).rstrip("/")


@asynccontextmanager
async def reading(
    server: ApiServer, *topics: str, last_event_id: str = ""
) -> AsyncIterator[LiveTab]:
    """A tab that is subscribed to these topics as "s"."""
    async with open_tab(url(server)) as tab:
        ticket = server.runtime.tickets.issue(topics)
        await tab.subscribe("s", ticket, last_event_id=last_event_id)
        assert await tab.next() == Told("subscribed", "s", "", {})
        yield tab


async def until(tab: LiveTab, name: str, people: int) -> Told:
    """The first frame in which that room's row has so many people."""
    while True:
        told = await tab.next()
        rows = told.data.get("rows", []) + told.data.get("upsert", [])
        if any((row["name"], row["people"]) == (name, people) for row in rows):
            return told


# -- what is told


async def test_a_snapshot_comes_first_and_then_a_real_participants_arrival(
    wired: Wired, join_room: People
) -> None:
    async with wired.api(switchboard_poll_interval_s=60) as server:
        made = await server.create()
        async with reading(server, "rooms") as tab:
            first = await tab.next()
            assert (first.type, first.id) == ("snapshot", "s")
            assert [row["name"] for row in first.data["rows"]] == [made["room_name"]]
            assert first.data["rows"][0]["session_id"] == made["session_id"]
            person = await join_room(wired.target, made["room_name"], token=made["token"])
            told = await until(tab, made["room_name"], 1)
            assert told.type == "change"
            await person.leave()
            await until(tab, made["room_name"], 0)
            await server.http.delete(f"/api/rooms/{made['room_name']}")
            while made["room_name"] not in (await tab.next()).data["remove"]:
                pass


async def test_who_comes_back_is_sent_only_what_it_missed(wired: Wired, join_room: People) -> None:
    async with wired.api(switchboard_poll_interval_s=60) as server:
        made = await server.create()
        async with reading(server, "rooms") as tab:
            await tab.next()
            await join_room(wired.target, made["room_name"], "ann", audio=False)
            last = await until(tab, made["room_name"], 1)
        await join_room(wired.target, made["room_name"], "bob", audio=False)
        await eventually(lambda: server.runtime.rooms.snapshot.people == 2)
        async with reading(server, "rooms", last_event_id=last.event_id) as tab:
            told = await until(tab, made["room_name"], 2)
            assert told.type == "change"
        async with reading(server, "rooms", last_event_id="other-1") as tab:
            assert (await tab.next()).type == "snapshot"


async def test_a_rooms_own_topic_says_that_something_changed(
    wired: Wired, join_room: People
) -> None:
    async with wired.api(switchboard_poll_interval_s=60) as server:
        made = await server.create()
        topic = f"room:{made['room_name']}"
        async with reading(server, topic) as tab:
            assert (await tab.next()).type == "snapshot"
            await join_room(wired.target, made["room_name"], "ann")
            told = await tab.next()
            assert (told.type, told.data["topic"]) == ("change", topic)


async def test_the_loss_of_livekit_is_told_to_who_watches(wired: Wired) -> None:
    async with wired.api(switchboard_livekit_timeout_s=0.5) as server:
        await eventually(lambda: server.runtime.rooms.polls >= 1)
        async with reading(server, "rooms", "system") as tab:
            await tab.next()
            await tab.next()
            wired.livekit.kill()
            topics = {(await tab.next()).data["topic"], (await tab.next()).data["topic"]}
            assert topics == {"rooms", "system"}


async def test_who_wants_no_rows_is_told_only_that_something_changed(wired: Wired) -> None:
    async with wired.api(switchboard_poll_interval_s=60) as server, open_tab(url(server)) as tab:
        await tab.subscribe("s", server.runtime.tickets.issue(("rooms",)), rows=False)
        assert (await tab.next()).type == "subscribed"
        await server.create()
        told = await tab.next()
        assert (told.type, told.data) == ("change", {"topic": "rooms"})


# -- several subscriptions of one tab


async def test_a_tabs_parts_share_one_connection_and_leave_it_one_by_one(wired: Wired) -> None:
    async with wired.api(switchboard_poll_interval_s=60) as server, open_tab(url(server)) as tab:
        hub, issue = server.runtime.hub, server.runtime.tickets.issue
        await tab.subscribe("table", issue(("rooms",)))
        await tab.subscribe("badge", issue(("questions",)))
        await tab.subscribe("part", issue(("rooms", "system")), rows=False)
        assert {(t.type, t.id) for t in [await tab.next() for _ in range(5)]} == {
            ("subscribed", "table"),
            ("snapshot", "table"),
            ("subscribed", "badge"),
            ("snapshot", "badge"),
            ("subscribed", "part"),
        }
        assert (hub.viewers(), hub.readers("rooms")) == (1, 1)
        await server.create()
        assert {(await tab.next()).id, (await tab.next()).id} == {"table", "part"}
        await tab.unsubscribe("part")
        await tab.unsubscribe("part")  # twice is no harm
        await tab.unsubscribe("unknown")
        await eventually(lambda: hub.topics_read("system") == ())
        assert hub.readers("rooms") == 1
        await tab.subscribe("part", issue(("system",)))  # a name may be used again
        assert (await tab.next()).id in {"part", "table"}


async def test_viewers_who_left_are_forgotten(wired: Wired) -> None:
    async with wired.api() as server:
        async with reading(server, "rooms", "room:a", "room:b") as tab:
            await tab.next()
            assert server.runtime.hub.viewers() == 1
        await eventually(lambda: server.runtime.hub.viewers() == 0)
        assert server.runtime.hub.topics_read("room:") == ()


async def test_fifty_viewers_make_no_more_calls_to_livekit_than_one(wired: Wired) -> None:
    async with wired.api() as server:
        await server.create()
        await eventually(lambda: server.runtime.rooms.polls >= 1)

        async def calls_in_five_polls() -> int:
            polls, calls = server.runtime.rooms.polls, server.runtime.livekit.calls
            await eventually(lambda: server.runtime.rooms.polls >= polls + 5)
            return server.runtime.livekit.calls - calls

        async with reading(server, "rooms") as only:
            await only.next()
            with_one = await calls_in_five_polls()
        await eventually(lambda: server.runtime.hub.viewers() == 0)
        async with AsyncExitStack() as stack:
            tabs = [await stack.enter_async_context(reading(server, "rooms")) for _ in range(50)]
            for tab in tabs:
                await tab.next()
            assert server.runtime.hub.viewers() == 50
            with_fifty = await calls_in_five_polls()
        assert abs(with_fifty - with_one) <= 1
        await eventually(lambda: server.runtime.hub.viewers() == 0)


async def test_a_tab_that_reads_too_slowly_goes_on_from_a_fresh_snapshot(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "SPACING_S", 0.0)
    async with wired.api(switchboard_poll_interval_s=60) as server:
        hub, large = server.runtime.hub, "x" * 200_000

        async def publish(number: int) -> int:
            hub.publish(TOPIC, upsert={"big": {"name": "big", "people": number, "x": large}})
            return hub.version(TOPIC)

        async with open_tab(url(server), max_msg_size=0) as tab:
            await tab.subscribe("s", server.runtime.tickets.issue((TOPIC,)))
            assert [(await tab.next()).type for _ in range(2)] == ["subscribed", "snapshot"]
            for number in range(2 * BEHIND):  # nobody reads: the socket's buffers fill, then ours
                before = await server.runtime.acall(lambda n=number: publish(n))  # type: ignore[misc]
                await eventually(lambda before=before: hub.version(TOPIC) > before)  # type: ignore[misc]
            kinds = [(await tab.next()).type]
            while kinds[-1] != "snapshot":
                kinds.append((await tab.next()).type)
            assert len(kinds) < BEHIND


# -- tickets


def _forged(server: ApiServer) -> list[str]:
    head, body, signature = server.runtime.tickets.issue(("rooms",)).split(".")
    return ["", "x", "a.b.c", "ü", f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}"]


async def test_a_refused_ticket_ends_its_subscription_alone(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wired.api(switchboard_poll_interval_s=60) as server:
        issue = server.runtime.tickets.issue
        with monkeypatch.context() as patch:
            patch.setattr(tickets_module, "LIFETIME", timedelta(seconds=-1))
            expired = issue(("rooms",))
        async with reading(server, "rooms") as tab:
            await tab.next()
            for number, ticket in enumerate((expired, *_forged(server))):
                await tab.subscribe(f"bad-{number}", ticket)
                told = await tab.next()
                assert (told.type, told.id, told.code) == (
                    "refused",
                    f"bad-{number}",
                    "bad_signature",
                )
                assert told.message == "The ticket for live updates is out of date."
            await tab.subscribe("bad-0", issue(("system",)))  # with a fresh one it is as ever
            assert [(await tab.next()).type for _ in range(2)] == ["subscribed", "snapshot"]
            await server.create()
            assert (await tab.next()).id == "s"


async def test_a_subscription_needs_a_fresh_ticket_after_an_hour(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_api, "_LONGEST_S", 0.2)
    async with wired.api() as server, reading(server, "rooms") as tab:
        told = await tab.next()
        last = told.event_id
        while told.type != "refused":
            told = await tab.next()
        assert told.code == "bad_signature"
        await eventually(lambda: server.runtime.hub.viewers() == 0)
        await tab.subscribe("s", server.runtime.tickets.issue(("rooms",)), last_event_id=last)
        assert (await tab.next()).type == "subscribed"


async def test_after_a_restart_old_tickets_are_refused_and_fresh_ones_start_anew(
    wired: Wired,
) -> None:
    async with wired.api() as server:
        old = server.runtime.tickets.issue(("rooms",))
        async with open_tab(url(server)) as tab:
            await tab.subscribe("s", old)
            await tab.next()
            last = (await tab.next()).event_id
    async with wired.api() as server, open_tab(url(server)) as tab:
        await tab.subscribe("s", old, last_event_id=last)
        assert (await tab.next()).type == "refused"
        await tab.subscribe("t", server.runtime.tickets.issue(("rooms",)), last_event_id=last)
        assert [(await tab.next()).type for _ in range(2)] == ["subscribed", "snapshot"]


# -- who may connect, and what is closed


async def test_a_foreign_page_cannot_connect(wired_api: ApiServer) -> None:
    here = url(wired_api)
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://evil.example:8501", "Host": "evil.example:8501"},  # DNS rebinding
        {"Origin": "http://localhost:8501", "Host": "evil.example"},
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with open_tab(here, headers=headers):
                pass
        assert refused.value.status == 403, headers
    async with open_tab(here, headers={"Origin": here}) as tab:
        await tab.subscribe("s", wired_api.runtime.tickets.issue(("rooms",)))
        assert (await tab.next()).type == "subscribed"
    assert (await wired_api.http.get("/api/live")).status_code == 404  # it is no address to get


RUBBISH: list[str] = [
    "", "x", "{", "null", "[]", "7", '"subscribe"', "{}", '{"type":"else","id":"a"}',
    '{"type":"subscribe"}', '{"type":"subscribe","id":"a"}',
    '{"type":"subscribe","id":"","ticket":"t"}',
    '{"type":"subscribe","id":7,"ticket":"t"}',
    '{"type":"subscribe","id":"a","ticket":["t"]}',
    '{"type":"subscribe","id":"' + "a" * 65 + '","ticket":"t"}',
    '{"type":"subscribe","id":"a","ticket":"' + "t" * 4097 + '"}',
    '{"type":"subscribe","id":"a","ticket":"t","last_event_id":"' + "9" * 201 + '"}',
    '{"type":"unsubscribe"}', "\u0000", "[" * 4000, "9" * 5000, '{"type":"pong"',
]  # fmt: skip


async def test_rubbish_closes_the_connection_and_harms_nobody_else(wired_api: ApiServer) -> None:
    async with reading(wired_api, "rooms") as good:
        await good.next()
        for frame in RUBBISH:
            async with open_tab(url(wired_api)) as bad:
                await bad.socket.send_str(frame)
                assert await bad.closed() == live_api.RUBBISH, frame
        await good.subscribe("t", wired_api.runtime.tickets.issue(("system",)))
        assert (await good.next()).type == "subscribed"


async def test_binary_and_too_large_frames_close_the_connection(wired_api: ApiServer) -> None:
    async with open_tab(url(wired_api)) as tab:
        await tab.socket.send_bytes(b'{"type":"pong"}')
        assert await tab.closed() == live_api.UNSUPPORTED
    for size in (live_api.FRAME_LIMIT + 1, 5_000_000):
        async with open_tab(url(wired_api)) as tab:
            await tab.socket.send_str('{"type":"pong"}'.ljust(size))
            assert await tab.closed() == live_api.TOO_LARGE
    async with reading(wired_api, "rooms") as tab:
        await tab.socket.send_str('{"type":"pong"}'.ljust(live_api.FRAME_LIMIT))
        assert (await tab.next()).type == "snapshot"


async def test_a_connection_has_so_many_subscriptions_and_not_more(wired_api: ApiServer) -> None:
    ticket = wired_api.runtime.tickets.issue(("system",))
    async with open_tab(url(wired_api)) as tab:
        for number in range(live_api.SUBSCRIPTIONS_LIMIT):
            await tab.subscribe(str(number), ticket)
        told = [await tab.next() for _ in range(2 * live_api.SUBSCRIPTIONS_LIMIT)]
        assert {one.type for one in told} == {"subscribed", "snapshot"}
        await tab.subscribe("one more", ticket)
        assert await tab.closed() == live_api.POLICY
    async with reading(wired_api, "system") as tab:
        await tab.subscribe("s", ticket)  # the name is taken
        assert await tab.closed() == live_api.POLICY
    await eventually(lambda: wired_api.runtime.hub.viewers() == 0)


async def test_a_tab_that_answers_no_ping_is_closed_and_one_that_does_stays(
    wired_api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_api, "PING_S", 0.05)
    monkeypatch.setattr(live_api, "SILENCE_S", 0.5)
    async with reading(wired_api, "rooms") as alive, reading(wired_api, "rooms") as dead:
        answering = asyncio.create_task(alive.read())
        async with asyncio.timeout(5):
            while (frame := await dead.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                assert json.loads(frame.data)["type"] in {"ping", "snapshot", "change"}
        assert dead.socket.close_code == live_api.POLICY
        await eventually(lambda: wired_api.runtime.hub.viewers() == 1)
        assert not answering.done()
        answering.cancel()


async def test_a_connection_without_a_subscription_does_not_stay(
    wired_api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_api, "PING_S", 0.05)
    async with open_tab(url(wired_api)) as tab:
        await tab.subscribe("s", "forged")
        assert (await tab.next()).type == "refused"
        assert await tab.closed() == live_api.POLICY
        assert tab.pings > 1


async def test_who_cuts_the_connection_in_the_middle_is_forgotten(wired_api: ApiServer) -> None:
    async with reading(wired_api, "rooms") as tab:
        await tab.next()
        transport: Any = tab.socket._response.connection.transport  # type: ignore[union-attr]
        transport.abort()
        await eventually(lambda: wired_api.runtime.hub.viewers() == 0)


async def test_the_end_of_the_dashboard_closes_every_connection(wired: Wired) -> None:
    async with AsyncExitStack() as tabs:
        async with wired.api() as server:
            busy = await tabs.enter_async_context(reading(server, "rooms"))
            idle = await tabs.enter_async_context(open_tab(url(server)))
            closing = [asyncio.create_task(tab.closed()) for tab in (busy, idle)]
        assert await asyncio.gather(*closing) == [live_api.STOPPING, live_api.STOPPING]


async def test_when_the_services_end_first_the_connection_ends_as_well(wired: Wired) -> None:
    async with wired.api() as server, reading(server, "rooms") as tab:
        server.runtime.hub.close()
        assert await tab.closed() == live_api.STOPPING


@pytest.fixture
async def wired_api(wired: Wired) -> AsyncIterator[ApiServer]:
    async with wired.api(switchboard_poll_interval_s=60) as server:
        yield server
