"""kill -9 in the middle of a call: of a job, the worker, the dashboard. What was lost, how long it took.

A caller who writes talks to `echo`; the time is from the kill to the answer to the next message.
Nothing may be lost: every message that was answered must be in the database afterwards, once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

from bench.report import Report
from services.events import Kind
from services.livekit.caller import TextCaller
from services.worker_process import WorkerPhase
from tests.support.api_server import ApiServer, Wired
from tests.support.livekit_server import LiveKitServer, livekit_binary
from tests.support.ports import free_port
from tests.support.waiting import eventually

_ROUNDS: Final = 3


class Call:
    """A caller in a session with `echo`, and what was answered so far."""

    def __init__(self, server: ApiServer, session_id: str, caller: TextCaller) -> None:
        self.server, self.session_id, self.caller = server, session_id, caller
        self.lines: dict[str, str] = {}
        self.said: list[str] = []

    async def ask(self, text: str, *, within_s: float = 40) -> None:
        """Write until it is answered: what is written while nobody is there is not heard."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < within_s:
            await self.caller.write(text)
            try:
                await eventually(lambda: f"You said: {text}" in self._all(), within_s=1)
            except AssertionError:
                continue
            self.said.append(text)
            return
        raise TimeoutError(f"no answer to {text!r}")

    def _all(self) -> str:
        return " ".join(self.lines.values())

    async def lost(self) -> list[str]:
        """What was answered and is not in the database, after some seconds."""
        store, answers = self.server.runtime.store, [f"You said: {text}" for text in self.said]

        async def missing() -> list[str]:
            found = await self.server.runtime.acall(
                lambda: store.events(session_id=self.session_id, kinds=(Kind.MESSAGE,))
            )
            texts = [str(one.event.data["text"]) for one in found]
            return [answer for answer in answers if answer not in texts]

        left = await missing()
        for _ in range(50):
            if not left:
                break
            await asyncio.sleep(0.2)
            left = await missing()
        return left


async def begin(server: ApiServer, wired: Wired) -> Call:
    """A session whose agent has greeted."""
    made = await server.create(agent_id="echo", mode="text")
    lines: dict[str, str] = {}
    caller = TextCaller(heard=lines.__setitem__, state=lambda _: None, left=lambda _: None)
    await caller.join(wired.target.public_url, made["token"])
    await eventually(lambda: lines, within_s=60)
    call = Call(server, made["session_id"], caller)
    call.lines = lines
    await call.ask("before")
    return call


async def measured(call: Call, kill: Callable[[], Awaitable[None]]) -> tuple[float, int]:
    """Seconds from the kill to the next answer, and how many answers were lost."""
    began_s = time.monotonic()
    await kill()
    await call.ask("after")
    took_s = time.monotonic() - began_s
    lost = await call.lost()
    await call.caller.leave()
    return took_s, len(lost)


async def measure(report: Report) -> None:
    """Each death some times, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        hooks = [f"http://127.0.0.1:{port}/api/livekit/webhook"]
        livekit = LiveKitServer(livekit_binary(), Path(name) / "livekit", webhook_urls=hooks)
        livekit.start()
        try:
            wired = Wired(livekit, port, Path(name) / "data")
            async with wired.api(switchboard_worker="on") as server:
                worker = server.runtime.worker
                if worker is None:
                    raise RuntimeError("there is no worker")
                await eventually(lambda: worker.state.phase is WorkerPhase.READY, within_s=90)

                async def kill_job(call: Call) -> None:
                    stream = server.runtime.jobs.streams.of_session(call.session_id)
                    if stream is not None:
                        os.kill(stream.hello.pid, signal.SIGKILL)

                async def kill_worker(_: Call) -> None:
                    if worker.state.pid is not None:
                        os.kill(worker.state.pid, signal.SIGKILL)

                for what, kill in (("job", kill_job), ("worker", kill_worker)):
                    times, lost = [], 0
                    for _ in range(_ROUNDS):
                        call = await begin(server, wired)
                        took_s, gone = await measured(call, partial(kill, call))
                        times.append(took_s)
                        lost += gone
                        await eventually(
                            lambda: worker.state.phase is WorkerPhase.READY, within_s=90
                        )
                    spread = f"{min(times):.1f}-{max(times):.1f} s"
                    report.add(f"kill -9 of the {what} -> next answer (n={_ROUNDS})", spread)
                    report.add(f"kill -9 of the {what}: answers lost", str(lost))
        finally:
            livekit.stop()
