"""Posting an alert to a webhook: signed as Standard Webhooks has it, tried again when it fails.

https://www.standardwebhooks.com: `webhook-id`, `webhook-timestamp` and `webhook-signature`, which is
`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from pydantic import SecretStr

log = logging.getLogger(__name__)

ANSWER_S: Final = 10.0
PAUSES_S: Final = (1.0, 5.0, 30.0, 120.0, 600.0)
"""After each failed try; then it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """How it went: `error` "" when it was taken."""

    tries: int
    error: str


class Poster:
    """One address, one secret."""

    def __init__(
        self, url: str | None, secret: SecretStr, *, pauses_s: tuple[float, ...] = PAUSES_S
    ) -> None:
        self._url = url
        self._secret = secret
        self._pauses_s = pauses_s

    @property
    def configured(self) -> bool:
        """Whether there is an address."""
        return self._url is not None

    async def post(self, message_id: str, timestamp: int, body: Mapping[str, Any]) -> Posted:
        """Post until it is taken (2xx), or given up; takes up to a quarter of an hour."""
        raw = json.dumps(body, ensure_ascii=False).encode()
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            **self._signature(message_id, timestamp, raw),
        }
        error = ""
        for number, pause_s in enumerate((*self._pauses_s, None), start=1):
            error = await self._once(raw, headers)
            if not error or pause_s is None:
                return Posted(tries=number, error=error)
            log.warning("an alert was not taken yet", extra={"error": error, "try": number})
            await asyncio.sleep(pause_s)
        return Posted(tries=len(self._pauses_s) + 1, error=error)

    async def once(self, message_id: str, timestamp: int, body: Mapping[str, Any]) -> Posted:
        """Post a single time: for a test, which somebody waits for."""
        lone = Poster(self._url, self._secret, pauses_s=())
        return await lone.post(message_id, timestamp, body)

    async def _once(self, raw: bytes, headers: Mapping[str, str]) -> str:
        """What went wrong; "" nothing. A redirect is not followed: it could lead anywhere."""
        limits = aiohttp.ClientTimeout(total=ANSWER_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=limits) as http,
                http.post(self._url or "", data=raw, headers=headers, allow_redirects=False) as got,
            ):
                return "" if 200 <= got.status < 300 else f"HTTP {got.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            return type(exc).__name__

    def _signature(self, message_id: str, timestamp: int, raw: bytes) -> dict[str, str]:
        secret = self._secret.get_secret_value()
        if not secret:
            return {}
        signed = f"{message_id}.{timestamp}.".encode() + raw
        digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
        return {"webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}


def _key(secret: str) -> bytes:
    """`whsec_` + base64, as Standard Webhooks writes secrets; anything else is taken as it is."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            return secret.encode()
    return secret.encode()
