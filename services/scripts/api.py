"""What a script asks of a running dashboard, over its HTTP API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import aiohttp

from services.errors import SwitchboardError, UnavailableError

_ANSWER_S: Final = 15.0
_HOURS: Final = 0.25
_PAGE: Final = 500


class ScriptError(SwitchboardError):
    """A script could not be carried out to its end."""

    code, http_status, title = "script", 500, "The script stopped"


class Api:
    """The API of one dashboard."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def create(self, agent: str, user: str, mode: Literal["text", "voice"]) -> dict[str, Any]:
        """A new session, as `POST /api/voice/session` answers."""
        body = {
            "user_id": user,
            "agent_id": agent,
            "mode": mode,
            "session_duration_hours": _HOURS,
        }
        made: dict[str, Any] = await self._ask("POST", "", json=body)
        return made

    async def end(self, session_id: str) -> None:
        """End the session."""
        await self._ask("DELETE", f"/{session_id}")

    async def nodes(self, session_id: str, after: int) -> tuple[list[str], int]:
        """The nodes that began after that event, in order, and the last event's number."""
        found: list[str] = []
        while True:
            query: dict[str, str | int] = {
                "kinds": "node_started",
                "after": after,
                "limit": _PAGE,
            }
            page = await self._ask("GET", f"/{session_id}/events", params=query)
            found += [str(event["data"].get("node", "")) for event in page["events"]]
            after = page["events"][-1]["seq"] if page["events"] else after
            if page["next_after"] is None:
                return found, after

    async def asked(self, session_id: str) -> list[dict[str, Any]]:
        """The questions that wait for a human."""
        found: list[dict[str, Any]] = await self._ask("GET", f"/{session_id}/interrupts")
        return [one for one in found if one["status"] == "pending"]

    async def decide(self, session_id: str, interrupt_id: str, kind: str, args: Any) -> None:
        """Answer a question."""
        body = {"type": kind, "args": args}
        await self._ask("POST", f"/{session_id}/interrupts/{interrupt_id}", json=body)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str | int] | None = None,
    ) -> Any:
        where = f"/api/voice/session{path}"
        try:
            async with self._http.request(method, where, json=json, params=params) as answer:
                body = await answer.json(content_type=None)
                if answer.status >= 400:
                    raise ScriptError(_said(answer.status, body))
                return body
        except (TimeoutError, aiohttp.ClientError, ValueError) as exc:
            raise UnavailableError(
                "The dashboard did not respond.",
                hint="Check that it runs and that the address is correct.",
            ) from exc


@asynccontextmanager
async def open_api(url: str, key: str = "") -> AsyncIterator[Api]:
    """The API of the dashboard at that address; `key` is an API key, where it has a login."""
    limits = aiohttp.ClientTimeout(total=_ANSWER_S)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(url, timeout=limits, headers=headers) as http:
        yield Api(http)


def _said(status: int, body: object) -> str:
    if isinstance(body, dict) and body.get("detail"):
        return " ".join(str(body[name]) for name in ("detail", "hint") if body.get(name))
    return f"The dashboard answered {status}."
