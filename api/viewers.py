"""Before a page is drawn: who is not signed in gets neither page nor its WebSocket.

With OIDC Streamlit itself has to answer first, since it is what signs people in; there the page's
own gate stands alone.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.callers import signed_in
from services.errors import ConfigError, PermissionDeniedError, UnauthenticatedError
from services.runtime import Runtime, held_runtime

_OPEN: Final = ("/_stcore/health", "/switchboard-assets/", "/static/", "/app/static/", "/favicon")
_CLOSED_BY_US: Final = 4401  # a WebSocket close code: browsers show it as a refused connection


class PageAuthentication:
    """Sends to the sign-in, or answers 401, where passwords or a proxy say who comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        runtime = held_runtime()
        if (
            runtime is None  # the page says why
            or not hasattr(runtime, "sign_in")
            or scope["type"] not in {"http", "websocket"}
            or runtime.sign_in.login not in {"password", "proxy"}
            or scope["path"].startswith(_OPEN)
            or _is_known(runtime, scope)
        ):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": _CLOSED_BY_US})
        else:
            await _refusal(runtime, scope)(scope, receive, send)


def _is_known(runtime: Runtime, scope: Scope) -> bool:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        signed_in(runtime, headers, address="")
    except UnauthenticatedError:
        return False
    except (PermissionDeniedError, ConfigError):
        return True  # the page tells them that they have no role, or what is wrong
    return True


def _refusal(runtime: Runtime, scope: Scope) -> Response:
    wants_page = scope["method"] == "GET" and any(
        name == b"accept" and b"text/html" in value for name, value in scope["headers"]
    )
    if runtime.sign_in.login == "password" and wants_page:
        query = scope.get("query_string", b"").decode("latin-1")
        back = scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(f"/api/sign-in?next={quote(back, safe='')}", status_code=303)
    return PlainTextResponse("You are not signed in.\n", status_code=401)
