"""kill -9 in the middle of a call: of each process in turn. How long it took, what was lost.

A caller who writes talks to `echo`. The time is from the kill to the answer to a message that
is written after it, again every second. Nothing that a recorder had written down may be lost:
what was in its files at the kill must be in the database afterwards, each event once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil

from bench.report import Report
from services.errors import LiveKitUnavailableError
from services.livekit.synthetic_participant import TextCaller
from switchboard_recorder.spool import left_behind
from tests.support.agent_worker import AgentWorker
from tests.support.control_room import ControlRoom
from tests.support.waiting import eventually

_ROUNDS: Final = 3
_AGAIN_S: Final = 60.0
_IN_TIME_S: Final = 30.0
_BODY: Final = {
    "user_id": "bench",
    "agent_id": "echo",
    "session_duration_hours": 1,
    "mode": "text",
}


@dataclass(slots=True)
class Call:
    """A caller in a session with `echo`, and what was written to it so far."""

    http: aiohttp.ClientSession
    session_id: str
    caller: TextCaller
    lines: dict[str, str] = field(default_factory=dict)

    async def ask(self, text: str, *, within_s: float = _AGAIN_S) -> None:
        """Write until it is answered: what is written while nobody is there is not heard."""
        ends_s = time.monotonic() + within_s
        while time.monotonic() < ends_s:
            try:
                await self.caller.write(text)
                await eventually(lambda: f"You said: {text}" in self._all(), within_s=1)
            except (AssertionError, LiveKitUnavailableError):
                continue
            return
        raise TimeoutError(f"no answer to {text!r}")

    async def events(self) -> Counter[str]:
        """How often each event of the session is in the database, by id."""
        found: Counter[str] = Counter()
        after: int | None = 0
        while after is not None:
            where = f"/api/voice/session/{self.session_id}/events?limit=500&after={after}"
            async with self.http.get(where) as answer:
                page: dict[str, Any] = await answer.json()
            found.update(event["id"] for event in page["events"])
            after = page["next_after"]
        return found

    async def job_pid(self) -> int:
        """The process of the agent's job, as its recorder told."""
        where = f"/api/voice/session/{self.session_id}/events?kinds=job_connected"
        async with self.http.get(where) as answer:
            pid: int = (await answer.json())["events"][-1]["data"]["pid"]
        return pid

    def _all(self) -> str:
        return " ".join(self.lines.values())


@asynccontextmanager
async def call(room: ControlRoom) -> AsyncIterator[Call]:
    """A session whose agent has greeted and answered once."""
    async with aiohttp.ClientSession(room.url) as http:

        async def answered() -> dict[str, Any] | None:
            async with http.post("/api/voice/session", json=_BODY) as answer:
                return await answer.json() if answer.status == 201 else None

        made = await eventually(answered, within_s=_IN_TIME_S)
        lines: dict[str, str] = {}
        caller = TextCaller(heard=lines.__setitem__, state=lambda _: None, left=lambda _: None)
        await caller.join(room.target.public_url, made["token"])
        try:
            await eventually(lambda: lines, within_s=_IN_TIME_S)
            held = Call(http, made["session_id"], caller, lines)
            await held.ask("before")
            yield held
        finally:
            await caller.leave()
            async with http.delete(f"/api/voice/session/{made['session_id']}"):
                pass


def recorded(spool: Path) -> set[str]:
    """The ids of the events that are in the recorders' files now."""
    ids: set[str] = set()
    for folder in left_behind(spool):
        for path in folder.glob("*.jsonl"):
            first, count = int(path.stem), path.read_bytes().count(b"\n")
            ids |= {f"{folder.name}:{seq}" for seq in range(first, first + count)}
    return ids


@dataclass(slots=True)
class Death:
    """What one kind of death cost, over its rounds."""

    took_s: list[float] = field(default_factory=list)
    written: int = 0
    lost: int = 0
    twice: int = 0

    async def measure(self, held: Call, spool: Path, kill: Callable[[], Awaitable[None]]) -> None:
        """One round. `kill` also brings back what nobody else would."""
        told, began_s = await held.events(), time.monotonic()
        await kill()
        then = recorded(spool)
        await held.ask("after")
        self.took_s.append(time.monotonic() - began_s)
        wanted = then | set(told)

        async def all_there() -> bool:
            return wanted <= set(await held.events())

        with suppress(AssertionError):  # the report counts what is missing
            await eventually(all_there, within_s=_IN_TIME_S, ignoring=(aiohttp.ClientError,))
        found = await held.events()
        self.written += len(wanted)
        self.lost += len(wanted - set(found))
        self.twice += sum(count > 1 for count in found.values())

    def add_to(self, report: Report, what: str) -> None:
        """Two rows: the time, and what became of the events."""
        took = ", ".join(f"{seconds:.1f}" for seconds in sorted(self.took_s))
        report.add(f"kill -9 of {what} -> next answer", f"{took} s")
        report.add(
            f"kill -9 of {what}: events lost, events twice",
            f"{self.lost}, {self.twice} of {self.written}",
            "0, 0",
        )


async def measure(report: Report, binary: Path) -> None:
    """Each death some times, one after the other, with processes of its own."""
    with tempfile.TemporaryDirectory() as name:
        await _supervised(report, binary, Path(name) / "one")
        await _apart(report, binary, Path(name) / "two")


async def _supervised(report: Report, binary: Path, folder: Path) -> None:
    """The dashboard runs the worker; whoever runs the dashboard starts it again at once."""
    room = ControlRoom(binary, folder, env={"SWITCHBOARD_WORKER": "on"})
    room.start()
    try:
        spool = room.dashboard.data_dir / "spool"

        async def job(held: Call) -> None:
            os.kill(await held.job_pid(), signal.SIGKILL)

        async def worker(_: Call) -> None:
            below = psutil.Process(room.dashboard.process.pid).children(recursive=True)
            (found,) = [each for each in below if each.cmdline()[1:3] == ["-m", "scripts.cli"]]
            found.kill()

        async def dashboard(_: Call) -> None:
            await asyncio.to_thread(room.dashboard.kill)
            await asyncio.to_thread(room.dashboard.start)

        for what, kill in (("the job", job), ("the worker", worker), ("the dashboard", dashboard)):
            await _rounds(report, what, room, spool, kill)
    finally:
        room.stop()


async def _apart(report: Report, binary: Path, folder: Path) -> None:
    """The worker is on its own, as on another machine."""
    room = ControlRoom(binary, folder)
    room.start()
    worker = AgentWorker(folder / "worker", room.livekit, room.url)
    try:
        worker.start()

        async def dashboard(_: Call) -> None:
            await asyncio.to_thread(room.dashboard.kill)
            starting.append(asyncio.create_task(asyncio.to_thread(room.dashboard.start)))

        async def livekit(_: Call) -> None:
            await asyncio.to_thread(room.livekit.kill)
            await asyncio.to_thread(room.livekit.start)

        starting: list[asyncio.Task[None]] = []
        what = "the dashboard, the worker apart"
        await _rounds(report, what, room, worker.spool, dashboard)
        await asyncio.gather(*starting)
        await _rounds(report, "livekit-server", room, worker.spool, livekit)
    finally:
        worker.stop()
        room.stop()


async def _rounds(
    report: Report,
    what: str,
    room: ControlRoom,
    spool: Path,
    kill: Callable[[Call], Awaitable[None]],
) -> None:
    death = Death()
    for _ in range(_ROUNDS):
        async with call(room) as held:

            async def killed(held: Call = held) -> None:
                await kill(held)

            await death.measure(held, spool, killed)
    death.add_to(report, what)
