"""Sessions on a real server with real people: created whole, ended for certain, kept ended."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from services.clock import utc_now
from services.errors import (
    ConflictError,
    InvalidInputError,
    LiveKitUnavailableError,
    NotFoundError,
    SwitchboardError,
)
from services.events import Kind, Source
from services.livekit.models import Participant, Room
from services.livekit.tokens import Grants, TokenRequest
from services.runtime import close_runtime
from services.sessions.service import NewSession
from services.store.records import Origin, SessionRecord, SessionStatus
from tests.support.api_server import ApiServer, Wired
from tests.support.callers import person
from tests.support.participants import People
from tests.support.signalling import put_out
from tests.support.waiting import eventually


async def read(server: ApiServer, session_id: str) -> SessionRecord:
    return await server.runtime.acall(lambda: server.runtime.sessions.get(session_id))


async def rooms_at_livekit(server: ApiServer) -> tuple[Room, ...]:
    return await server.runtime.acall(server.runtime.livekit.list_rooms)


async def people_in(server: ApiServer, room: str) -> tuple[Participant, ...]:
    return await server.runtime.acall(lambda: server.runtime.livekit.list_participants(room))


async def kinds_of(server: ApiServer, session_id: str) -> list[Kind]:
    store = server.runtime.store
    found = await server.runtime.acall(lambda: store.events(session_id=session_id))
    return [stored.event.kind for stored in found]


async def until_status(server: ApiServer, session_id: str, status: SessionStatus) -> SessionRecord:
    async def reached() -> SessionRecord | None:
        session = await read(server, session_id)
        return session if session.status is status else None

    found = await eventually(reached)
    assert found is not None
    return found


async def test_a_session_goes_from_created_over_active_to_ended(
    wired: Wired, join_room: People
) -> None:
    async with wired.api() as server:
        made = await server.create()
        session_id = made["session_id"]
        assert (await read(server, session_id)).status is SessionStatus.CREATED
        person = await join_room(wired.target, made["room_name"], token=made["token"])
        active = await until_status(server, session_id, SessionStatus.ACTIVE)
        assert active.started_at is not None
        assert active.people_peak == 1

        ended = (await server.http.delete(f"/api/voice/session/{session_id}")).json()
        assert (ended["status"], ended["end_reason"]) == ("ended", "Ended by the API.")
        await eventually(person.has_left)
        assert (await person.seen()).left_because == "ROOM_DELETED"
        assert await rooms_at_livekit(server) == ()

        async def webhook_came() -> bool:
            return (await kinds_of(server, session_id)).count(Kind.ROOM_FINISHED) == 2

        await eventually(webhook_came)  # ours, because we saw it gone, and LiveKit's
        final = await read(server, session_id)
        assert rfc(final.ended_at) == ended["ended_at"]
        visits = await server.runtime.acall(lambda: server.runtime.store.visits(session_id))
        assert [(v.identity, v.left_at is not None) for v in visits] == [(person.identity, True)]


def rfc(moment: datetime | None) -> str:
    assert moment is not None
    return moment.isoformat().replace("+00:00", "Z")


async def test_a_call_that_ends_by_itself_ends_its_session(wired: Wired, join_room: People) -> None:
    async with wired.api() as server:
        made = await server.runtime.acall(
            lambda: server.runtime.sessions.create(
                NewSession(
                    user_id="nate",
                    agent_name=None,
                    duration=None,
                    departure_timeout=timedelta(seconds=1),
                ),
                origin=Origin.PAGE,
                actor=person("operator"),
            )
        )
        caller = await join_room(wired.target, made.session.room_name, token=made.token.token)
        await until_status(server, made.session.id, SessionStatus.ACTIVE)
        await caller.leave()
        ended = await until_status(server, made.session.id, SessionStatus.ENDED)
        assert ended.ended_certainty == "observed"
        assert ended.origin is Origin.PAGE


async def test_a_session_whose_time_is_over_is_ended_and_called_expired(
    wired: Wired, join_room: People
) -> None:
    async with wired.api() as server:
        made = await server.create(session_duration_hours=1.0 / 3600)
        person = await join_room(wired.target, made["room_name"], token=made["token"])
        expired = await until_status(server, made["session_id"], SessionStatus.EXPIRED)
        assert expired.end_reason == "Its time was over."
        assert expired.ended_at is not None
        assert expired.expires_at is not None
        assert expired.ended_at - expired.expires_at < timedelta(seconds=2)
        await eventually(person.has_left)


async def test_sessions_that_outlived_their_time_while_we_were_down_are_ended(wired: Wired) -> None:
    async with wired.api() as server:
        made = await server.create(session_duration_hours=0.3 / 3600)
    async with wired.api() as server:
        expired = await until_status(server, made["session_id"], SessionStatus.EXPIRED)
        assert expired.ended_certainty == "observed"
        assert await rooms_at_livekit(server) == ()


async def test_an_extended_session_goes_on(wired: Wired) -> None:
    async with wired.api() as server:
        made = await server.create(session_duration_hours=1)
        sessions = server.runtime.sessions
        extended = await server.runtime.acall(
            lambda: sessions.extend(
                made["session_id"], timedelta(hours=1), actor=person("operator")
            )
        )
        before = datetime.fromisoformat(made["expires_at"])
        assert extended.expires_at == before + timedelta(hours=1)
        with pytest.raises(InvalidInputError):
            await server.runtime.acall(
                lambda: sessions.extend(
                    made["session_id"], timedelta(hours=99), actor=person("operator")
                )
            )


async def test_ended_stays_ended_although_a_kicked_caller_comes_back_with_its_token(
    wired: Wired, join_room: People
) -> None:
    async with wired.api() as server:
        made = await server.create()
        first = await join_room(wired.target, made["room_name"], token=made["token"])
        await server.http.delete(f"/api/voice/session/{made['session_id']}")
        await eventually(first.has_left)

        # open-source LiveKit takes the token, and opens the room anew
        assert await put_out(wired.target, made["token"])

        async def denied() -> bool:
            return Kind.JOIN_DENIED in await kinds_of(server, made["session_id"])

        await eventually(denied)

        async def gone() -> bool:
            return await rooms_at_livekit(server) == ()

        await eventually(gone)
        assert (await read(server, made["session_id"])).status is SessionStatus.ENDED
        await eventually(lambda: server.runtime.rooms.snapshot.get(made["room_name"]) is None)


async def test_who_was_removed_is_kept_out_until_let_back(wired: Wired, join_room: People) -> None:
    async with wired.api() as server:
        made = await server.create()
        room, actions = made["room_name"], server.runtime.actions
        bob = await join_room(wired.target, room, "bob")
        await join_room(wired.target, room, "ann")
        await eventually(lambda: server.runtime.rooms.snapshot.people == 2)
        await server.runtime.acall(
            lambda: actions.remove_participant(room, "bob", actor=person("op"))
        )
        await eventually(bob.has_left)
        assert (await bob.seen()).left_because == "PARTICIPANT_REMOVED"

        again = await join_room(wired.target, room, "bob", audio=False)
        await eventually(again.has_left)
        assert [p.identity for p in await people_in(server, room)] == ["ann"]

        await server.runtime.acall(lambda: actions.unblock(room, "bob", actor=person("op")))
        await join_room(wired.target, room, "bob")
        await eventually(lambda: server.runtime.rooms.snapshot.people == 2)


async def test_a_removal_of_somebody_who_is_not_there_says_so(wired: Wired) -> None:
    async with wired.api() as server:
        made = await server.create()
        actions = server.runtime.actions
        with pytest.raises(NotFoundError):
            await server.runtime.acall(
                lambda: actions.remove_participant(made["room_name"], "nobody", actor=person("op"))
            )
        events = await server.runtime.acall(server.runtime.store.latest_events)
        action = next(s.event for s in events if s.event.kind is Kind.OPERATOR_ACTION)
        assert (action.actor, action.data["outcome"]) == ("op", "not_found")


async def test_a_room_of_others_that_was_ended_stays_closed(
    wired: Wired, join_room: People
) -> None:
    async with wired.api() as server:
        person = await join_room(wired.target, "standup", "ann")
        await eventually(lambda: server.runtime.rooms.snapshot.get("standup"))
        assert (await server.http.delete("/api/rooms/standup")).status_code == 200
        await eventually(person.has_left)
        token = server.runtime.tokens.mint(
            TokenRequest(identity="ann", room="standup", grants=Grants(room_join=True))
        )
        assert await put_out(wired.target, token.token)

        async def gone() -> bool:
            return await rooms_at_livekit(server) == ()

        await eventually(gone)
        made = await server.create(room_name="standup")  # who asks for it by name may open it
        await join_room(wired.target, "standup", token=made["token"])
        await until_status(server, made["session_id"], SessionStatus.ACTIVE)


async def test_an_end_that_was_asked_for_while_livekit_was_down_is_made_up_for(
    wired: Wired,
) -> None:
    async with wired.api(switchboard_livekit_timeout_s=0.5) as server:
        made = await server.create()
        path = f"/api/voice/session/{made['session_id']}"
        wired.livekit.kill()
        reply = await server.http.delete(path)
        assert (reply.status_code, reply.json()["code"]) == (503, "livekit_unavailable")
        assert (await read(server, made["session_id"])).status is SessionStatus.CREATED
        wired.livekit.start()
        ended = await until_status(server, made["session_id"], SessionStatus.ENDED)
        assert ended.end_reason == "Ended by the API."


async def test_an_end_that_was_asked_for_before_a_restart_of_ours_is_made_up_for(
    wired: Wired,
) -> None:
    async with wired.api(switchboard_livekit_timeout_s=0.5) as server:
        made = await server.create()
        with wired.livekit_frozen():
            with pytest.raises(LiveKitUnavailableError):
                await server.runtime.acall(
                    lambda: server.runtime.sessions.end(
                        made["session_id"], actor=person("op"), reason="Not needed."
                    )
                )
            await asyncio.to_thread(close_runtime)
    async with wired.api() as server:
        ended = await until_status(server, made["session_id"], SessionStatus.ENDED)
        assert ended.end_reason == "Not needed."

        async def gone() -> bool:
            return await rooms_at_livekit(server) == ()

        await eventually(gone)


async def test_a_creation_that_livekit_carried_out_too_late_leaves_no_room_open(
    wired: Wired,
) -> None:
    async with wired.api(switchboard_livekit_timeout_s=0.3) as server:
        with wired.livekit_frozen():
            reply = await server.http.post(
                "/api/voice/session", json={"user_id": "nate", "agent_id": "pm-agent"}
            )
            assert (reply.status_code, reply.json()["code"]) == (503, "livekit_timeout")
            listed = await server.http.get("/api/voice/sessions?user_id=nate")
            assert listed.json()["sessions"] == []
        await eventually(lambda: server.runtime.rooms.snapshot.error is None)

        async def nothing_open() -> bool:
            open_now = await server.runtime.acall(server.runtime.store.open_sessions)
            return await rooms_at_livekit(server) == () and open_now == ()

        await eventually(nothing_open)


async def test_a_name_that_is_open_already_is_refused_and_its_settings_stay(wired: Wired) -> None:
    async with wired.api() as server:
        await server.create(room_name="desk", metadata={"own": 1})
        with pytest.raises(ConflictError) as caught:
            await server.runtime.acall(
                lambda: server.runtime.sessions.create(
                    NewSession(user_id="eve", agent_name=None, duration=None, room_name="desk"),
                    origin=Origin.PAGE,
                    actor=person("op"),
                )
            )
        assert caught.value.field == "room_name"
        (room,) = await rooms_at_livekit(server)
        assert '"own": 1' in room.metadata


async def test_a_failed_creation_is_written_down_with_who_wanted_it(wired: Wired) -> None:
    async with wired.api(switchboard_livekit_timeout_s=0.5) as server:
        wired.livekit.kill()
        with pytest.raises(SwitchboardError):
            await server.runtime.acall(
                lambda: server.runtime.sessions.create(
                    NewSession(user_id="nate", agent_name="pm-agent", duration=None),
                    origin=Origin.PAGE,
                    actor=person("op"),
                )
            )
        events = await server.runtime.acall(server.runtime.store.latest_events)
        failed = next(s.event for s in events if s.event.kind is Kind.SESSION_FAILED)
        assert (failed.actor, failed.source) == ("op", Source.SYSTEM)
        assert failed.data["user_id"] == "nate"
        assert failed.at <= utc_now()
