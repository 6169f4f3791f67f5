"""`python -m bench.speech`: a spoken conversation over a real LiveKit server, measured.

End of speech -> first audio over twenty turns, barge-in, memory of each process at 1, 2 and 4
sessions, and what the way to the speech process costs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psutil
from livekit import api

from agents.speech.client import SpeechClient
from agents.speech.server import open_speech_server
from bench.report import Report, spread
from services.settings import PROJECT_DIR, Settings
from tests.support.livekit_server import LiveKitServer, livekit_binary
from tests.support.parrot import NAME
from tests.support.processes import Child
from tests.support.speaking import SpeakIn, SpeakingCaller, Turn, spoken
from tests.support.waiting import eventually

SENTENCES: Final = (
    "When do you open on Saturday?",
    "What can you do for me?",
    "I finished the login page yesterday.",
    "The payment form is blocked by the design team.",
    "Please create a ticket for that.",
    "Who is working on the search?",
    "My order number is seven four two nine one.",
    "Can you repeat that please?",
    "Today I will write the release notes.",
    "We need two more days for testing.",
)
TURNS: Final = 20
SESSIONS: Final = (1, 2, 4)


class Bed:
    """A LiveKit server, a worker with its speech process, and callers."""

    def __init__(self, livekit: LiveKitServer, worker: Child, speak_in: SpeakIn) -> None:
        self.livekit, self.worker, self.speak_in = livekit, worker, speak_in

    async def call(self, room: str) -> SpeakingCaller:
        """A caller in a room of their own, and an agent who listens to them."""
        target = self.livekit.target
        secret = target.api_secret.get_secret_value()
        async with api.LiveKitAPI(target.url, target.api_key, secret) as lk:
            request = api.CreateAgentDispatchRequest(agent_name=NAME, room=room)
            await lk.agent_dispatch.create_dispatch(request)
        caller = await self.speak_in(target, room)
        await caller.agent()
        return caller

    @property
    def family(self) -> list[psutil.Process]:
        """The worker and all that it started."""
        root = psutil.Process(self.worker.pid)
        return [root, *root.children(recursive=True)]


@asynccontextmanager
async def open_bed(folder: Path) -> AsyncIterator[Bed]:
    """Start all of it; the worker is registered."""
    livekit = LiveKitServer(livekit_binary(), folder / "livekit")
    worker = Child(
        "parrot",
        [sys.executable, "-m", "tests.support.parrot"],
        log=folder / "parrot.log",
        env={**livekit.env, "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        cwd=PROJECT_DIR,
    )
    speak_in = SpeakIn.open(folder)
    try:
        livekit.start()
        worker.start()
        await eventually(lambda: "registered worker" in worker.log_text(), within_s=60)
        yield Bed(livekit, worker, speak_in)
    finally:
        speak_in.close()
        worker.stop()
        livekit.stop()


def role(process: psutil.Process, speech: int) -> str:
    """What a process of the worker's family is."""
    line = " ".join(process.cmdline())
    if process.pid == speech:
        return "speech process"
    if "forkserver" in line:
        return "fork server" if not _is_job(process) else "job"
    if "resource_tracker" in line:
        return "resource tracker"
    return "main"


def _is_job(process: psutil.Process) -> bool:
    parent = process.parent()
    return parent is not None and "forkserver" in " ".join(parent.cmdline())


def memory(bed: Bed) -> Iterator[tuple[str, float]]:
    """Each process with its proportional set size in MB."""
    line = next(x for x in bed.worker.log_text().splitlines() if x.startswith('{"pid"'))
    speech = int(json.loads(line)["speech"])
    for process in bed.family:
        yield role(process, speech), process.memory_full_info().pss / 1e6


async def measure(report: Report, folder: Path) -> None:
    """All of it."""
    async with open_bed(folder) as bed:
        caller = await bed.call("bench-0")
        turns = [await caller.say(SENTENCES[i % len(SENTENCES)]) for i in range(TURNS)]
        for turn in turns:
            _print(turn)
        report.add("other load meanwhile (1 min)", f"{psutil.getloadavg()[0]:.1f}")
        first = [turn.first_audio_ms for turn in turns]
        report.add("end of speech -> first audio", spread(first), "p50 <= 750 ms")
        cuts = [
            (await caller.interrupt("Tell me a story please.", SENTENCES[0])).stopped_ms
            for _ in range(5)
        ]
        report.add("caller begins -> agent is silent", spread(cuts), "<= 600 ms")
        callers = [caller]
        for number in SESSIONS:
            while len(callers) < number:
                callers.append(await bed.call(f"bench-{len(callers)}"))
                await callers[-1].say(SENTENCES[0])
            found: dict[str, list[float]] = {}
            for name, megabytes in memory(bed):
                found.setdefault(name, []).append(megabytes)
            parts = [f"{n} {' + '.join(f'{m:.0f}' for m in ms)}" for n, ms in found.items()]
            total = sum(map(sum, found.values()))
            report.add(f"memory at {number} sessions (PSS, MB)", f"{', '.join(parts)}: {total:.0f}")
        together = await asyncio.gather(*(each.say(SENTENCES[2]) for each in callers))
        at_once = [turn.first_audio_ms for turn in together]
        report.add("the same, four callers at once", spread(at_once))
    async with open_speech_server(Settings()) as server:
        assert server is not None
        client = SpeechClient(server.address, server.token)
        pcm = spoken(SENTENCES[0])[: 2 * 16_000]
        ways = []
        for _ in range(40):
            began = time.perf_counter()
            heard = await client.hear(pcm)
            ways.append((time.perf_counter() - began) * 1000 - heard.took_ms)
        report.add("the way to the speech process and back", spread(ways), "p50 <= 5 ms")
        await client.aclose()


def _print(turn: Turn) -> None:
    print(
        f"  {turn.first_audio_ms:6.0f} ms  said {turn.said!r} heard {turn.heard!r} "
        f"answer {turn.answer_text!r}"
    )


if __name__ == "__main__":
    figures = Report()
    with tempfile.TemporaryDirectory() as name:
        try:
            asyncio.run(measure(figures, Path(name)))
        except BaseException:
            print(*(log.read_text()[-6000:] for log in Path(name).glob("*.log")), sep="\n---\n")
            raise
    print("\n" + figures.markdown())
