"""An agent that anybody could have written, with LiveKit's stock adapter and our one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from livekit import api

from services.events import Kind
from services.livekit.caller import TextCaller
from services.settings import PROJECT_DIR, Settings
from services.store.records import Origin
from tests.support.api_server import ApiServer, Wired
from tests.support.participants import token_for
from tests.support.waiting import eventually

ROOM = "somebody-elses"


@pytest.fixture
def agent(wired: Wired, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The example in a folder of its own: of this project it has the recorder alone."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(PROJECT_DIR / "docs" / "examples" / "foreign_agent", folder)
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


def _here(server: ApiServer) -> bool:
    view = server.runtime.rooms.snapshot.get(ROOM)
    return view is not None and view.agents == 1
