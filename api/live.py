"""Live updates as server-sent events, for pages that hold a ticket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from api.deps import SharedRuntime
from services.agents.session_feed import is_session_topic
from services.live import hub
from services.runtime import Runtime

router = APIRouter(tags=["Live"])

_LONGEST_S: Final = 3600.0  # then the browser comes back, with a fresh ticket


@router.get("/live", include_in_schema=False)
async def live(
    runtime: SharedRuntime,
    ticket: Annotated[str, Query(max_length=4096)],
    last_event_id: Annotated[str, Header(alias="Last-Event-ID", max_length=200)] = "",
) -> StreamingResponse:
    """First a snapshot of each topic, then its changes; `Last-Event-ID` goes on where it was."""
    topics = runtime.tickets.topics(ticket)
    return StreamingResponse(
        _stream(runtime, topics, last_event_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _stream(runtime: Runtime, topics: tuple[str, ...], last: str) -> AsyncIterator[bytes]:
    ends_s = time.monotonic() + _LONGEST_S
    yield b"retry: 1000\n\n"
    try:
        async with aclosing(hub.read(runtime.hub, topics, last_event_id=last)) as told:
            first = True
            async for event_id, message in told:
                if first:
                    first = False
                    _tell_watched(runtime, topics)
                if message is None:
                    yield b"event: ping\ndata: {}\n\n"
                else:
                    head = f"id: {event_id}\nevent: {message.event}\ndata: ".encode()
                    yield head + message.body + b"\n\n"
                if time.monotonic() > ends_s:
                    return
    finally:
        _tell_watched(runtime, topics)


def _tell_watched(runtime: Runtime, topics: tuple[str, ...]) -> None:
    """Pages of a session say how many look at it."""
    for topic in topics:
        if is_session_topic(topic):
            runtime.hub.touch_soon(topic)
