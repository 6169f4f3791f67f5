"""The hub: a snapshot, then changes, once for all readers, on any loop, within bounds."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest

from services.live import hub as hub_module
from services.live.hub import BEHIND, HISTORY, MOST_ROWS, Hub, Message, Subscriber, read
from tests.support.waiting import eventually

Told = tuple[str, Message | None]


def open_hub() -> Hub:
    return Hub(asyncio.get_running_loop(), lambda: "2026-01-01T00:00:00Z")


def rooms_of(table: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"rows": list(table.values())}


def data_of(message: Message | None) -> dict[str, Any]:
    assert message is not None
    loaded: dict[str, Any] = json.loads(message.body)
    return loaded


def sent_at_least(hub: Hub, number: int) -> bool:
    return hub.sent >= number


def has(seen: list[dict[str, Any]], number: int) -> bool:
    return len(seen) == number


async def take(stream: AsyncIterator[Told]) -> tuple[str, dict[str, Any]]:
    """The next event id and data; that the reading begins is left out."""
    async with asyncio.timeout(5):
        async for event_id, message in stream:
            if message is not None:
                return event_id, data_of(message)
    raise AssertionError("the stream has ended")


async def test_a_reader_gets_a_snapshot_and_then_the_changes() -> None:
    hub = open_hub()
    table = {"a": {"name": "a"}}
    hub.provide("rooms", lambda: rooms_of(table))
    async with aclosing(read(hub, ("rooms",))) as stream:
        _, first = await take(stream)
        assert first == {"topic": "rooms", "at": "2026-01-01T00:00:00Z", "rows": [{"name": "a"}]}
        hub.publish("rooms", upsert={"b": {"name": "b"}})
        _, second = await take(stream)
        assert (second["upsert"], second["remove"]) == ([{"name": "b"}], [])
        hub.publish("rooms", remove=("a",))
        _, third = await take(stream)
        assert (third["upsert"], third["remove"]) == ([], ["a"])


async def test_changes_that_come_close_together_are_one_message_with_the_last_word() -> None:
    hub = open_hub()
    hub.provide("rooms", dict)
    async with aclosing(read(hub, ("rooms",))) as stream:
        await take(stream)
        for number in range(100):
            hub.publish("rooms", upsert={"a": {"n": number}, "b": {"n": number}})
        hub.publish("rooms", remove=("b",))
        _, told = await take(stream)
        assert (told["upsert"], told["remove"]) == ([{"n": 99}], ["b"])
        assert hub.sent == 1


async def test_thousands_of_rows_are_told_in_several_messages_and_none_is_lost() -> None:
    hub = open_hub()
    hub.provide("rooms", dict)
    names = [f"room-{number}" for number in range(2 * MOST_ROWS + 1)]
    async with aclosing(read(hub, ("rooms",))) as stream:
        await take(stream)
        hub.publish("rooms", upsert={name: {"name": name} for name in names}, remove=("gone",))
        _, first = await take(stream)
        hub.publish("rooms", remove=(names[-1],))  # it waits to be told, and is no more
        _, second = await take(stream)
        assert [len(told["upsert"]) for told in (first, second)] == [MOST_ROWS, MOST_ROWS]
        assert (first["remove"], second["remove"]) == (["gone"], [names[-1]])
        told = [row["name"] for row in (*first["upsert"], *second["upsert"])]
        assert told == names[:-1]


async def test_a_row_that_goes_and_comes_back_at_once_is_not_removed() -> None:
    hub = open_hub()
    hub.provide("rooms", dict)
    async with aclosing(read(hub, ("rooms",))) as stream:
        await take(stream)
        hub.publish("rooms", remove=("a",))
        hub.publish("rooms", upsert={"a": {"n": 1}})
        _, told = await take(stream)
        assert (told["upsert"], told["remove"]) == ([{"n": 1}], [])


async def test_a_touched_topic_says_only_that_something_changed() -> None:
    hub = open_hub()
    async with aclosing(read(hub, ("system",))) as stream:
        await take(stream)
        hub.touch("system")
        hub.touch("system", why="key")
        _, told = await take(stream)
        assert told == {"topic": "system", "at": "2026-01-01T00:00:00Z", "why": "key"}


async def test_who_comes_back_with_its_last_event_id_gets_only_what_it_missed() -> None:
    hub = open_hub()
    hub.provide("rooms", lambda: {"rows": []})
    async with aclosing(read(hub, ("rooms",))) as stream:
        await take(stream)
        hub.publish("rooms", upsert={"a": {"n": 1}})
        last_id, _ = await take(stream)
    for number in (2, 3):
        hub.publish("rooms", upsert={"a": {"n": number}})
        await eventually(partial(sent_at_least, hub, number))
    async with aclosing(read(hub, ("rooms",), last_event_id=last_id)) as stream:
        assert (await take(stream))[1]["upsert"] == [{"n": 2}]
        assert (await take(stream))[1]["upsert"] == [{"n": 3}]


async def test_who_missed_nothing_is_sent_nothing_again() -> None:
    hub = open_hub()
    hub.provide("rooms", lambda: {"rows": []})
    async with aclosing(read(hub, ("rooms",))) as stream:
        last_id, _ = await take(stream)
    async with aclosing(read(hub, ("rooms",), last_event_id=last_id)) as stream:
        assert await anext(stream) == (last_id, None)
        hub.publish("rooms", upsert={"a": {"n": 1}})
        assert (await take(stream))[1]["upsert"] == [{"n": 1}]


async def test_who_was_away_too_long_or_brings_a_foreign_id_gets_a_snapshot() -> None:
    hub = open_hub()
    hub.provide("rooms", lambda: {"rows": ["all"]})
    for _ in range(HISTORY + 2):
        hub._send(hub._topics["rooms"])
    epoch = hub.epoch
    for last_id in (
        f"{epoch}-1", "other-5", "", "x", f"{epoch}-", f"{epoch}-1.2", f"{epoch}-²",
        f"{epoch}--1", f"{epoch}-999999", f"{epoch}-" + "9" * 190,
    ):  # fmt: skip
        async with aclosing(read(hub, ("rooms",), last_event_id=last_id)) as stream:
            assert (await take(stream))[1]["rows"] == ["all"], last_id


async def test_a_topic_whose_snapshot_was_not_sent_yet_is_sent_on_return() -> None:
    hub = open_hub()
    hub.provide("rooms", lambda: {"rows": ["all"]})
    async with aclosing(read(hub, ("system", "rooms"))) as stream:
        last_id, first = await take(stream)
        assert first["topic"] == "system"
    async with aclosing(read(hub, ("system", "rooms"), last_event_id=last_id)) as stream:
        assert (await take(stream))[1]["rows"] == ["all"]


async def test_a_slow_reader_gets_a_snapshot_instead_of_a_growing_queue() -> None:
    hub = open_hub()
    subscriber = Subscriber(asyncio.get_running_loop())
    for number in range(BEHIND + 50):
        subscriber.push(Message(event="change", topic="rooms", version=number, body="{}"))
    assert subscriber.behind
    assert len(subscriber._waiting) == 0
    assert await subscriber.next() == ()
    subscriber.push(Message(event="change", topic="rooms", version=999, body="{}"))
    assert [m.version for m in await subscriber.next() or ()] == [999]
    hub.close()


async def test_a_reader_that_fell_behind_goes_on_from_a_fresh_snapshot() -> None:
    hub = open_hub()
    hub.provide("rooms", lambda: {"rows": ["fresh"]})
    async with aclosing(read(hub, ("rooms",))) as stream:
        await take(stream)
        (subscriber,) = hub._topics["rooms"].subscribers
        for number in range(BEHIND + 1):
            subscriber.push(Message(event="change", topic="rooms", version=number, body="{}"))
        assert (await take(stream))[1]["rows"] == ["fresh"]
        hub.publish("rooms", upsert={"a": {"n": 1}})
        assert (await take(stream))[1]["upsert"] == [{"n": 1}]


async def test_a_reader_may_live_on_another_loop() -> None:
    hub = open_hub()
    table: dict[str, dict[str, Any]] = {}
    hub.provide("rooms", lambda: rooms_of(dict(table)))
    seen: list[dict[str, Any]] = []

    async def reader() -> None:
        async with aclosing(read(hub, ("rooms",))) as stream:
            while len(seen) < 4:
                seen.append((await take(stream))[1])

    os_thread = threading.Thread(target=lambda: asyncio.run(reader()))
    os_thread.start()
    for number in range(1, 4):
        await eventually(partial(has, seen, number))
        hub.publish("rooms", upsert={"a": {"n": number}})
    await eventually(lambda: not os_thread.is_alive())
    os_thread.join()
    assert [told.get("upsert") for told in seen] == [None, [{"n": 1}], [{"n": 2}], [{"n": 3}]]
    assert hub.viewers() == 0


async def test_a_reader_whose_loop_has_closed_does_not_disturb_the_others() -> None:
    hub = open_hub()
    hub.provide("rooms", dict)
    left: list[Subscriber] = []

    async def forget() -> None:
        left.append(Subscriber(asyncio.get_running_loop()))

    os_thread = threading.Thread(target=lambda: asyncio.run(forget()))
    os_thread.start()
    os_thread.join()
    hub._topics["rooms"].subscribers.add(left[0])
    async with aclosing(read(hub, ("rooms",))) as stream:
        await take(stream)
        hub.publish("rooms", upsert={"a": {"n": 1}})
        assert (await take(stream))[1]["upsert"] == [{"n": 1}]


async def test_closing_the_hub_ends_its_readers_and_those_that_come_later() -> None:
    hub = open_hub()
    hub.provide("rooms", lambda: {"rows": []})
    async with aclosing(read(hub, ("rooms",))) as stream:
        await take(stream)
        hub.close()
        async with asyncio.timeout(5):
            assert [told async for told in stream] == []
    async with asyncio.timeout(5):
        assert len([told async for told in read(hub, ("rooms",))]) == 2  # the snapshot, and over


async def test_the_first_thing_told_is_that_nothing_is_missed_from_now_on() -> None:
    hub = open_hub()
    async with aclosing(read(hub, ("system",))) as stream:
        assert await anext(stream) == (f"{hub.epoch}-", None)
        hub.touch("system")
        assert (await take(stream))[1]["topic"] == "system"  # the snapshot, which has it not yet
        assert (await take(stream))[1]["topic"] == "system"


async def test_who_wants_no_rows_is_sent_changes_alone() -> None:
    hub = open_hub()
    hub.provide("rooms", lambda: pytest.fail("a snapshot was made for nobody"))
    async with aclosing(read(hub, ("rooms",), rows=False)) as stream:
        assert (await anext(stream))[1] is None
        hub.publish("rooms", upsert={"a": {"n": 1}})
        _, message = await anext(stream)
        assert message is not None
        assert (message.event, message.topic) == ("change", "rooms")
        (subscriber,) = hub._topics["rooms"].subscribers
        for number in range(BEHIND + 1):
            subscriber.push(Message(event="change", topic="rooms", version=number, body="{}"))
        _, message = await anext(stream)
        assert message is not None
        assert (message.event, message.version) == ("change", hub.version("rooms"))


async def test_a_topic_without_readers_does_not_stay() -> None:
    hub = open_hub()
    for number in range(50):
        async with aclosing(read(hub, (f"room:{number}",))) as stream:
            await take(stream)
            hub.touch(f"room:{number}")  # and the reader leaves before it is sent
    await eventually(lambda: hub._topics == {})
    hub.touch("room:1")
    assert hub._topics == {}


async def test_the_same_topic_named_twice_is_one() -> None:
    hub = open_hub()
    async with aclosing(read(hub, ("system", "system"))) as stream:
        await take(stream)
        hub.touch("system")
        assert (await take(stream))[1]["topic"] == "system"
    assert hub.viewers() == 0


async def test_history_is_bounded() -> None:
    hub = open_hub()
    hub.provide("rooms", dict)
    topic = hub._topics["rooms"]
    for _ in range(HISTORY * 2):
        hub._send(topic)
    assert len(topic.history) == HISTORY


async def test_who_reads_which_topics_is_known() -> None:
    hub = open_hub()
    assert hub.topics_read("room:") == ()
    with hub.subscribe(("room:a", "rooms")), hub.subscribe(("room:a",)):
        assert hub.topics_read("room:") == ("room:a",)
        assert hub.viewers() == 2
        assert hub.readers("room:a") == 2
    assert hub.viewers() == 0


async def test_readers_of_one_viewer_count_once() -> None:
    hub = open_hub()
    tab = object()
    with (
        hub.subscribe(("rooms", "system"), viewer=tab),
        hub.subscribe(("rooms",), viewer=tab),
        hub.subscribe(("rooms",)),
    ):
        assert (hub.viewers(), hub.readers("rooms"), hub.readers("system")) == (2, 2, 1)


async def test_one_message_is_written_out_once_for_all_readers() -> None:
    hub = open_hub()
    hub.provide("rooms", dict)
    with hub.subscribe(("rooms",)) as one, hub.subscribe(("rooms",)) as other:
        hub.publish("rooms", upsert={"a": {"n": 1}})
        (first,) = await one.next() or ()
        (second,) = await other.next() or ()
        assert first.body is second.body


def test_messages_of_a_topic_are_spaced_so_that_a_viewer_is_not_flooded() -> None:
    assert 1 / hub_module.SPACING_S <= 25
