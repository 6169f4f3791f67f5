"""What is refused before it is read: large bodies, foreign hosts, foreign origins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem
from services.settings import LOOPBACK

BODY_LIMIT_BYTES: Final = 1_048_576  # LiveKit's own metadata limit is half of it
_SAFE: Final = {"GET", "HEAD", "OPTIONS"}


class BodyLimit:
    """Answers 413 to a body over the limit, told by its header or found while it is read."""

    def __init__(self, app: ASGIApp, limit_bytes: int = BODY_LIMIT_BYTES) -> None:
        self._app = app
        self._limit = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = _header(scope, b"content-length")
        if declared.isdigit() and int(declared) > self._limit:
            await too_large(self._limit)(scope, receive, send)
            return
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limit:  # FastAPI lets an HTTPException through, and nothing else
                raise HTTPException(413, f"The body has more than {self._limit:,} bytes.")
            return message

        await self._app(scope, limited, send)


def too_large(limit_bytes: int) -> Response:
    """The answer to a body whose header says that it is over the limit."""
    return problem(
        413,
        "too_large",
        "Too large",
        f"The body has more than {limit_bytes:,} bytes.",
        hint="Send less.",
        field="body",
    )


class Cors(CORSMiddleware):
    """Lets browsers show our answers to pages of the origins that the settings name."""

    def __init__(self, app: ASGIApp, origins: Callable[[], frozenset[str]]) -> None:
        super().__init__(
            app,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
        )
        self._named = origins

    def is_allowed_origin(self, origin: str) -> bool:
        return origin in self._named()


class CsrfGuard:
    """Refuses what a foreign web page makes an operator's browser send.

    The dashboard listens on loopback without a login, so any page in the same browser could
    reach it: by another host name (DNS rebinding), or by a cross-origin request. A WebSocket
    counts as a write, and only a browser's is looked at: it always names its origin, and what
    programs send proves itself.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Callable[[], frozenset[str] | None],
        origins: Callable[[], frozenset[str]],
    ) -> None:
        self._app = app
        self._hosts = hosts  # None: any host, because others guard the door
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and (said := self._objection(scope)) is not None:
            response = problem(
                403,
                "permission_denied",
                "Not allowed",
                said,
                hint="SWITCHBOARD_ALLOWED_HOSTS names further hosts, separated by commas.",
            )
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _objection(self, scope: Scope) -> str | None:
        origin = _header(scope, b"origin")
        if scope["type"] == "websocket" and not origin:
            return None
        host = _host_of(_header(scope, b"host"))
        allowed = self._hosts()
        if allowed is not None and host not in allowed:
            return f"This dashboard does not answer to the host {host!r}."
        if scope.get("method") not in _SAFE and origin and origin not in self._origins():
            came_from = _host_of(origin.partition("://")[2])
            if came_from != host and came_from not in (allowed or frozenset()) - LOOPBACK:
                return f"A page of {origin!r} may not write here."
        return None


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def _host_of(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:  # half an IPv6 address
        return ""
