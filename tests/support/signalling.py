"""A caller who gets no further than the signalling connection.

LiveKit opens the room for it all the same. The SDK (rtc 1.1.21) needs 15 s to notice when the
room is deleted while it connects, and its process may crash.
"""

from __future__ import annotations

import asyncio

import aiohttp

from services.livekit.target import LiveKitTarget


async def put_out(target: LiveKitTarget, token: str, *, within_s: float = 5.0) -> bool:
    """Connect with this token; whether LiveKit closes the connection within that time."""
    url = f"{target.url}/rtc"
    query = {"access_token": token, "protocol": "15", "auto_subscribe": "1"}
    async with aiohttp.ClientSession() as http, http.ws_connect(url, params=query) as socket:
        try:
            async with asyncio.timeout(within_s):
                async for _ in socket:
                    pass
        except TimeoutError:
            return False
    return True
