"""How soon what an agent tells is safe, shown, and read again. API and jobs share this process."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.report import Report, quantile, spread
from services.agents.session_feed import session_topic
from services.live.hub import Subscriber
from tests.support.api_server import ApiServer, open_api, settings_for
from tests.support.control_room import ControlRoom
from tests.support.job_stream import JobStream, open_stream
from tests.support.ports import free_port

ROUNDS = 300
STREAMS = 20
_WARM_UP = 20
_KEPT = 1_000
_PAUSE_S = 0.06  # longer than the hub's spacing: each event is a message of its own


async def measure(room: ControlRoom, report: Report, folder: Path) -> None:
    """One job alone, then twenty at once, each waiting for its acknowledgement."""
    settings = settings_for(room.livekit, folder / "agent-stream")
    port = free_port()
    async with open_api(settings, port=port) as server:
        url, target = f"http://127.0.0.1:{port}", room.target
        made = await server.create()
        async with open_stream(url, target, made["room_name"]) as job:
            told_ms = await _told(job, ROUNDS)
            report.add("agent's event sent -> committed, acknowledged, p50 / p95", spread(told_ms))
            shown_ms = await _shown(server, job, made["session_id"])
            report.add("agent's event sent -> with the hub's readers, p50 / p95", spread(shown_ms))
        made = await server.create()
        async with open_stream(url, target, made["room_name"]) as job:
            batch = [job.record("custom", n=n) for n in range(_KEPT)]
            began = time.perf_counter()
            for start in range(0, _KEPT, 200):
                await job.send(*batch[start : start + 200])
            rate = _KEPT / (time.perf_counter() - began)
            report.add("one job's events in frames of 200", f"{rate:,.0f} a second")
        reads_ms = [await _read(server, made["session_id"]) for _ in range(20)]
        report.add(f"reading {_KEPT:,} events of a session, p50 / p95", spread(reads_ms))
        every = [await server.create() for _ in range(STREAMS)]

        async def talk(name: str) -> list[float]:
            async with open_stream(url, target, name) as job:
                return await _told(job, 100)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(talk(one["room_name"])) for one in every]
        times_ms = [ms for task in tasks for ms in task.result()]
        report.add(f"{STREAMS} jobs at once, sent -> acknowledged, p50 / p95", spread(times_ms))
        report.add(f"{STREAMS} jobs at once, at worst", f"{quantile(times_ms, 1.0):.0f} ms")


async def _told(job: JobStream, rounds: int) -> list[float]:
    times_ms: list[float] = []
    for number in range(rounds + _WARM_UP):
        job.heard.clear()
        began = time.perf_counter()
        await job.tell("node_finished", node="plan", ms=1.5, update={"n": number})
        if number >= _WARM_UP:
            times_ms.append((time.perf_counter() - began) * 1000)
    return times_ms


async def _shown(server: ApiServer, job: JobStream, session_id: str) -> list[float]:
    times_ms: list[float] = []
    with server.runtime.hub.subscribe((session_topic(session_id),)) as reader:
        for number in range(100 + _WARM_UP):
            mark = f'"mark-{number}"'
            began = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                group.create_task(job.tell("custom", mark=f"mark-{number}"))
                await _until(reader, mark)
                took_ms = (time.perf_counter() - began) * 1000
            if number >= _WARM_UP:
                times_ms.append(took_ms)
            await asyncio.sleep(_PAUSE_S)
    return times_ms


async def _until(reader: Subscriber, mark: str) -> None:
    while (messages := await reader.next()) is not None:
        if any(mark in message.body for message in messages):
            return


async def _read(server: ApiServer, session_id: str) -> float:
    store, began, after, count = server.runtime.store, time.perf_counter(), 0, 0
    while count < _KEPT:
        page = await server.runtime.acall(
            lambda after=after: store.events(session_id=session_id, after_seq=after)  # type: ignore[misc]
        )
        count, after = count + len(page), page[-1].seq
    return (time.perf_counter() - began) * 1000
