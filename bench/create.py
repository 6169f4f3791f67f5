"""What a session costs: LiveKit's own two calls against `POST /api/voice/session`.

All from one client process over kept-alive connections. Before each the machine has come to
rest: LiveKit's webhooks about the one before would else be paid by the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
from livekit import api

from bench.report import Report, quantile, spread
from services.ids import new_session_id, room_name_for
from tests.support.control_room import ControlRoom

ROUNDS: Final = 150
_WARM_UP: Final = 20
_REST_S: Final = 0.06
_AGENT: Final = "pm-agent"
_BODY: Final = {"user_id": "bench", "agent_id": _AGENT, "session_duration_hours": 1}


async def measure(room: ControlRoom, report: Report) -> None:
    """Alternate between them, so that whatever else the machine does hits all alike."""
    target = room.target
    async with (
        api.LiveKitAPI(target.url, target.api_key, target.api_secret.get_secret_value()) as livekit,
        aiohttp.ClientSession() as http,
    ):

        async def two_calls() -> str:
            name = room_name_for(new_session_id(), "raw")
            await livekit.room.create_room(api.CreateRoomRequest(name=name, empty_timeout=900))
            await livekit.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(room=name, agent_name=_AGENT)
            )
            return name

        async def one_call() -> str:
            name = room_name_for(new_session_id(), "raw")
            agents = [api.RoomAgentDispatch(agent_name=_AGENT)]
            await livekit.room.create_room(
                api.CreateRoomRequest(name=name, empty_timeout=900, agents=agents)
            )
            return name

        async def post() -> str:
            async with http.post(f"{room.url}/api/voice/session", json=_BODY) as answer:
                made = await answer.json()
                assert answer.status == 201, made
                name: str = made["room_name"]
                return name

        async def end(name: str) -> None:
            await livekit.room.delete_room(api.DeleteRoomRequest(room=name))

        took = await _alternate([two_calls, one_call, post], end)
    raw, one, ours = took
    report.add("CreateRoom + CreateDispatch, raw", spread(raw))
    report.add("CreateRoom that names the agent, raw", spread(one))
    report.add("POST /api/voice/session, p50 / p95", spread(ours))
    for share, word in ((0.5, "medians"), (0.1, "fastest tenths")):
        ratio = quantile(ours, share) / quantile(raw, share)
        report.add(
            f"POST / CreateRoom + CreateDispatch, ratio of {word}", f"{ratio:.2f}x", "<= 1.5x"
        )


async def _alternate(
    ways: list[Callable[[], Awaitable[str]]], end: Callable[[str], Awaitable[None]]
) -> list[list[float]]:
    """Milliseconds of each way, in turns; each is followed by its room's end and a rest."""
    took: list[list[float]] = [[] for _ in ways]
    for number in range(ROUNDS + _WARM_UP):
        for way, milliseconds in zip(ways, took, strict=True):
            await asyncio.sleep(_REST_S)
            began = time.perf_counter()
            name = await way()
            if number >= _WARM_UP:
                milliseconds.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(_REST_S)
            await end(name)
    return took
