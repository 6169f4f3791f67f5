"""A worker elsewhere: what happens to a session when the dashboard, LiveKit or the worker goes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from services.clock import utc_now
from services.errors import LiveKitUnavailableError
from services.events import Kind
from services.livekit.synthetic_participant import TextCaller
from services.store.records import SessionStatus
from tests.support.agent_worker import AgentWorker
from tests.support.api_server import ApiServer, Wired
from tests.support.waiting import eventually, wait_until

# One worker serves them all; the test that ends it leaves it to the next to start it again.
_JOBS: Final = 4  # with three of them LiveKit would count it as full, had we told it "3 of 4"


@pytest.fixture(scope="module")
def held_worker(
    wired_for_all: Wired, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentWorker]:
    worker = AgentWorker(
        tmp_path_factory.mktemp("worker"),
        wired_for_all.livekit,
        f"http://127.0.0.1:{wired_for_all.port}",
        SWITCHBOARD_WORKER_DRAIN_TIMEOUT_S="3",
        SWITCHBOARD_WORKER_MAX_JOBS=str(_JOBS),
    )
    yield worker
    worker.stop()


@pytest.fixture
def worker(held_worker: AgentWorker) -> AgentWorker:
    """It takes jobs and has none."""
    process = held_worker.process
    if process is None or process.poll() is not None:
        held_worker.start()
    wait_until(lambda: not held_worker.status()["jobs"], within_s=30)
    return held_worker


@pytest.fixture
def wired(wired_for_all: Wired) -> Wired:
    return wired_for_all


class Talk:
    """A caller who writes, on the test's own loop."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}
        self.left = ""
        self._caller = TextCaller(
            heard=self.lines.__setitem__, state=lambda _: None, left=self._gone
        )

    def _gone(self, reason: str) -> None:
        self.left = reason or "gone"

    async def join(self, wired: Wired, token: str) -> None:
        await self._caller.join(wired.target.public_url, token)

    async def heard(self, text: str, within_s: float = 60) -> None:
        await eventually(lambda: any(text in x for x in self.lines.values()), within_s=within_s)

    async def write(self, text: str) -> None:
        await self._caller.write(text)

    async def ask(self, text: str) -> None:
        await self._caller.write(text)
        await self.heard(f"You said: {text}")

    async def leave(self) -> None:
        await self._caller.leave()


async def begin(server: ApiServer, wired: Wired) -> tuple[str, Talk]:
    made = await server.create(agent_id="echo", mode="text")
    talk = Talk()
    await talk.join(wired, made["token"])

    async def listens() -> bool:
        people = await server.runtime.acall(
            lambda: server.runtime.livekit.list_participants(made["room_name"])
        )
        return any(one.is_agent and one.agent_state == "listening" for one in people)

    await eventually(listens, within_s=60)  # its greeting may have come before the caller
    return made["session_id"], talk


async def told(server: ApiServer, session_id: str) -> list[str]:
    """What the recorder told of messages, in the order of writing."""
    store = server.runtime.store
    found = await server.runtime.acall(
        lambda: store.events(session_id=session_id, kinds=(Kind.MESSAGE,))
    )
    return [str(one.event.data["text"]) for one in found]


async def test_what_is_said_while_the_dashboard_is_away_is_told_afterwards_in_order(
    wired: Wired, worker: AgentWorker
) -> None:
    async with wired.api() as server:
        session_id, talk = await begin(server, wired)
        await talk.ask("before")
    for text in ("one", "two", "three"):
        await talk.ask(text)
    async with wired.api() as server:

        async def all_told() -> object:
            return "You said: three" in await told(server, session_id)

        await eventually(all_told, within_s=20)
        await talk.ask("after")
        await eventually(lambda: told_after(server, session_id), within_s=10)
        said = await told(server, session_id)
        asked = [text for text in said if not text.startswith(("You said", "Hello"))]
        assert asked == ["before", "one", "two", "three", "after"]
        assert len(said) == len(set(said))
        store = server.runtime.store
        gaps = await server.runtime.acall(
            lambda: store.events(
                session_id=session_id, kinds=(Kind.EVENTS_DROPPED, Kind.AGENT_REDISPATCHED)
            )
        )
        assert gaps == ()
        await talk.leave()


async def told_after(server: ApiServer, session_id: str) -> object:
    return "You said: after" in await told(server, session_id)


async def test_when_livekit_dies_the_session_goes_on_or_fails_and_the_next_one_works(
    wired: Wired, worker: AgentWorker
) -> None:
    async with wired.api() as server:
        session_id, talk = await begin(server, wired)
        await talk.ask("before")
        wired.livekit.kill()
        wired.livekit.start()

        async def settled() -> object:
            """LiveKit has forgotten the room: it fails, or everybody comes back to it in time."""
            found = await server.session(session_id)
            if found["status"] == SessionStatus.FAILED.value:
                return True
            await talk.write("and after")
            return any("You said: and after" in line for line in talk.lines.values())

        await eventually(settled, within_s=40, ignoring=(LiveKitUnavailableError,))
        said = [text for text in await told(server, session_id) if "this is echo" not in text]
        assert said[:2] == ["before", "You said: before"]
        again = await eventually_begun(server, wired)
        await again.ask("and again")
        await again.leave()
        await talk.leave()


async def eventually_begun(server: ApiServer, wired: Wired) -> Talk:
    """The worker needs some seconds to find the new server: a dispatch before that is made again."""
    made = await server.create(agent_id="echo", mode="text")
    talk = Talk()
    await talk.join(wired, made["token"])
    await talk.heard("this is echo", within_s=40)
    return talk


async def test_no_more_sessions_are_taken_than_were_allowed(
    wired: Wired, worker: AgentWorker
) -> None:
    async with wired.api() as server:
        talks = [(await begin(server, wired))[1] for _ in range(_JOBS)]
        one_more = await server.create(agent_id="echo", mode="text")
        livekit = server.runtime.livekit
        waited_since = utc_now()
        while (utc_now() - waited_since).total_seconds() < 2:
            people = await server.runtime.acall(
                lambda: livekit.list_participants(one_more["room_name"])
            )
            assert not people
            assert len(worker.status()["jobs"]) == _JOBS
            await asyncio.sleep(0.2)
        ended = await server.http.delete(f"/api/voice/session/{one_more['session_id']}")
        assert ended.is_success
        for talk in talks:
            await talk.leave()


async def test_sigterm_lets_a_session_go_on_and_then_ends_within_its_bound(
    wired: Wired, worker: AgentWorker
) -> None:
    async with wired.api() as server:
        _, talk = await begin(server, wired)
        began_s = time.monotonic()
        worker.signal(signal.SIGTERM)
        await talk.ask("still here")
        process = worker.process
        assert process is not None
        assert await asyncio.to_thread(process.wait, 25) == 0
        assert 2.5 < time.monotonic() - began_s < 20
        await talk.leave()


def test_a_worker_without_a_server_says_so_in_one_sentence(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    from services.settings import PROJECT_DIR, Settings

    unset = {name.upper(): "" for name in Settings.model_fields}
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cli", "worker"],
        cwd=PROJECT_DIR,
        env={**os.environ, **unset, "SWITCHBOARD_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("LIVEKIT_URL is not set, so the worker knows no LiveKit server.")
    assert "Traceback" not in done.stderr
