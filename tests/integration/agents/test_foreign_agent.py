"""An agent that anybody could have written, with LiveKit's stock adapter and our one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from livekit import api

from services.agents.session_feed import session_topic
from services.events import Event, Kind, Source
from services.livekit.synthetic_participant import TextCaller
from services.settings import PROJECT_DIR, Settings
from services.store.records import Origin
from tests.support.api_server import ApiServer, Wired
from tests.support.participants import token_for
from tests.support.waiting import eventually

ROOM = "somebody-elses"
# Each job's process imports LangGraph anew: 3 s of CPU. One test is about that, the others are not.
NONE_IDLE = ("port=0)", "port=0, num_idle_processes=0)")
IN_A_THREAD = (
    "port=0)",
    "port=0, num_idle_processes=0, job_executor_type=JobExecutorType.THREAD)",
)


@pytest.fixture
def agent(wired: Wired, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The example in a folder of its own: of this project it has the recorder alone."""
    with started(wired, tmp_path, NONE_IDLE) as process:
        yield process


@contextmanager
def started(
    wired: Wired, tmp_path: Path, *changes: tuple[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    folder = tmp_path / "elsewhere"
    shutil.copytree(PROJECT_DIR / "docs" / "examples" / "foreign_agent", folder)
    text = (folder / "agent.py").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "agent.py").write_text(text, encoding="utf-8")
    shutil.copytree(PROJECT_DIR / "switchboard_recorder", folder / "site" / "switchboard_recorder")
    unset = {name.upper(): "" for name in Settings.model_fields}
    env = {
        **{name: value for name, value in os.environ.items() if name not in unset},
        **wired.livekit.env,
        "SWITCHBOARD_URL": f"http://127.0.0.1:{wired.port}",
        "SWITCHBOARD_SPOOL_DIR": str(tmp_path / "spool"),
        "PYTHONPATH": str(folder / "site"),
    }
    with (tmp_path / "agent.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "agent.py", "start"],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


async def ask_for_it(wired: Wired) -> None:
    target = wired.target
    async with api.LiveKitAPI(
        target.url, target.api_key, target.api_secret.get_secret_value()
    ) as lk:
        await lk.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(agent_name="opening-hours", room=ROOM)
        )


async def test_a_foreign_agent_is_seen_node_by_node_by_its_one_line(
    wired: Wired, agent: subprocess.Popen[bytes]
) -> None:
    async with wired.api() as server:
        log = Path(wired.data_dir.parent / "agent.log")
        await eventually(lambda: "registered worker" in log.read_text(), within_s=40)
        await ask_for_it(wired)
        lines: dict[str, str] = {}
        states: list[str] = []
        caller = TextCaller(heard=lines.__setitem__, state=states.append, left=lambda _: None)
        await caller.join(wired.target.public_url, token_for(wired.target, ROOM, "ana"))
        await eventually(lambda: server.runtime.jobs.streams.open_streams, within_s=20)
        (stream,) = server.runtime.jobs.streams.open_streams
        await eventually(lambda: _here(server), within_s=10)
        await eventually(lambda: "listening" in states, within_s=20)
        await caller.write("When are you open?")
        await eventually(
            lambda: "Nine to five, on weekdays." in " ".join(lines.values()), within_s=10
        )
        store = server.runtime.store

        async def told() -> set[Kind]:
            found = await server.runtime.acall(lambda: store.events(session_id=stream.session_id))
            return {one.event.kind for one in found}

        wanted = {
            Kind.JOB_STARTED,
            Kind.GRAPH_DESCRIBED,
            Kind.NODE_STARTED,
            Kind.NODE_FINISHED,
            Kind.MODEL_FINISHED,
            Kind.MESSAGE,
        }

        async def all_told() -> object:
            return wanted <= await told()

        await eventually(all_told, within_s=10)
        session = await server.runtime.acall(lambda: store.session(stream.session_id))
        assert (session.origin, session.room_name) == (Origin.ADOPTED, ROOM)
        turns = await server.runtime.acall(lambda: store.agents.turns_of(stream.session_id))
        assert [(t.user_text, t.agent_text) for t in turns if t.user_text] == [
            ("When are you open?", "Nine to five, on weekdays.")
        ]
        await caller.leave()


NO_RECORDER = [
    IN_A_THREAD,
    ("import Agent, AgentServer", "import Agent, JobExecutorType, AgentServer"),
    ("from switchboard_recorder import record\n", ""),
    ("    record(ctx, session)  # the one line\n", ""),
]
NO_HOST = ("await session.start(Agent", "await session.start(session_host=False, agent=Agent")


@pytest.mark.parametrize(("way", "changes"), [("session", []), ("text", [NO_HOST])])
async def test_an_agent_that_nobody_changed_is_heard_while_somebody_looks(
    wired: Wired, tmp_path: Path, way: str, changes: list[tuple[str, str]]
) -> None:
    target = wired.target
    with started(wired, tmp_path, *NO_RECORDER, *changes):
        async with wired.api() as server:
            log = tmp_path / "agent.log"
            await eventually(lambda: "registered worker" in log.read_text(), within_s=40)
            await ask_for_it(wired)
            lines: dict[str, str] = {}
            states: list[str] = []
            caller = TextCaller(heard=lines.__setitem__, state=states.append, left=lambda _: None)
            await caller.join(target.public_url, token_for(target, ROOM, "ana"))
            await eventually(lambda: "listening" in states, within_s=20)
            await caller.write("Hello there")
            await eventually(lambda: "Ask me when" in " ".join(lines.values()), within_s=10)
            session_id = await eventually(lambda: _session_id(server), within_s=10)
            store = server.runtime.store

            async def told(*kinds: Kind) -> list[Event]:
                found = await server.runtime.acall(
                    lambda: store.events(session_id=session_id, kinds=kinds)
                )
                return [one.event for one in found]

            assert await told(Kind.OBSERVER_JOINED, Kind.MESSAGE) == []  # nobody looks
            with hub_reader(server, session_topic(session_id)):
                joined = await eventually(lambda: told(Kind.OBSERVER_JOINED), within_s=20)
                assert joined[0].data == {"way": way}
                await caller.write("When are you open?")

                async def heard() -> bool:
                    texts = [event.data["text"] for event in await told(Kind.MESSAGE)]
                    return texts[-1:] == ["Nine to five, on weekdays."]

                await eventually(heard, within_s=15)
            messages = await told(Kind.MESSAGE)
            before = ["Hello there", "Ask me when we are open."] if way == "session" else []
            asked = ["When are you open?"] if way == "session" else []  # writing is not spoken
            assert [m.data["text"] for m in messages] == [
                *before, *asked, "Nine to five, on weekdays.",
            ]  # fmt: skip
            assert {m.source for m in messages} == {Source.OBSERVER}
            if way == "session":
                assert {e.data["new"] for e in await told(Kind.AGENT_STATE)} >= {"thinking"}
                turns = await server.runtime.acall(lambda: store.agents.turns_of(session_id))
                assert turns[-1].user_text == "When are you open?"
            # It takes no place among the people, and leaves with them.
            view = server.runtime.rooms.snapshot.get(ROOM)
            assert view is not None
            assert (view.people, view.agents) == (1, 1)
            await caller.leave()
            await eventually(lambda: told(Kind.OBSERVER_LEFT), within_s=20)


@contextmanager
def hub_reader(server: ApiServer, topic: str) -> Iterator[None]:
    """A page that is open."""
    with server.runtime.hub.subscribe((topic,)):
        yield


def _session_id(server: ApiServer) -> str:
    view = server.runtime.rooms.snapshot.get(ROOM)
    return view.session.id if view is not None and view.session is not None else ""


def _here(server: ApiServer) -> bool:
    view = server.runtime.rooms.snapshot.get(ROOM)
    return view is not None and view.agents == 1
