"""LiveKitService against a real livekit-server, a silent one, an absent one and a wrong key."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import jwt
import psutil
import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.clock import utc_now
from services.errors import (
    ConflictError,
    InvalidInputError,
    LiveKitRejectedError,
    LiveKitTimeoutError,
    LiveKitUnavailableError,
    NotFoundError,
)
from services.ids import new_session_id, room_name_for
from services.livekit.limits import DATA_LIMIT_BYTES
from services.livekit.models import ConnectionState, JobStatus, ParticipantKind
from services.livekit.service import LiveKitService, RoomOptions, VoiceSessionOptions
from services.livekit.target import LiveKitTarget
from services.livekit.tokens import Grants, TokenMinter, TokenRequest
from tests.support.livekit_server import LiveKitServer
from tests.support.participants import People
from tests.support.ports import free_port
from tests.support.silent_server import open_silent_server
from tests.support.waiting import eventually


@asynccontextmanager
async def open_service(
    target: LiveKitTarget, *, timeout_s: float = 5.0, **given: Any
) -> AsyncIterator[LiveKitService]:
    service = LiveKitService(target, TokenMinter(target, utc_now), timeout_s=timeout_s, **given)
    try:
        yield service
    finally:
        await service.close()


@pytest_asyncio.fixture
async def livekit(livekit_server: LiveKitServer) -> AsyncIterator[LiveKitService]:
    async with open_service(livekit_server.target) as service:
        yield service


def new_name() -> str:
    return room_name_for(new_session_id(), "test")


def voice(name: str, *, agent: str | None = "pm-agent") -> VoiceSessionOptions:
    return VoiceSessionOptions(
        room=RoomOptions(name=name, empty_timeout_s=60, metadata='{"a": 1}'),
        agent_name=agent,
        agent_metadata='{"topic": "standup"}',
        identity="nate-1",
        participant_name="Nate",
    )


# -- every method


async def test_a_voice_session_is_a_room_a_dispatch_and_a_token(
    livekit: LiveKitService, livekit_server: LiveKitServer, join_room: People
) -> None:
    made = await livekit.create_voice_session(voice(new_name()))
    assert made.room.sid.startswith("RM_")
    assert made.room.metadata == '{"a": 1}'
    person = await join_room(livekit_server.target, made.room.name, token=made.token.token)
    assert person.identity == "nate-1"
    found = await livekit.list_dispatches(made.room.name)
    (ours,) = found  # CreateRoom with an agent asks for that one alone
    assert (ours.agent_name, ours.metadata) == ("pm-agent", '{"topic": "standup"}')
    assert await livekit.dispatch_of(made.room.name, "pm-agent", "") == ours
    assert all(job.status in {JobStatus.PENDING, JobStatus.FAILED} for job in ours.jobs)
    assert await livekit.end_session(made.room.name) is True
    assert await livekit.end_session(made.room.name) is False
    without = await livekit.create_voice_session(voice(new_name(), agent=None))
    assert [one for one in await livekit.list_dispatches(without.room.name) if one.agent_name] == []


async def test_an_agent_that_livekit_did_not_take_from_create_room_is_asked_for_anew(
    livekit: LiveKitService,
) -> None:
    made = await livekit.create_voice_session(voice(new_name(), agent=None))
    asked = await livekit.dispatch_of(made.room.name, "pm-agent", "for you")
    assert (asked.agent_name, asked.metadata) == ("pm-agent", "for you")
    assert (await livekit.dispatch_of(made.room.name, "pm-agent", "for you")).id == asked.id
    await livekit.end_room(made.room.name)
    with pytest.raises(NotFoundError):
        await livekit.dispatch_of(made.room.name, "pm-agent", "for you")
    assert made.room.name not in [room.name for room in await livekit.list_rooms()]


async def test_rooms_are_created_read_listed_changed_and_ended(livekit: LiveKitService) -> None:
    name = new_name()
    made = await livekit.create_room(
        RoomOptions(name=name, empty_timeout_s=77, departure_timeout_s=7, max_participants=3)
    )
    assert (made.empty_timeout_s, made.departure_timeout_s, made.max_participants) == (77, 7, 3)
    assert made.created_at is not None
    assert abs((utc_now() - made.created_at).total_seconds()) < 5
    assert await livekit.get_room_info(name) == made
    changed = await livekit.update_room_metadata(name, json.dumps({"b": "ü"}))
    assert json.loads(changed.metadata) == {"b": "ü"}
    younger = await livekit.create_room(RoomOptions(name=new_name()))
    names = [room.name for room in await livekit.list_rooms()]
    assert names.index(younger.name) < names.index(name)
    assert await livekit.end_room(name) is True
    with pytest.raises(NotFoundError):
        await livekit.get_room_info(name)


async def test_the_settings_of_an_open_room_are_not_overwritten(livekit: LiveKitService) -> None:
    name = new_name()
    await livekit.create_room(RoomOptions(name=name, max_participants=3))
    with pytest.raises(ConflictError) as caught:
        await livekit.create_room(RoomOptions(name=name, max_participants=9))
    assert caught.value.field == "name"
    assert (await livekit.get_room_info(name)).max_participants == 3


async def test_participants_are_seen_muted_messaged_and_removed(
    livekit: LiveKitService, livekit_server: LiveKitServer, join_room: People
) -> None:
    name = new_name()
    ann = await join_room(livekit_server.target, name, "ann", attributes={"tier": "gold"})
    bob = await join_room(livekit_server.target, name, "bob", audio=False, name="Bob ü")

    async def both_with_a_track() -> bool:
        found = await livekit.list_participants(name)
        return [len(one.tracks) for one in found] == [1, 0]

    await eventually(both_with_a_track)
    first, second = await livekit.list_participants(name)
    assert (first.identity, second.name) == ("ann", "Bob ü")
    assert (first.kind, first.state) == (ParticipantKind.STANDARD, ConnectionState.ACTIVE)
    assert first.attributes["tier"] == "gold"
    assert first.joined_at is not None
    assert (first.tracks[0].kind, first.tracks[0].source) == ("audio", "microphone")
    assert first.permissions is not None
    assert first.permissions.can_publish

    muted = await livekit.mute_track(name, "ann", ann.track_sid)
    assert muted.muted

    async def ann_is_muted() -> bool:
        return (await ann.seen()).muted

    await eventually(ann_is_muted)
    await livekit.send_data(name, b"hello bob", topic="note", identities=("bob",))

    async def bob_heard() -> bool:
        return [(m.topic, m.text) for m in (await bob.seen()).data] == [("note", "hello bob")]

    await eventually(bob_heard)
    assert (await ann.seen()).data == ()
    await livekit.remove_participant(name, "bob")
    await eventually(bob.has_left)


async def test_a_token_is_minted_without_asking_the_server(livekit: LiveKitService) -> None:
    calls = livekit.calls
    minted = livekit.generate_token(
        TokenRequest(identity="x", room="r", grants=Grants(room_join=True))
    )
    claims = jwt.decode(minted.token, options={"verify_signature": False})
    assert (claims["sub"], claims["video"]["room"]) == ("x", "r")
    assert livekit.calls == calls
    assert minted.token not in repr(minted)


# -- what is not there, what cannot be


Call = Callable[[LiveKitService], Awaitable[object]]
ABOUT_A_ROOM: dict[str, Call] = {
    "get_room_info": lambda lk: lk.get_room_info("no-such-room"),
    "update_room_metadata": lambda lk: lk.update_room_metadata("no-such-room", "{}"),
    "send_data": lambda lk: lk.send_data("no-such-room", b"x"),
    "remove_participant": lambda lk: lk.remove_participant("no-such-room", "x"),
    "mute_track": lambda lk: lk.mute_track("no-such-room", "x", "TR_x"),
    "create_dispatch": lambda lk: lk.create_dispatch("no-such-room", "pm-agent"),
    "list_dispatches": lambda lk: lk.list_dispatches("no-such-room"),
}


@pytest.mark.parametrize("name", ABOUT_A_ROOM)
async def test_a_room_that_is_not_open_is_not_found_and_not_opened(
    livekit: LiveKitService, name: str
) -> None:
    with pytest.raises(NotFoundError):
        await ABOUT_A_ROOM[name](livekit)
    assert await livekit.list_participants("no-such-room") == ()
    assert "no-such-room" not in [room.name for room in await livekit.list_rooms()]


@pytest.mark.parametrize("name", ["", " ", "x" * 257, "ü" * 129, "a\nb", "a\x00", "\ud800"])
async def test_a_bad_room_name_is_refused_before_livekit_is_asked(
    livekit: LiveKitService, name: str
) -> None:
    calls = livekit.calls
    with pytest.raises(InvalidInputError):
        await livekit.create_room(RoomOptions(name=name))
    assert livekit.calls == calls


async def test_what_is_too_large_is_refused_before_livekit_is_asked(
    livekit: LiveKitService,
) -> None:
    calls = livekit.calls
    with pytest.raises(InvalidInputError):
        await livekit.send_data("r", b"x" * (DATA_LIMIT_BYTES + 1))
    with pytest.raises(InvalidInputError):
        await livekit.update_room_metadata("r", "x" * 600_000)
    assert livekit.calls == calls


async def test_unmuting_where_the_server_forbids_it_is_explained(
    livekit: LiveKitService, livekit_server: LiveKitServer, join_room: People
) -> None:
    name = new_name()
    ann = await join_room(livekit_server.target, name, "ann")
    await livekit.mute_track(name, "ann", ann.track_sid)
    with pytest.raises((LiveKitRejectedError, InvalidInputError)) as caught:
        await livekit.mute_track(name, "ann", ann.track_sid, muted=False)
    assert "MutePublishedTrack" in str(caught.value)


# -- faults

READS_AND_WRITES: dict[str, Call] = {
    "list_rooms": lambda lk: lk.list_rooms(),
    "list_participants": lambda lk: lk.list_participants("r"),
    "end_room": lambda lk: lk.end_room("r"),
    "create_room": lambda lk: lk.create_room(RoomOptions(name="r")),
    "create_voice_session": lambda lk: lk.create_voice_session(voice("r")),
    **ABOUT_A_ROOM,
}


def target_at(url: str) -> LiveKitTarget:
    return LiveKitTarget(url=url, public_url=url, api_key="APIkey", api_secret=SecretStr("s" * 32))


@pytest.mark.parametrize("name", READS_AND_WRITES)
async def test_a_silent_server_becomes_a_timeout_in_time(name: str) -> None:
    loop = asyncio.get_running_loop()
    async with (
        open_silent_server() as server,
        open_service(target_at(server.url), timeout_s=0.1) as service,
    ):
        began_s = loop.time()
        with pytest.raises(LiveKitTimeoutError, match=r"within 0\.1 s"):
            await READS_AND_WRITES[name](service)
        assert loop.time() - began_s < 3  # and not the 5 s that calls are given by default


async def test_a_creation_without_an_answer_is_undone_because_it_may_have_happened() -> None:
    async with (
        open_silent_server() as server,
        open_service(target_at(server.url), timeout_s=0.1) as service,
    ):
        with pytest.raises(LiveKitTimeoutError):
            await service.create_voice_session(voice("half-made"))
        await eventually(lambda: any(b"/DeleteRoom" in data for data in server.heard))


async def test_a_cancelled_creation_leaves_no_room(restartable_livekit: LiveKitServer) -> None:
    process = psutil.Process(restartable_livekit.process.pid)
    async with open_service(restartable_livekit.target, timeout_s=2) as service:
        await service.list_rooms()
        process.suspend()
        try:
            aio_task = asyncio.create_task(service.create_voice_session(voice("half-made")))
            await eventually(lambda: service.calls >= 2)
            aio_task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await aio_task
        finally:
            process.resume()

        async def gone() -> bool:
            return service._undoing == set() and await service.list_rooms() == ()

        await eventually(gone)


@pytest.mark.parametrize("name", READS_AND_WRITES)
async def test_an_absent_server_is_unreachable_and_named(name: str) -> None:
    async with open_service(target_at(f"http://127.0.0.1:{free_port()}")) as service:
        with pytest.raises(LiveKitUnavailableError) as caught:
            await READS_AND_WRITES[name](service)
    assert not isinstance(caught.value, LiveKitTimeoutError)
    assert "LIVEKIT_URL" in caught.value.hint


@pytest.mark.parametrize("name", READS_AND_WRITES)
async def test_a_refused_key_is_told_apart(livekit_server: LiveKitServer, name: str) -> None:
    wrong = replace(livekit_server.target, api_secret=SecretStr("x" * 40))
    async with open_service(wrong) as service:
        with pytest.raises(LiveKitRejectedError) as caught:
            await READS_AND_WRITES[name](service)
    assert "LIVEKIT_API_SECRET" in caught.value.hint
    assert "x" * 40 not in str(caught.value)


async def test_something_that_is_not_livekit_is_an_error_of_ours() -> None:
    async def html(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(html, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, open_service(target_at(url)) as service:
        with pytest.raises((LiveKitRejectedError, LiveKitUnavailableError)):
            await service.list_rooms()


async def test_a_read_is_tried_again_and_a_write_is_not(
    restartable_livekit: LiveKitServer,
) -> None:
    async with open_service(target_at(f"http://127.0.0.1:{free_port()}")) as service:
        with pytest.raises(LiveKitUnavailableError):
            await service.list_rooms()
        assert service.calls == 2
        with pytest.raises(LiveKitUnavailableError):
            await service.remove_participant("r", "x")
        assert service.calls == 3
    async with open_service(restartable_livekit.target) as service:
        await service.list_rooms()
        restartable_livekit.kill()
        restartable_livekit.start()
        assert await service.list_rooms() == ()  # the kept connection was dead


async def test_while_the_server_is_being_built_the_reason_is_given_and_nothing_is_asked() -> None:
    reason = LiveKitUnavailableError("livekit-server is being built.", hint="Wait a minute.")
    async with open_service(target_at("http://127.0.0.1:9"), unavailable=lambda: reason) as service:
        with pytest.raises(LiveKitUnavailableError, match="being built"):
            await service.list_rooms()
        assert service.calls == 0


async def test_the_client_is_opened_at_the_first_call_and_closed_for_good(
    livekit_server: LiveKitServer, caplog: pytest.LogCaptureFixture
) -> None:
    target = livekit_server.target
    service = LiveKitService(target, TokenMinter(target, utc_now))
    assert vars(service)["_http"] is None
    await service.list_rooms()
    assert vars(service)["_http"] is not None
    with caplog.at_level(logging.WARNING):
        await service.close()
        await service.close()
    assert vars(service)["_http"] is None
    with pytest.raises(LiveKitUnavailableError):
        await service.list_rooms()
