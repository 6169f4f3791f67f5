"""The test bed's real parts: each comes up, can be killed, and comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from livekit import api
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.conftest import StartLiveKit
from tests.support.http import http_status
from tests.support.livekit_server import LiveKitServer
from tests.support.participants import ParticipantError, People
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.processes import Child
from tests.support.waiting import eventually
from tests.support.webhook_inbox import WebhookInbox

ROOT = Path(__file__).parents[3]


async def test_participants_hear_and_message_each_other(
    livekit_server: LiveKitServer, webhook_inbox: WebhookInbox, join_room: People
) -> None:
    caller = await join_room(livekit_server.target, "bed-talk", "caller", metadata="m")
    other = await join_room(livekit_server.target, "bed-talk", "other", audio=False)

    async def other_hears_caller() -> bool:
        return (await other.seen()).hears == ("caller",)

    await eventually(other_hears_caller)
    await caller.say("hello", topic="greeting")

    async def greeting() -> object:
        return [(m.topic, m.text, m.sender) for m in (await other.seen()).data]

    assert await eventually(greeting) == [("greeting", "hello", "caller")]
    await eventually(lambda: webhook_inbox.find("bed-talk", "track_published"))
    started = webhook_inbox.of("bed-talk")[0]
    assert started.event == "room_started"
    assert started.content_type == "application/webhook+json"
    verifier = api.TokenVerifier(livekit_server.api_key, livekit_server.api_secret)
    event = api.WebhookReceiver(verifier).receive(started.body.decode(), started.authorization)
    assert event.room.name == "bed-talk"


async def test_a_participant_with_a_bad_token_is_refused(
    livekit_server: LiveKitServer, join_room: People
) -> None:
    with pytest.raises(ParticipantError, match="401"):
        await join_room(livekit_server.target, "bed-refused", token="not-a-token")


async def test_participants_of_a_killed_process_disappear_without_a_goodbye(
    livekit_server: LiveKitServer, join_room: People, mortal_people: People
) -> None:
    stays = await join_room(livekit_server.target, "bed-mortal", "stays", audio=False)
    await mortal_people(livekit_server.target, "bed-mortal", "dies", audio=False)

    async def both_are_there() -> bool:
        return (await stays.seen()).people == ("dies",)

    await eventually(both_are_there)
    mortal_people.kill()
    assert await both_are_there(), "somebody has said good-bye"


async def test_a_killed_livekit_server_comes_back_on_its_port(
    restartable_livekit: LiveKitServer, join_room: People
) -> None:
    server = restartable_livekit
    server.kill()
    with pytest.raises(OSError, match="refused"):
        http_status(server.url)
    server.start()
    person = await join_room(server.target, "bed-back", audio=False)
    assert (await person.seen()).connected


async def test_servers_that_run_side_by_side_do_not_disturb_each_other(
    livekit_server: LiveKitServer, start_livekit: StartLiveKit, join_room: People
) -> None:
    other = start_livekit()
    here = await join_room(livekit_server.target, "bed-two", "here", audio=False)
    there = await join_room(other.target, "bed-two", "there", audio=False)
    assert (await here.seen()).people == (await there.seen()).people == ()


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_has_an_empty_database(store_url: str, turn: int) -> None:
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    url = make_url(store_url)
    engine = create_async_engine(url.set(drivername=drivers[url.drivername]))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE made_in_each_turn (x INTEGER)"))
    await engine.dispose()


async def test_a_killed_postgres_keeps_what_was_committed(
    restartable_postgres: PostgresServer,
) -> None:
    server = restartable_postgres
    name = server.new_database()
    server.run("CREATE TABLE kept AS SELECT 1 AS x", database=name)
    server.kill()
    server.start()
    assert server.run("SELECT x FROM kept", database=name) == "1"


def test_nothing_is_left_behind_when_the_tests_are_killed(tmp_path: Path) -> None:
    port = free_port()
    script = f"""
import sys, time
from pathlib import Path
from tests.support.processes import Child
child = Child("web", [sys.executable, "-m", "http.server", "{port}"], log=Path("{tmp_path}/web.log"))
child.start()
print(child.pid, flush=True)
time.sleep(60)
"""
    tests = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with tests:
        assert tests.stdout is not None
        web = psutil.Process(int(tests.stdout.readline()))
        os.kill(tests.pid, signal.SIGKILL)
    assert web.wait(5) is None


def test_a_program_is_told_from_a_stranger_on_its_port(tmp_path: Path) -> None:
    port = free_port()
    web = Child("web", [sys.executable, "-m", "http.server", str(port)], log=tmp_path / "web.log")
    other = Child("other", [sys.executable, "-c", "input()"], log=tmp_path / "other.log")
    web.start()
    other.start()
    web.wait_ready(
        lambda: http_status(f"http://127.0.0.1:{port}"), within_s=10, ignoring=(OSError,)
    )
    assert web.listens_on(port)
    assert not other.listens_on(port)
    web.stop()
    other.stop()
