"""Hearing a room through the dashboard: what is heard, who is seen, and when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from livekit.api import CreateRoomRequest

from services.audio.microphone_check import level_db
from services.audio.monitoring import Listening
from services.errors import LiveKitUnavailableError, NotFoundError
from tests.conftest import StartLiveKit
from tests.support import steps
from tests.support.api_server import ApiServer, Wired
from tests.support.callers import person
from tests.support.participants import People
from tests.support.waiting import eventually

ROOM = "heard"


@pytest_asyncio.fixture
async def server(wired: Wired) -> AsyncIterator[ApiServer]:
    async with wired.api() as opened:
        yield opened


async def listen(server: ApiServer, room_name: str = ROOM) -> Listening:
    runtime = server.runtime
    return await runtime.acall(
        lambda: runtime.listeners.listen(room_name, actor=person("ada")), timeout_s=20
    )


async def loudest(listening: Listening, *, seconds: float = 0.5) -> float:
    """In dB, pulled at the pace at which a browser plays it."""
    found = []
    for _ in range(round(seconds / 0.02)):
        found.append(level_db(listening.pull()))
        await asyncio.sleep(0.02)
    return max(found)


async def observers(server: ApiServer, room_name: str = ROOM) -> set[str]:
    people = await steps.people_at_livekit(server.runtime.target, room_name)
    return {one for one in people if one.startswith("switchboard-observer-")}


async def test_two_hear_a_room_by_one_hidden_participant_who_leaves_with_the_second(
    server: ApiServer, join_room: People
) -> None:
    ana = await join_room(server.runtime.target, ROOM, "ana")
    first = await listen(server)

    async def heard() -> bool:
        return await loudest(first) > -30

    await eventually(heard)
    second = await listen(server)

    async def heard_too() -> bool:
        return await loudest(second) > -30

    await eventually(heard_too)
    assert len(await observers(server)) == 1
    assert (await ana.seen()).people == ()  # nobody sees who listens

    server.runtime.listeners.leave(first)
    assert await loudest(second) > -30
    server.runtime.listeners.leave(second)
    server.runtime.listeners.leave(second)

    async def alone() -> bool:
        return not await observers(server)

    await eventually(alone)
    store = server.runtime.store
    events = await server.runtime.acall(lambda: store.latest_events(limit=100))
    told = [one.event for one in events if one.event.data.get("action") == "listen_in"]
    assert [(e.actor, e.data["outcome"], e.data["through_dashboard"]) for e in told] == [
        ("ada", "done", True),
        ("ada", "done", True),
    ]


async def test_it_leaves_with_the_last_person_and_says_so(
    server: ApiServer, join_room: People
) -> None:
    ana = await join_room(server.runtime.target, ROOM, "ana", audio=False)
    listening = await listen(server)
    await ana.leave()
    await eventually(lambda: "The room is empty" in listening.said)

    async def alone() -> bool:
        return not await observers(server)

    await eventually(alone)


async def test_it_leaves_when_nobody_takes_what_is_heard_any_more(
    server: ApiServer, join_room: People
) -> None:
    await join_room(server.runtime.target, ROOM, "ana")
    gone, stays = await listen(server), await listen(server)
    gone.pull()

    async def only_one() -> bool:
        stays.pull()
        return "player was closed" in gone.said

    await eventually(only_one)
    assert stays.said == ""
    assert len(await observers(server)) == 1


async def test_a_room_that_is_ended_ends_it(server: ApiServer, join_room: People) -> None:
    await join_room(server.runtime.target, ROOM, "ana", audio=False)
    listening = await listen(server)
    await steps.end_room(server.runtime.target, ROOM)
    await eventually(lambda: listening.said == "The room has ended.")
    assert np.count_nonzero(listening.pull()) == 0


async def test_no_such_room_is_said(server: ApiServer) -> None:
    with pytest.raises(NotFoundError):
        await listen(server, "nobody-here")


async def test_media_ports_that_are_not_reached_are_said_and_it_can_be_tried_again(
    start_livekit: StartLiveKit, wired: Wired
) -> None:
    livekit = start_livekit(media=False)
    deaf = Wired(livekit, wired.port, wired.data_dir)
    async with deaf.api() as server:
        runtime = server.runtime
        async with steps.livekit_api(runtime.target) as api:
            await api.room.create_room(CreateRoomRequest(name=ROOM))
        for _ in range(2):
            with pytest.raises(LiveKitUnavailableError) as refused:
                await listen(server)
            assert "media ports" in refused.value.hint
