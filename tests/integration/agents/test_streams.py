"""Agents' streams: each event once and in order, its commands, and who may not speak there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from services.agents.session_feed import session_topic
from services.errors import ConflictError
from services.events import Kind
from services.store.agent_records import AgentJobStatus, CommandStatus, InterruptStatus
from switchboard_recorder.protocol import Ack, Action, Events, Refusal, Welcome
from tests.support.api_server import ApiServer, Wired
from tests.support.callers import person
from tests.support.job_stream import JobStream, open_stream, stream_token
from tests.support.waiting import eventually


@pytest.fixture
async def server(wired: Wired, any_store_url: str) -> AsyncIterator[ApiServer]:
    async with wired.api(database_url=SecretStr(any_store_url)) as opened:
        yield opened


@pytest.fixture
async def server_on_both(wired: Wired, store_url: str) -> AsyncIterator[ApiServer]:
    """For what a database decides: who comes first, and what is committed."""
    async with wired.api(database_url=SecretStr(store_url)) as opened:
        yield opened


@pytest.fixture
def url(wired: Wired) -> str:
    return f"http://127.0.0.1:{wired.port}"


async def kept(server: ApiServer, session_id: str) -> list[tuple[str, dict[str, Any]]]:
    """What the API tells of a session's agent, in the order of writing."""
    reply = await server.http.get(f"/api/voice/session/{session_id}/events?limit=500")
    assert reply.status_code == 200, reply.text
    return [(e["kind"], e["data"]) for e in reply.json()["events"] if e["source"] == "agent"]


async def test_events_are_kept_once_and_in_order_over_reconnects(
    server_on_both: ApiServer, wired: Wired, url: str
) -> None:
    server = server_on_both
    made = await server.create()
    room = made["room_name"]
    async with open_stream(url, wired.target, room, stream_id="str_a") as job:
        await job.send(*(job.record("node_started", node=str(n)) for n in range(3)))
        await job.say(Events(events=(job.record("node_finished", node="3"),)))
    async with open_stream(url, wired.target, room, stream_id="str_a") as job:
        acked = (await job.wait_for(Welcome)).acked
        assert acked in {3, 4}  # the last one may have been committed as the socket closed
        again = [job.record("node_started", node=str(n)) for n in range(3)]
        again.append(job.record("node_finished", node="3"))
        again.append(job.record("custom", last=True))
        await job.send(*again)
    told = await kept(server, made["session_id"])
    assert [kind for kind, _ in told] == [*["node_started"] * 3, "node_finished", "custom"]
    assert [data.get("node") for _, data in told] == ["0", "1", "2", "3", None]


async def test_a_gap_is_refused_and_the_job_sends_again_from_what_is_safe(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    async with open_stream(url, wired.target, made["room_name"], stream_id="str_g") as job:
        first, second, third = (job.record("custom", n=n) for n in (1, 2, 3))
        await job.send(first)
        await job.say(Events(events=(third,)))
        refusal = await job.wait_for(Refusal)
        assert (refusal.code, refusal.again) == ("stream_gap", True)
    async with open_stream(url, wired.target, made["room_name"], stream_id="str_g") as job:
        assert (await job.wait_for(Welcome)).acked == 1
        await job.send(second, third)
    assert [data["n"] for _, data in await kept(server, made["session_id"])] == [1, 2, 3]


async def test_a_kind_that_is_not_the_agents_to_tell_or_is_unknown_is_kept_as_other(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    async with open_stream(url, wired.target, made["room_name"]) as job:
        await job.tell("room_finished", reason="forged")
        await job.tell("from_the_future", x=1)
    kinds = [(kind, data["kind"]) for kind, data in await kept(server, made["session_id"])]
    assert kinds == [
        ("unknown_agent_event", "room_finished"),
        ("unknown_agent_event", "from_the_future"),
    ]
    assert (await server.session(made["session_id"]))["status"] == "created"


async def test_a_token_that_is_not_for_this_is_refused_before_the_socket_opens(
    server: ApiServer, wired: Wired, url: str, subtests: pytest.Subtests
) -> None:
    made = await server.create()
    wrong: dict[str, dict[str, Any]] = {
        "audience": {"aud": "another"},
        "expired": {"exp": 1},
        "too long": {"exp": int(time.time()) + 7_200},
        "issuer": {"iss": "APIother"},
        "no room": {"room": None},
        "no stream": {"sub": None},
    }
    for what, claims in wrong.items():
        with subtests.test(what):
            token = stream_token(wired.target, "str_b", made["room_name"], **claims)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with open_stream(url, wired.target, made["room_name"], token=token):
                    pass
            assert refused.value.status == 401


async def test_a_forged_signature_and_another_rooms_session_are_refused(
    server: ApiServer, wired: Wired, url: str
) -> None:
    mine, other = await server.create(), await server.create()
    good = stream_token(wired.target, "str_c", mine["room_name"])
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with open_stream(url, wired.target, mine["room_name"], token=good[:-4] + "AAAA"):
            pass
    with pytest.raises(ConnectionError, match="permission_denied"):
        async with open_stream(
            url, wired.target, other["room_name"], stream_id="str_c", token=good
        ):
            pass
    with pytest.raises(ConnectionError, match="permission_denied"):
        async with open_stream(
            url, wired.target, mine["room_name"], session_id=other["session_id"]
        ):
            pass


async def asks(job: JobStream, interrupt_id: str = "i1") -> None:
    value = {"action_request": {"action": "create_tickets", "args": {"titles": ["Login"]}}}
    await job.tell("interrupt_raised", interrupt_id=interrupt_id, node="approve", value=value)


@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.full)])
async def test_of_two_who_answer_at_once_one_wins_each_time_and_the_other_is_told(
    server_on_both: ApiServer, wired: Wired, url: str, rounds: int
) -> None:
    server = server_on_both
    made = await server.create()
    session_id = made["session_id"]
    jobs = server.runtime.jobs
    async with open_stream(url, wired.target, made["room_name"]) as job:
        records = [
            job.record("interrupt_raised", interrupt_id=f"i{n}", node="approve", value={})
            for n in range(rounds)
        ]
        await job.send(*records)

        async def answer(n: int, actor: str) -> str:
            decision = {"type": "accept" if actor == "ana" else "ignore", "args": None}
            try:
                await server.runtime.acall(
                    lambda: jobs.commands.answer(
                        session_id, f"i{n}", decision, actor=person(actor), wait_s=0
                    )
                )
            except ConflictError as exc:
                return exc.message
            return actor

        for n in range(rounds):
            told = await asyncio.gather(answer(n, "ana"), answer(n, "ben"))
            winners = [who for who in told if who in {"ana", "ben"}]
            assert len(winners) == 1
            loser = next(text for text in told if text not in {"ana", "ben"})
            assert f"Already answered by {winners[0]} at" in loser
        await eventually(lambda: len(_resumes(job)) == rounds)
        await asyncio.sleep(0)  # nothing more may come
    assert len({c.args["interrupt_id"] for c in _resumes(job)}) == rounds


def _resumes(job: JobStream) -> list[Any]:
    return [m for m in job.heard if getattr(m, "action", "") == Action.ANSWER_INTERRUPT.value]


async def test_an_answer_that_the_agent_refuses_may_be_given_again(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    session_id = made["session_id"]
    store = server.runtime.store
    where = f"/api/voice/session/{session_id}/interrupts"
    async with open_stream(url, wired.target, made["room_name"]) as job:
        await asks(job)
        reply = asyncio.create_task(server.http.post(f"{where}/i1", json={"type": "accept"}))
        first = await job.command(Action.ANSWER_INTERRUPT)
        assert first.args == {
            "interrupt_id": "i1",
            "decision": {"type": "accept", "args": None},
        }
        await job.tell(
            "command_completed", command_id=first.command_id, outcome="failed", detail="broken"
        )
        assert (await reply).json()["status"] == "failed"
        (one,) = (await server.http.get(where)).json()
        assert one["status"] == "pending"
        job.heard.clear()
        reply = asyncio.create_task(server.http.post(f"{where}/i1", json={"type": "ignore"}))
        second = await job.command(Action.ANSWER_INTERRUPT)
        await job.tell("interrupt_resumed", interrupt_id="i1", command_id=second.command_id)
        await job.tell("command_completed", command_id=second.command_id, outcome="done")
        assert (await reply).json()["status"] == "done"
    (found,) = await server.runtime.acall(lambda: store.agents.interrupts_of(session_id))
    assert (found.status, found.answered_by) == (InterruptStatus.RESUMED, "api")
    again = await server.http.post(f"{where}/i1", json={"type": "accept"})
    assert again.status_code == 409
    assert "Already answered by api" in again.json()["detail"]


async def test_what_a_run_still_asks_waits_on_and_what_it_asks_no_more_is_gone(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    where = f"/api/voice/session/{made['session_id']}/interrupts"

    async def stands() -> dict[str, str]:
        return {i["interrupt_id"]: i["status"] for i in (await server.http.get(where)).json()}

    async with open_stream(url, wired.target, made["room_name"]) as job:
        await asks(job, "i1")
        await asks(job, "i2")
        await job.tell("run_finished", run="r1", ms=5, next=["approve"], interrupts=["i1"])
        assert await stands() == {"i1": "pending", "i2": "gone"}
        await job.tell("run_finished", run="r2", ms=5, next=[], interrupts=[])
        assert await stands() == {"i1": "gone", "i2": "gone"}
        await asks(job, "i1")  # the node failed after its answer, and asks the same again
        assert await stands() == {"i1": "pending", "i2": "gone"}


async def test_the_state_of_a_session_is_its_last_saved_one_and_what_it_waits_for(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    where = f"/api/voice/session/{made['session_id']}/state"
    before = (await server.http.get(where)).json()
    assert (before["values"], before["connected"], before["waiting"]) == (None, False, [])
    async with open_stream(url, wired.target, made["room_name"]) as job:
        await job.tell(
            "checkpoint_saved", step=1, checkpoint_id="c1", next=["plan"], values={"a": 1}
        )
        await job.tell(
            "checkpoint_saved", step=2, checkpoint_id="c2", next=["ask"], values={"a": 2}
        )
        await job.tell("agent_state_changed", old="listening", new="thinking")
        await asks(job)
        state = (await server.http.get(where)).json()
    assert (state["step"], state["next"], state["values"]) == (2, ["ask"], {"a": 2})
    assert (state["connected"], state["agent_state"]) == (True, "thinking")
    assert [one["interrupt_id"] for one in state["waiting"]] == ["i1"]
    missing = await server.http.get("/api/voice/session/ses_0/state")
    assert missing.status_code == 404


async def test_a_newer_socket_of_a_job_takes_over_and_the_older_one_is_closed(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    store = server.runtime.store
    async with (
        open_stream(url, wired.target, made["room_name"], stream_id="str_n") as older,
        open_stream(url, wired.target, made["room_name"], stream_id="str_n") as newer,
    ):
        await eventually(lambda: older.socket.closed)
        await newer.tell("custom", n=1)
        (job,) = await server.runtime.acall(lambda: store.agents.jobs_of(made["session_id"]))
        assert job.status is AgentJobStatus.CONNECTED
        assert len(server.runtime.jobs.streams.open_streams) == 1


async def test_a_command_waits_for_the_agent_to_connect_again(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    session_id = made["session_id"]
    jobs, store = server.runtime.jobs, server.runtime.store
    sent = await server.runtime.acall(
        lambda: jobs.commands.send(
            session_id, Action.SAY, {"text": "hello"}, actor=person("ana"), wait_s=0
        )
    )
    assert sent.status is CommandStatus.WAITING
    async with open_stream(url, wired.target, made["room_name"]) as job:
        command = await job.command(Action.SAY)
        assert (command.command_id, command.args, command.actor) == (
            sent.id,
            {"text": "hello"},
            "ana",
        )
        await job.tell("command_completed", command_id=command.command_id, outcome="done")
    done = await server.runtime.acall(lambda: store.agents.command(sent.id))
    assert done.status is CommandStatus.DONE


async def test_what_an_agent_cannot_do_is_refused_at_once(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    async with open_stream(url, wired.target, made["room_name"], actions=("say",)):
        reply = await server.http.post(
            f"/api/voice/session/{made['session_id']}/commands", json={"action": "pause"}
        )
    assert reply.status_code == 409
    assert "cannot pause" in reply.json()["detail"]


async def test_turns_are_folded_with_their_times_in_milliseconds(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    store = server.runtime.store
    async with open_stream(url, wired.target, made["room_name"]) as job:
        await job.tell("conversation_item_added", role="assistant", text="Hello.")
        await job.tell(
            "conversation_item_added",
            role="user",
            text="We are done.",
            metrics={"transcription_delay": 180.0, "end_of_turn_delay": 500.5},
        )
        await job.tell(
            "conversation_item_added",
            role="assistant",
            text="Great.",
            interrupted=True,
            metrics={"llm_node_ttft": 9, "tts_node_ttfb": 120.0, "e2e_latency": 640.0},
        )
    turns = await server.runtime.acall(lambda: store.agents.turns_of(made["session_id"]))
    assert [(t.number, t.user_text, t.agent_text) for t in turns] == [
        (1, "", "Hello."),
        (2, "We are done.", "Great."),
    ]
    second = turns[1]
    assert (second.transcription_ms, second.end_of_turn_ms) == (180.0, 500.5)
    assert (second.graph_ms, second.speech_ms, second.answer_ms) == (9.0, 120.0, 640.0)
    assert second.interrupted
    assert second.agent_name == "pm-agent"
    latency = await server.runtime.acall(lambda: server.runtime.jobs.latency("pm-agent"))
    assert (latency.count, latency.median_ms) == (1, 640.0)


async def test_a_good_bye_and_a_lost_socket_are_told_apart_within_a_second(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    store = server.runtime.store
    session_id = made["session_id"]

    async def statuses() -> list[AgentJobStatus]:
        jobs = await server.runtime.acall(lambda: store.agents.jobs_of(session_id))
        return [job.status for job in jobs]

    async with open_stream(url, wired.target, made["room_name"]) as job:
        assert await statuses() == [AgentJobStatus.CONNECTED]
        await job.bye("over")
    assert await statuses() == [AgentJobStatus.LEFT]
    began_s = time.monotonic()
    async with open_stream(url, wired.target, made["room_name"]):
        pass

    async def lost() -> bool:
        return AgentJobStatus.LOST in await statuses()

    await eventually(lost)
    assert time.monotonic() - began_s < 1.0


async def test_who_looks_at_a_session_sees_each_event_and_what_is_not_kept(
    server: ApiServer, wired: Wired, url: str
) -> None:
    made = await server.create()
    session_id = made["session_id"]
    hub = server.runtime.hub
    async with open_stream(url, wired.target, made["room_name"]) as job:
        await job.tell("node_started", node="plan")
        await job.live("user_input_transcribed", text="we are d")

        async def shown() -> bool:
            body = hub.snapshot(session_topic(session_id)).body
            return '"node":"plan"' in body and "we are d" in body

        await eventually(shown)
    assert all(kind != "user_input_transcribed" for kind, _ in await kept(server, session_id))


async def test_many_streams_at_once_and_one_that_never_reads(
    server_on_both: ApiServer, wired: Wired, url: str
) -> None:
    server = server_on_both
    made = [await server.create() for _ in range(5)]

    async def talk(n: int) -> None:
        async with open_stream(url, wired.target, made[n % 5]["room_name"]) as job:
            for _ in range(10):
                await job.send(*(job.record("custom", n=n) for _ in range(20)))

    deaf = stream_token(wired.target, "str_deaf", made[0]["room_name"])
    headers = {"Authorization": f"Bearer {deaf}"}
    async with aiohttp.ClientSession() as http:
        socket = await http.ws_connect(f"{url}/api/agents/stream", headers=headers)
        await asyncio.gather(*(talk(n) for n in range(20)))
        await socket.close()
    counts = [await server.runtime.acall(lambda m=m: _count(server, m)) for m in made]  # type: ignore[misc]
    assert counts == [800] * 5


async def _count(server: ApiServer, made: dict[str, Any]) -> int:
    store, count, after = server.runtime.store, 0, 0
    while found := await store.events(
        session_id=made["session_id"], after_seq=after, kinds=(Kind.CUSTOM,)
    ):
        count, after = count + len(found), found[-1].seq
    return count


async def test_an_acknowledgement_means_committed(
    server_on_both: ApiServer, wired: Wired, url: str
) -> None:
    server = server_on_both
    made = await server.create()
    async with open_stream(url, wired.target, made["room_name"]) as job:
        await job.say(Events(events=(job.record("custom"),)))
        await job.wait_for(Ack, lambda ack: ack.seq == 1)
        assert len(await kept(server, made["session_id"])) == 1
