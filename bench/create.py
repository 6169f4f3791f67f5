"""What a session costs: LiveKit's own two calls against `POST /api/voice/session`."""

from __future__ import annotations

import time

import aiohttp
from livekit import api

from bench.report import Report, quantile, spread
from services.ids import new_session_id, room_name_for
from tests.support.control_room import ControlRoom

ROUNDS = 150
_WARM_UP = 20


async def measure(room: ControlRoom, report: Report) -> None:
    """Alternate between both, so that whatever else the machine does hits both alike."""
    target = room.target
    raw_ms: list[float] = []
    ours_ms: list[float] = []
    async with (
        api.LiveKitAPI(target.url, target.api_key, target.api_secret.get_secret_value()) as livekit,
        aiohttp.ClientSession() as http,
    ):
        for number in range(ROUNDS + _WARM_UP):
            name = room_name_for(new_session_id(), "raw")
            began = time.perf_counter()
            await livekit.room.create_room(api.CreateRoomRequest(name=name, empty_timeout=900))
            await livekit.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(room=name, agent_name="pm-agent")
            )
            raw = (time.perf_counter() - began) * 1000
            body = {"user_id": "bench", "agent_id": "pm-agent", "session_duration_hours": 1}
            began = time.perf_counter()
            async with http.post(f"{room.url}/api/voice/session", json=body) as answer:
                made = await answer.json()
                assert answer.status == 201, made
            ours = (time.perf_counter() - began) * 1000
            if number >= _WARM_UP:
                raw_ms.append(raw)
                ours_ms.append(ours)
            for ended in (name, made["room_name"]):
                await livekit.room.delete_room(api.DeleteRoomRequest(room=ended))
    report.add("CreateRoom + CreateDispatch, raw", spread(raw_ms))
    report.add("POST /api/voice/session, p50 / p95", spread(ours_ms))
    ratio = quantile(ours_ms, 0.5) / quantile(raw_ms, 0.5)
    report.add("POST / raw, ratio of medians", f"{ratio:.2f}x", "<= 1.3x")
