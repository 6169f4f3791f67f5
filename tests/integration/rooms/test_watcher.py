"""The watcher on a real server: what webhooks tell, what polls make up for, and what is forged."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from services.clock import utc_now
from services.events import Event, Kind, Provenance, Source
from services.livekit.service import RoomOptions
from services.rooms.views import RoomView
from services.store.records import Origin, SessionRecord, SessionStatus
from tests.conftest import StartLiveKit
from tests.support.api_server import ApiServer, Wired, open_api, settings_for
from tests.support.control_room import ControlRoom
from tests.support.livekit_server import LiveKitServer
from tests.support.participants import People
from tests.support.waiting import eventually

NO_POLLS = 60.0


def room(server: ApiServer, name: str) -> RoomView | None:
    return server.runtime.rooms.snapshot.get(name)


async def people_in(server: ApiServer, name: str) -> int:
    """As somebody sees it who opens the room's page; ListRooms counts up to 5 s late."""
    view = await server.runtime.acall(lambda: server.runtime.rooms.refresh(name))
    return view.people


async def session_in(server: ApiServer, name: str) -> SessionRecord | None:
    return await server.runtime.acall(lambda: server.runtime.store.session_of_room(name))


async def events_in(server: ApiServer, name: str) -> list[Event]:
    store = server.runtime.store
    stored = await server.runtime.acall(lambda: store.latest_events(limit=500))
    return [one.event for one in reversed(stored) if one.event.room_name == name]


async def until_ended(server: ApiServer, name: str) -> SessionRecord:
    async def over() -> SessionRecord | None:
        found = await session_in(server, name)
        return found if found is not None and not found.status.is_open else None

    ended = await eventually(over)
    assert ended is not None
    return ended


def sign(target: LiveKitServer, body: bytes, *, secret: str = "") -> str:
    claims = {
        "iss": target.api_key,
        "exp": utc_now() + timedelta(minutes=5),
        "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
    }
    return jwt.encode(claims, secret or target.api_secret, algorithm="HS256")


async def deliver(
    server: ApiServer, livekit: LiveKitServer, *, secret: str = "", **webhook: Any
) -> httpx.Response:
    """Send a webhook as livekit-server would."""
    body = json.dumps({"createdAt": str(int(utc_now().timestamp())), **webhook}).encode()
    headers = {
        "authorization": sign(livekit, body, secret=secret),
        "content-type": "application/webhook+json",
    }
    return await server.http.post("/api/livekit/webhook", content=body, headers=headers)


# -- webhooks


async def test_join_track_and_leave_are_seen_by_webhook_alone(
    wired: Wired, join_room: People
) -> None:
    async with wired.api(switchboard_poll_interval_s=NO_POLLS) as server:
        await eventually(lambda: server.runtime.rooms.polls == 1)
        person = await join_room(wired.target, "standup", "ann", name="Ann")
        view = await eventually(
            lambda: (found := room(server, "standup")) and found.publishers == 1 and found
        )
        assert view
        assert (view.people, view.adopted, view.participants[0].name) == (1, True, "Ann")
        assert [track.source for track in view.participants[0].tracks] == ["microphone"]
        session = await session_in(server, "standup")
        assert session is not None
        assert (session.origin, session.status) == (Origin.ADOPTED, SessionStatus.ACTIVE)
        assert session.created_certainty is Provenance.OBSERVED
        await person.leave()
        await eventually(lambda: (found := room(server, "standup")) and found.people == 0)
        await server.runtime.acall(lambda: server.runtime.livekit.end_room("standup"))
        await eventually(lambda: room(server, "standup") is None)
        ended = await until_ended(server, "standup")
        assert ended.ended_certainty is Provenance.OBSERVED
        visits = await server.runtime.acall(lambda: server.runtime.store.visits(ended.id))
        assert [visit.left_certainty for visit in visits] == [Provenance.OBSERVED]
        assert all(e.source is not Source.POLL for e in await events_in(server, "standup"))


async def test_the_same_webhook_twice_is_one_event(wired: Wired) -> None:
    async with wired.api(switchboard_poll_interval_s=NO_POLLS) as server:
        told: dict[str, Any] = {"event": "room_started", "id": "EV_1"}
        told["room"] = {"name": "twice", "sid": "RM_x"}
        for _ in range(3):
            reply = await deliver(server, wired.livekit, **told)
            assert (reply.status_code, reply.json()) == (200, {"status": "taken"})
        assert len(await events_in(server, "twice")) == 1
        assert server.runtime.rooms.webhooks.duplicates == 2
        assert server.runtime.rooms.webhooks.received == 3


async def test_a_forged_webhook_is_refused_counted_and_changes_nothing(wired: Wired) -> None:
    async with wired.api(switchboard_poll_interval_s=NO_POLLS) as server:
        told: dict[str, Any] = {"event": "room_started", "id": "EV_1"}
        told["room"] = {"name": "forged", "sid": "RM_x"}
        reply = await deliver(server, wired.livekit, secret="x" * 40, **told)
        assert reply.status_code == 401
        assert reply.json()["code"] == "bad_signature"
        bare = await server.http.post("/api/livekit/webhook", json=told)
        assert bare.status_code == 401
        garbled = await server.http.post(
            "/api/livekit/webhook", content=b"\xff", headers={"authorization": "Bearer x.y.z"}
        )
        assert garbled.status_code == 401
        assert server.runtime.rooms.webhooks.refused == 3
        assert await events_in(server, "forged") == []
        assert room(server, "forged") is None
        metrics = (await server.http.get("/api/metrics")).text
        assert "switchboard_webhooks_refused 3.0" in metrics


async def test_webhooks_out_of_order_give_the_same_picture(wired: Wired) -> None:
    async with wired.api(switchboard_poll_interval_s=NO_POLLS) as server:
        await eventually(lambda: server.runtime.rooms.polls == 1)
        at = {"name": "mixed", "sid": "RM_m"}
        ann = {"identity": "ann", "sid": "PA_a"}
        bob = {"identity": "bob", "sid": "PA_b"}
        order: list[dict[str, Any]] = [
            {"event": "participant_left", "participant": ann},
            {"event": "participant_joined", "participant": ann},
            {"event": "participant_joined", "participant": bob},
            {"event": "room_started"},
        ]
        for number, told in enumerate(order):
            await deliver(server, wired.livekit, id=f"EV_{number}", room=at, **told)
        view = room(server, "mixed")
        assert view is not None
        assert [p.identity for p in view.participants] == ["bob"]
        await deliver(server, wired.livekit, id="EV_8", room=at, event="room_finished")
        await deliver(
            server, wired.livekit, id="EV_9", room=at, event="participant_left", participant=bob
        )
        assert room(server, "mixed") is None
        session = await session_in(server, "mixed")
        assert session is not None
        assert session.status is SessionStatus.ENDED


async def test_an_end_that_is_told_before_its_beginning_leaves_no_open_room(wired: Wired) -> None:
    async with wired.api() as server:
        at = {"name": "late", "sid": "RM_l"}
        await deliver(server, wired.livekit, id="EV_1", room=at, event="room_finished")
        await deliver(server, wired.livekit, id="EV_2", room=at, event="room_started")
        await eventually(lambda: room(server, "late") is None)
        session = await session_in(server, "late")
        assert session is not None
        assert session.status is SessionStatus.ENDED


# -- what webhooks did not tell


async def test_without_webhooks_polls_find_it_all_and_say_that_it_is_inferred(
    start_livekit: StartLiveKit, tmp_path: Path, join_room: People
) -> None:
    livekit = start_livekit()  # it sends webhooks to nobody
    async with open_api(settings_for(livekit, tmp_path / "data")) as server:
        await eventually(lambda: server.runtime.rooms.polls >= 1)
        person = await join_room(livekit.target, "quiet", "ann")
        await eventually(lambda: room(server, "quiet"))
        assert await people_in(server, "quiet") == 1
        await person.leave()

        async def empty() -> bool:
            return await people_in(server, "quiet") == 0

        await eventually(empty)
        await server.runtime.acall(lambda: server.runtime.livekit.end_room("quiet"))
        ended = await until_ended(server, "quiet")
        assert ended.created_certainty is Provenance.INFERRED
        assert ended.ended_certainty is Provenance.INFERRED
        assert ended.end_reason
        told = await events_in(server, "quiet")
        assert {e.kind for e in told} >= {
            Kind.ROOM_STARTED,
            Kind.PARTICIPANT_JOINED,
            Kind.PARTICIPANT_LEFT,
            Kind.ROOM_FINISHED,
        }
        assert {(e.source, e.certainty) for e in told} == {(Source.POLL, Provenance.INFERRED)}
        assert server.runtime.rooms.webhooks.missed > 0


async def test_a_session_without_webhooks_is_ended_by_us_as_observed(
    start_livekit: StartLiveKit, tmp_path: Path
) -> None:
    livekit = start_livekit()
    async with open_api(settings_for(livekit, tmp_path / "data")) as server:
        made = await server.create()
        ended = (await server.http.delete(f"/api/voice/session/{made['session_id']}")).json()
        assert (ended["status"], ended["ended_certainty"]) == ("ended", "observed")


async def test_livekit_killed_and_back_is_said_and_what_was_lost_is_inferred(
    wired: Wired, mortal_people: People
) -> None:
    async with wired.api(switchboard_livekit_timeout_s=0.5) as server:
        made = await server.create()
        await mortal_people(wired.target, made["room_name"], token=made["token"])
        await eventually(lambda: (found := room(server, made["room_name"])) and found.people == 1)
        mortal_people.kill()  # else they would come back by themselves
        wired.livekit.kill()
        snapshot = server.runtime.rooms
        await eventually(lambda: snapshot.snapshot.error is not None)
        assert room(server, made["room_name"]) is not None  # the last known rows stay
        told = (await server.http.get("/api/rooms")).json()
        assert told["error"]
        assert told["error_hint"]
        assert (await server.http.get("/api/ready")).status_code == 503

        wired.livekit.start()
        await eventually(lambda: snapshot.snapshot.error is None)
        lost = await until_ended(server, made["room_name"])
        assert (lost.status, lost.ended_certainty) == (SessionStatus.FAILED, Provenance.INFERRED)
        assert room(server, made["room_name"]) is None
        assert (await server.http.get("/api/ready")).status_code == 200
        assert (await server.create())["status"] == "created"


async def test_what_happened_while_we_were_down_is_found_and_marked_inferred(
    start_livekit: StartLiveKit, tmp_path: Path, join_room: People
) -> None:
    livekit = start_livekit()  # without webhooks: LiveKit would deliver some of them later
    settings = settings_for(livekit, tmp_path / "data")
    async with open_api(settings) as server:
        ends = await server.create()
        stays = await server.create()
        await join_room(livekit.target, stays["room_name"], "ann")
        assert await people_in(server, stays["room_name"]) == 1
    async with open_api(settings_for(livekit, tmp_path / "other")) as other:
        await other.runtime.acall(lambda: other.runtime.livekit.end_room(ends["room_name"]))
        await other.runtime.acall(
            lambda: other.runtime.livekit.create_room(RoomOptions(name="meanwhile"))
        )
    await join_room(livekit.target, stays["room_name"], "bob")
    async with open_api(settings) as server:
        gone = await until_ended(server, ends["room_name"])
        assert gone.ended_certainty is Provenance.INFERRED
        assert "not running" in gone.end_reason
        await eventually(lambda: (found := room(server, stays["room_name"])) and found.people == 2)
        going_on = await session_in(server, stays["room_name"])
        assert going_on is not None
        assert going_on.id == stays["session_id"]
        assert going_on.status is SessionStatus.ACTIVE
        bob = next(e for e in await events_in(server, stays["room_name"]) if e.identity == "bob")
        assert (bob.source, bob.certainty) == (Source.POLL, Provenance.INFERRED)

        async def adopted() -> bool:
            found = await session_in(server, "meanwhile")
            return found is not None and found.created_certainty is Provenance.INFERRED

        await eventually(adopted)


async def test_a_dashboard_killed_with_nine_comes_back_and_makes_up_for_it(
    mortal_control_room: ControlRoom,
) -> None:
    dashboard = mortal_control_room.dashboard
    async with httpx.AsyncClient(base_url=mortal_control_room.url, timeout=20) as http:
        body = {"user_id": "nate", "agent_id": "pm-agent", "session_duration_hours": 2}
        brief = {**body, "session_duration_hours": 1.0 / 3600}
        lost = (await http.post("/api/voice/session", json=body)).json()
        short = (await http.post("/api/voice/session", json=brief)).json()
    dashboard.kill()
    async with open_api(
        settings_for(mortal_control_room.livekit, dashboard.data_dir.with_name("other"))
    ) as other:
        await other.runtime.acall(lambda: other.runtime.livekit.end_room(lost["room_name"]))
    await asyncio.to_thread(dashboard.start)
    async with httpx.AsyncClient(base_url=mortal_control_room.url, timeout=20) as http:

        async def read(session_id: str) -> dict[str, Any]:
            found: dict[str, Any] = (await http.get(f"/api/voice/session/{session_id}")).json()
            return found

        async def both_over() -> bool:
            return {
                (await read(lost["session_id"]))["status"],
                (await read(short["session_id"]))["status"],
            } == {"ended", "expired"}

        await eventually(both_over, within_s=10)
        found = await read(lost["session_id"])
        assert found["status"] == "ended"  # LiveKit tries its webhook again for half a minute
        assert found["ended_certainty"] in {"inferred", "observed"}
        rooms = (await http.get("/api/rooms")).json()["rooms"]
        assert short["room_name"] not in [row["name"] for row in rooms]


async def test_ten_sessions_made_while_the_first_poll_is_under_way_are_not_taken_for_ended(
    wired: Wired,
) -> None:
    async with wired.api(switchboard_poll_interval_s=NO_POLLS) as server:
        made = await asyncio.gather(*(server.create() for _ in range(10)))
        await eventually(lambda: server.runtime.rooms.polls >= 1)
        for one in made:
            assert (await server.session(one["session_id"]))["status"] == "created"


async def test_a_room_that_somebody_opens_is_read_from_livekit_now(
    wired: Wired, join_room: People
) -> None:
    async with wired.api(switchboard_poll_interval_s=NO_POLLS) as server:
        made = await server.create()
        await join_room(wired.target, made["room_name"], "ann", attributes={"tier": "gold"})
        rooms = server.runtime.rooms
        view = await server.runtime.acall(lambda: rooms.refresh(made["room_name"]))
        assert [p.attributes.get("tier") for p in view.participants] == ["gold"]
        assert view.dispatches is not None
        assert "pm-agent" in [dispatch.agent_name for dispatch in view.dispatches]


@pytest.mark.parametrize("kind", ["kept", "removed"])
async def test_the_rows_of_the_api_follow_the_picture(wired: Wired, kind: str) -> None:
    async with wired.api(switchboard_poll_interval_s=NO_POLLS) as server:
        made = await server.create()
        await eventually(lambda: room(server, made["room_name"]))
        if kind == "removed":
            await server.http.delete(f"/api/rooms/{made['room_name']}")
        rows = (await server.http.get("/api/rooms")).json()["rooms"]
        assert (made["room_name"] in [row["name"] for row in rows]) == (kind == "kept")
