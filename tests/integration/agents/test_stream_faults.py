"""Agents' streams while a process, the database or a job fails: what was acknowledged is kept, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from pydantic import SecretStr

from services.clock import rfc3339, utc_now
from services.store.agent_records import CommandStatus
from switchboard_recorder.protocol import (
    STREAM_PATH,
    Ack,
    Action,
    Events,
    Hello,
    Record,
    Welcome,
    encode,
)
from tests.conftest import StartDashboard, StartLiveKit
from tests.support.api_server import ApiServer, Wired
from tests.support.callers import person
from tests.support.job_stream import JobStream, open_stream, stream_token
from tests.support.postgres import PostgresServer
from tests.support.sqlite_lock import locked
from tests.support.waiting import eventually

_LOST = (ConnectionError, aiohttp.ClientError, TimeoutError)


async def numbers(http: httpx.AsyncClient, session_id: str) -> list[int]:
    """The `n` of every kept custom event, in the order of writing."""
    found: list[int] = []
    after: int | None = 0
    while after is not None:
        where = f"/api/voice/session/{session_id}/events?kinds=custom&after={after}"
        reply = await http.get(where)
        assert reply.status_code == 200, reply.text
        found += [event["data"]["n"] for event in reply.json()["events"]]
        after = reply.json()["next_after"]
    return found


class Talker:
    """A job that numbers its events and sends again what was not acknowledged, as a recorder does."""

    def __init__(self, stream_id: str) -> None:
        self.stream_id = stream_id
        self.acked = 0
        self.made: list[Record] = []

    async def talk(self, job: JobStream, count: int) -> None:
        """Send what is left, then new ones until there are `count`."""
        self.acked = max(self.acked, (await job.wait_for(Welcome)).acked)
        while self.acked < count:
            while len(self.made) < min(count, self.acked + 5):
                job._next_seq = len(self.made) + 1
                self.made.append(job.record("custom", n=len(self.made) + 1))
            batch = self.made[self.acked : self.acked + 5]
            await job.send(*batch)
            self.acked = batch[-1].seq


async def test_a_dashboard_killed_in_mid_stream_keeps_what_it_acknowledged_and_doubles_nothing(
    start_livekit: StartLiveKit, start_dashboard: StartDashboard
) -> None:
    livekit = start_livekit()
    dashboard = start_dashboard(livekit=livekit)
    talker = Talker("str_talk")
    async with httpx.AsyncClient(base_url=dashboard.url, timeout=20) as http:
        reply = await http.post(
            "/api/voice/session", json={"user_id": "nate", "agent_id": "pm-agent"}
        )
        assert reply.status_code == 201, reply.text
        made = reply.json()
        args = (dashboard.url, livekit.target, made["room_name"])
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with open_stream(*args, token="not-a-token"):
                pass
        assert refused.value.status == 401

        async def until_lost() -> None:
            with suppress(*_LOST):
                async with open_stream(*args, stream_id=talker.stream_id) as job:
                    await talker.talk(job, 100_000)

        talking = asyncio.create_task(until_lost())
        await eventually(lambda: talker.acked > 200, within_s=20)
        await asyncio.to_thread(dashboard.kill)
        await talking
        safe = talker.acked
        await asyncio.to_thread(dashboard.start)
        async with open_stream(*args, stream_id=talker.stream_id) as job:
            assert (await job.wait_for(Welcome)).acked >= safe
            await talker.talk(job, safe + 100)
            await job.bye()
        assert await numbers(http, made["session_id"]) == list(range(1, safe + 101))


async def not_acknowledged(job: JobStream, seq: int) -> None:
    """The database is away for two seconds; nothing may say meanwhile that the event is safe."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await job.wait_for(Ack, lambda ack: ack.seq >= seq)


async def test_an_event_is_acknowledged_only_after_a_locked_database_has_taken_it(
    wired: Wired, tmp_path: Path, sqlite_url: str
) -> None:
    url = f"http://127.0.0.1:{wired.port}"
    given = {"database_url": SecretStr(sqlite_url), "switchboard_store_timeout_s": 0.5}
    async with wired.api(**given) as server:
        made = await server.create()
        async with open_stream(url, wired.target, made["room_name"]) as job:
            await job.tell("custom", n=1)
            with locked(tmp_path / "switchboard.db"):
                await job.say(Events(events=(job.record("custom", n=2),)))
                await not_acknowledged(job, 2)
                assert server.runtime.store.log.waiting < 10  # not queued again and again
            await job.wait_for(Ack, lambda ack: ack.seq == 2)
            await job.tell("custom", n=3)
        assert await numbers(server.http, made["session_id"]) == [1, 2, 3]


async def test_a_postgresql_that_dies_and_comes_back_loses_nothing_of_a_stream(
    wired: Wired, restartable_postgres: PostgresServer
) -> None:
    url = f"http://127.0.0.1:{wired.port}"
    name = restartable_postgres.new_database()
    given = {
        "database_url": SecretStr(restartable_postgres.url(name)),
        "switchboard_store_timeout_s": 0.5,
    }
    async with wired.api(**given) as server:
        made = await server.create()
        async with open_stream(url, wired.target, made["room_name"]) as job:
            await job.tell("custom", n=1)
            restartable_postgres.kill()
            await job.say(Events(events=(job.record("custom", n=2),)))
            await not_acknowledged(job, 2)
            await asyncio.to_thread(restartable_postgres.start)
            await job.wait_for(Ack, lambda ack: ack.seq == 2)
            await job.tell("custom", n=3)

        async def all_there() -> bool:
            return await numbers(server.http, made["session_id"]) == [1, 2, 3]

        await eventually(all_there, within_s=10)


# -- jobs that misbehave


@pytest.fixture
async def server(wired: Wired) -> AsyncIterator[ApiServer]:
    async with wired.api() as opened:
        yield opened


async def test_a_job_that_never_reads_holds_nobody_else_up(server: ApiServer, wired: Wired) -> None:
    url = f"http://127.0.0.1:{wired.port}"
    made, other = await server.create(), await server.create()
    token = stream_token(wired.target, "str_deaf", made["room_name"])
    headers = {"Authorization": f"Bearer {token}"}
    jobs = server.runtime.jobs
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}{STREAM_PATH}", headers=headers) as deaf,
    ):
        hello = Hello(
            stream_id="str_deaf", room_name=made["room_name"], actions=(Action.SAY.value,)
        )
        await deaf.send_str(encode(hello))
        await eventually(lambda: jobs.streams.is_open("str_deaf"))
        text = "x" * 30_000
        for _ in range(400):  # 12 MB: more than all buffers on the way take
            await server.runtime.acall(
                lambda: jobs.commands.send(
                    made["session_id"], Action.SAY, {"text": text}, actor=person("ana"), wait_s=0
                )
            )
        async with open_stream(url, wired.target, other["room_name"]) as job:
            async with asyncio.timeout(2):
                for n in range(20):
                    await job.tell("custom", n=n)
        stream = jobs.streams.of_session(made["session_id"])
        assert stream is not None
        assert len(stream.outbox._waiting) <= 400
    await eventually(lambda: not jobs.streams.is_open("str_deaf"))


async def test_an_event_that_no_database_takes_is_cut_or_replaced_and_holds_up_none_behind_it(
    wired: Wired, store_url: str
) -> None:
    url = f"http://127.0.0.1:{wired.port}"
    deep: Any = "end"
    for _ in range(400):
        deep = [deep]
    odd = [
        '{"seq": 1, "kind": "custom", "at": "NOW", "data": {"x": 1e999}}',
        '{"seq": 2, "kind": "custom", "at": "NOW", "data": {"x": NaN}}',
        json.dumps({"seq": 3, "kind": "custom", "at": "NOW", "data": {"d": deep}}),
        '{"seq": 4, "kind": "custom", "at": "NOW", "data": {"x": "a\\u0000b\\ud800"}}',
        json.dumps(
            {
                "seq": 5,
                "kind": "interrupt_raised",
                "at": "NOW",
                "data": {"interrupt_id": "i" * 300, "value": None},
            }
        ),
        '{"seq": 6, "kind": "conversation_item_added", "at": "0001-01-01T00:00:00Z", "data": '
        '{"role": "user", "text": "x", "metrics": {"end_of_turn_delay": 1' + "0" * 400 + "}}}",
        json.dumps(
            {
                "seq": 7,
                "kind": "custom",
                "at": "NOW",
                "data": {"x": "y" * 200_000},
            }
        ),
        '{"seq": 8, "kind": "custom", "at": "NOW", "data": {"last": true}}',
    ]
    odd = [record.replace("NOW", rfc3339(utc_now())) for record in odd]
    async with wired.api(database_url=SecretStr(store_url)) as server:
        made = await server.create()
        long: dict[str, Any] = {
            "job_id": "j" * 500,
            "recorder": "r" * 500,
            "host": "h" * 500,
            "pid": 2**40,
        }
        async with open_stream(url, wired.target, made["room_name"], **long) as job:
            for record in odd:
                await job.socket.send_str(f'{{"type": "events", "events": [{record}]}}')
            await job.wait_for(Ack, lambda ack: ack.seq == 8)
        reply = await server.http.get(f"/api/voice/session/{made['session_id']}/events")
        told = {
            e["id"].rpartition(":")[2]: e for e in reply.json()["events"] if e["id"][:4] == "str_"
        }
        assert sorted(told) == list("12345678")
        assert (told["1"]["data"], told["2"]["data"]) == ({"x": None}, {"x": None})
        assert told["6"]["data"]["altered"] == {
            "at": "0001-01-01T00:00:00Z",
            "metrics.end_of_turn_delay": "int",
        }
        assert told["7"]["data"] == {"altered": {"x": "200,005 bytes"}}
        assert told["8"]["data"] == {"last": True}


async def test_frames_that_are_not_of_the_protocol_close_their_own_stream_alone(
    server: ApiServer, wired: Wired
) -> None:
    url = f"http://127.0.0.1:{wired.port}"
    made = await server.create()
    frames: list[str | bytes] = [
        b"binary",
        "not json",
        '{"type": "events"}',
        '{"type": "events", "events": [{"seq": 1, "kind": "custom", "at": "yesterday"}]}',
        '{"type": "bye", "last_seq": 5}',
        encode(Events(events=tuple(_custom(n) for n in range(1, 300)))),
    ]
    async with open_stream(url, wired.target, made["room_name"], stream_id="str_good") as good:
        for frame in frames:
            async with open_stream(url, wired.target, made["room_name"]) as job:
                if isinstance(frame, bytes):
                    await job.socket.send_bytes(frame)
                else:
                    await job.socket.send_str(frame)
                await eventually(lambda job=job: job.socket.closed)  # type: ignore[misc]
        await good.tell("custom", n=1)
    assert await numbers(server.http, made["session_id"]) == [1]


def _custom(seq: int) -> Record:
    return Record(seq=seq, kind="custom", at=datetime.now(UTC), data={"n": seq})


async def test_a_command_that_waits_for_its_answer_is_told_of_it_when_it_comes(
    server: ApiServer, wired: Wired
) -> None:
    url = f"http://127.0.0.1:{wired.port}"
    made = await server.create()
    where = f"/api/voice/session/{made['session_id']}/commands"
    body = '{"action": "say", "args": {"text": "hi", "odd": NaN}}'
    async with open_stream(url, wired.target, made["room_name"]) as job:
        headers = {"content-type": "application/json"}
        asking = asyncio.create_task(server.http.post(where, content=body, headers=headers))
        command = await job.command(Action.SAY)
        assert command.args == {"text": "hi", "odd": None}
        await job.tell(
            "command_completed", command_id=command.command_id, outcome="refused", detail="x"
        )
        reply = (await asking).json()
    assert (reply["status"], reply["detail"]) == (CommandStatus.REFUSED.value, "x")
