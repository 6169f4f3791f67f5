"""LiveKit's webhooks come in here."""

from __future__ import annotations

from fastapi import APIRouter, Header, Request

from api.deps import SharedRuntime
from services.clock import utc_now
from services.errors import BadSignatureError
from services.livekit import webhooks

router = APIRouter(prefix="/livekit", tags=["LiveKit"])


@router.post("/webhook", include_in_schema=False)
async def webhook(
    request: Request, runtime: SharedRuntime, authorization: str = Header(default="")
) -> dict[str, str]:
    """Take a webhook once. 401: not signed by our key; 503: not written down, send it again."""
    received_at = utc_now()
    body = await request.body()
    try:
        told = webhooks.verify(body, authorization, runtime.target)
    except BadSignatureError:
        runtime.rooms.webhooks.refused += 1
        raise
    event = webhooks.to_event(told, received_at)
    await runtime.acall(lambda: runtime.rooms.take_webhook(event))
    return {"status": "taken"}
