"""The agents' worker, started and watched by us: it joins, answers by its graph, and is recorded."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.pm_agent.tickets import FILE
from services.agents.text_chat import TextChat
from services.events import Kind
from services.processes.worker import WorkerPhase
from services.scripts.api import open_api
from services.scripts.result import as_text
from services.scripts.run import run
from services.scripts.script import Expectation, Line, parse, read
from services.settings import PROJECT_DIR, Settings
from services.store.agent_records import AgentJobStatus
from tests.support.api_server import ApiServer, Wired
from tests.support.callers import person
from tests.support.waiting import eventually

START_S = 60.0


# One worker serves them all, on one loop; the test that kills it has it back at its end.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(wired_for_all: Wired) -> AsyncIterator[ApiServer]:
    async with wired_for_all.api(switchboard_worker="on") as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def server(opened: ApiServer) -> ApiServer:
    await ready(opened)
    return opened


async def ready(server: ApiServer) -> None:
    def so() -> bool:
        worker = server.runtime.worker
        return worker is not None and worker.state.phase is WorkerPhase.READY

    await eventually(so, within_s=START_S)


async def start(server: ApiServer, agent: str) -> TextChat:
    chats = server.runtime.chats
    return await server.runtime.acall(
        lambda: chats.start(agent, user_id="nate", actor=person("test")), timeout_s=20
    )


async def said(server: ApiServer, chat: TextChat, count: int, within_s: float = 15) -> list[str]:
    """What the agent has said, once it is `count` lines."""

    def so() -> object:
        lines = [x.text for x in server.runtime.chats.get(chat.session_id).lines if x.by == "agent"]
        return lines if len(lines) >= count else None

    await eventually(so, within_s=within_s)
    found = so()
    assert isinstance(found, list)
    return found


async def heard(server: ApiServer, chat: TextChat, text: str, within_s: float = 15) -> None:
    """Wait until the agent has said that; its text comes in pieces."""

    def so() -> bool:
        lines = server.runtime.chats.get(chat.session_id).lines
        return any(line.by == "agent" and text in line.text for line in lines)

    await eventually(so, within_s=within_s)


async def write(server: ApiServer, chat: TextChat, text: str) -> None:
    chats = server.runtime.chats
    await server.runtime.acall(lambda: chats.write(chat.session_id, text, actor=person("test")))


async def end(server: ApiServer, chat: TextChat) -> None:
    chats = server.runtime.chats
    await server.runtime.acall(lambda: chats.end(chat.session_id, actor=person("test")))


async def kinds(server: ApiServer, chat: TextChat) -> list[Kind]:
    store = server.runtime.store
    found = await server.runtime.acall(lambda: store.events(session_id=chat.session_id))
    return [one.event.kind for one in found]


async def test_a_text_session_is_greeted_answered_recorded_and_ended_by_its_agent(
    server: ApiServer,
) -> None:
    chat = await start(server, "echo")
    await heard(server, chat, "Hello, this is echo. Say something.")
    await write(server, chat, "one two")
    await heard(server, chat, "You said: one two")
    await write(server, chat, "bye")
    await heard(server, chat, "Good-bye.")
    assert len(await said(server, chat, 3)) == 3
    await eventually(lambda: server.runtime.chats.get(chat.session_id).over, within_s=10)

    async def left() -> bool:
        store = server.runtime.store
        jobs = await server.runtime.acall(lambda: store.agents.jobs_of(chat.session_id))
        return [job.status for job in jobs] == [AgentJobStatus.LEFT]

    await eventually(left)
    told = await kinds(server, chat)
    for kind in (Kind.JOB_STARTED, Kind.GRAPH_DESCRIBED, Kind.NODE_STARTED, Kind.NODE_FINISHED,
                 Kind.CHECKPOINT_SAVED, Kind.MESSAGE, Kind.AGENT_STATE, Kind.REPORT, Kind.JOB_ENDED):  # fmt: skip
        assert kind in told, kind
    assert told.count(Kind.RUN_FINISHED) == 3
    assert (await server.session(chat.session_id))["status"] == "ended"


async def test_a_killed_job_is_replaced_and_the_conversation_goes_on(server: ApiServer) -> None:
    chat = await start(server, "echo")
    await said(server, chat, 1)
    await write(server, chat, "remember me")
    await said(server, chat, 2)
    os.kill(await job_pid(server, chat), signal.SIGKILL)

    def goes_on() -> bool:
        later = [x.text for x in server.runtime.chats.get(chat.session_id).lines[3:]]
        return "cut off" in " ".join(later) and "You said: remember me" in " ".join(later)

    await eventually(goes_on, within_s=40)
    lines = await said(server, chat, 3)
    await write(server, chat, "still there")
    await heard(server, chat, "You said: still there")
    assert len(await said(server, chat, 3)) > len(lines)
    assert (await kinds(server, chat)).count(Kind.AGENT_REDISPATCHED) == 1
    await end(server, chat)


async def job_pid(server: ApiServer, chat: TextChat) -> int:
    stream = server.runtime.jobs.streams.of_session(chat.session_id)
    assert stream is not None
    return stream.hello.pid


async def test_a_killed_worker_is_started_again_and_its_sessions_go_on(server: ApiServer) -> None:
    worker = server.runtime.worker
    assert worker is not None
    chat = await start(server, "echo")
    await said(server, chat, 1)
    before, restarts = worker.state.pid, worker.state.restarts
    assert before is not None
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: worker.state.restarts == restarts + 1, within_s=10)
    await ready(server)
    assert worker.state.pid != before
    await heard(server, chat, "cut off", within_s=30)
    await end(server, chat)


async def test_commands_reach_the_agent(server: ApiServer) -> None:
    chat = await start(server, "echo")
    await said(server, chat, 1)
    where = f"/api/voice/session/{chat.session_id}/commands"

    async def command(action: str, **args: Any) -> str:
        reply = await server.http.post(where, json={"action": action, "args": args})
        assert reply.status_code == 202, reply.text
        return str(reply.json()["status"])

    assert await command("say", text="A word from above.") == "done"
    await heard(server, chat, "A word from above.")
    assert await command("say") == "refused"
    assert await command("resume") == "refused"
    assert await command("pause") == "done"
    await write(server, chat, "nobody listens")
    await asyncio.sleep(1)  # it goes by the room, the command by its own socket; nobody answers it
    assert await command("resume") == "done"
    assert "nobody listens" not in " ".join(await said(server, chat, 3))
    assert await command("end_session", reason="enough", text="That is all.") == "done"
    await eventually(lambda: server.runtime.chats.get(chat.session_id).over, within_s=15)
    await heard(server, chat, "That is all.")


async def test_the_scripts_in_text_that_ship_pass_and_a_wrong_expectation_does_not(
    server: ApiServer, wired_for_all: Wired
) -> None:
    scripts = [
        script for script in read([Settings().switchboard_scripts_dir]) if script.mode == "text"
    ]
    wrong = replace(
        scripts[0],
        lines=(Line(expect=Expectation(contains=("a thing that nobody says",)), within_s=2),),
    )
    async with open_api(f"http://127.0.0.1:{wired_for_all.port}") as api:
        results = [await run(script, api) for script in (*scripts, wrong)]
    *good, bad = results
    assert [result.passed for result in good] == [True] * 3, as_text(good)
    assert not bad.passed
    assert "doesn't contain 'a thing that nobody says'" in bad.lines[0].problems[0]
    for result in results:
        assert (await server.session(result.session_id))["status"] == "ended"
    said = [line for result in good for line in result.lines if line.said]
    assert all(line.latency_ms is not None and 0 < line.latency_ms < 5_000 for line in said)


async def test_a_session_made_a_test_passes_until_its_graph_answers_otherwise(
    server: ApiServer, wired_for_all: Wired, tmp_path: Path
) -> None:
    folder = Settings().switchboard_scripts_dir
    (wired_for_all.data_dir / FILE).unlink(missing_ok=True)  # a replay counts tickets from one
    async with open_api(f"http://127.0.0.1:{wired_for_all.port}") as api:
        results = [
            await run(script, api)
            for script in read([folder / "stand-up.yaml", folder / "declined.yaml"])
        ]
    for result in results:
        where = f"/api/voice/session/{result.session_id}/export"
        reply = await server.http.get(where, params={"format": "pytest"})
        assert reply.status_code == 200, reply.text
        name = f"test_{result.session_id}.py"
        assert name in reply.headers["content-disposition"]
        (tmp_path / name).write_text(reply.text, encoding="utf-8")
    approved = (tmp_path / f"test_{results[0].session_id}.py").read_text(encoding="utf-8")
    assert approved.count("path=") == approved.count("answer=") == 5, approved
    wrong = approved.replace("hear > ask", "hear > explain", 1)
    (tmp_path / "test_wrong.py").write_text(wrong, encoding="utf-8")

    told = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(tmp_path)],
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "1 failed, 2 passed" in told.stdout, told.stdout
    assert "Turn 2 of 5, 'Yesterday I finished the login page.'" in told.stdout
    assert "its path was 'hear > explain', now it is 'hear > ask'" in told.stdout


async def test_a_script_for_an_agent_that_is_not_there_says_so(
    opened: ApiServer, wired_for_all: Wired
) -> None:
    script = parse("name: x\nagent: nobody\nlines: [{}]")
    async with open_api(f"http://127.0.0.1:{wired_for_all.port}") as api:
        result = await run(script, api)
    assert not result.passed
    assert "nobody" in result.error
