"""A plain creation of a session, answered with less between the request and its call.

What FastAPI does around an endpoint takes 0.5 ms, as long as LiveKit's own part of it. So a body
that is in order and asks for nothing unusual goes straight to the endpoint; all else, and all that
is wrong, goes FastAPI's way, which also documents it.
"""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.callers import admitted
from api.problems import from_error
from api.voice import create_voice_session
from api.voice_models import CreateVoiceSession
from services.access.permissions import Right
from services.errors import SwitchboardError
from services.runtime import Runtime, held_runtime

_PATH: Final = "/voice/session"
_KEY: Final = b"idempotency-key"


class PlainCreation:
    """Stands before the app, behind all that guards it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        runtime = held_runtime()
        if runtime is None or not runtime.alive or not _is_plain(scope):
            await self._app(scope, receive, send)
            return
        try:
            raw = await _body(receive)
        except HTTPException as exc:  # too long: the app knows how to say so
            await self._app(scope, _fails(exc), send)
            return
        try:
            body = CreateVoiceSession.model_validate_json(raw)
        except ValidationError:
            await self._app(scope, _again(raw, receive), send)
            return
        await _create(body, runtime, scope, receive, send)


async def _create(
    body: CreateVoiceSession, runtime: Runtime, scope: Scope, receive: Receive, send: Send
) -> None:
    try:
        caller = admitted(scope, Right.TEST)
        response = await create_voice_session(body, runtime, caller)
    except SwitchboardError as error:
        response = from_error(error)
    await response(scope, receive, send)


def _is_plain(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    if scope["path"].removeprefix(scope.get("root_path", "")) != _PATH:
        return False
    headers = dict(scope["headers"])
    return headers.get(b"content-type") == b"application/json" and _KEY not in headers


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(raw: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already once more."""
    waiting = [raw]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


def _fails(exc: Exception) -> Receive:
    async def fail() -> Message:
        raise exc

    return fail
