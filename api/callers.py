"""Who asks the API, and whether they may: one guard for all of it, and a right for each route.

Everything under /api is refused to whom nobody knows, but for what has a guard of its own:
LiveKit's webhooks are signed, agents' streams bring a token, what pages read live a ticket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import QueryParams
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import from_error
from services.access.api_keys import PREFIX as KEY_PREFIX
from services.access.permissions import Caller, Permission
from services.access.sign_in import COOKIE
from services.errors import RateLimitedError, SwitchboardError, UnauthenticatedError
from services.runtime import Runtime, held_runtime

OPEN: Final = (
    (r"/health", "says only that the process answers"),
    (r"/livekit/webhook", "LiveKit's signature"),
    (r"/agents/stream", "the job's token"),
    (r"/live", "the page's ticket"),
    (r"/voice/session/[^/]+/(?:trace|saved/[^/]+)", "the page's ticket"),
    (r"/sign-(?:in|out)", "how one becomes known"),
)
"""What the guard lets through, and what guards it instead."""
_OPEN_FORM: Final = re.compile("|".join(f"(?:{form})" for form, _ in OPEN))
_CALLER: Final = "switchboard.caller"


class ApiAuthentication:
    """Answers 401 to whom nobody knows, and 429 to who asks too often."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        runtime = held_runtime()
        if (
            runtime is not None
            and scope["type"] == "http"
            and hasattr(runtime, "keys")  # else we are still opening
            and not is_open(_path(scope))
        ):
            try:
                caller = caller_of(runtime, scope)
                self._count(runtime, caller)
            except SwitchboardError as error:
                response = from_error(error)
                if error.http_status == 401:
                    response.headers["WWW-Authenticate"] = "Bearer"
                await response(scope, receive, send)
                return
            scope[_CALLER] = caller
        await self._app(scope, receive, send)

    def _count(self, runtime: Runtime, caller: Caller) -> None:
        if runtime.sign_in.login == "none" and caller.via != "key":
            return  # somebody at this very machine
        limit = RateLimitItemPerMinute(runtime.settings.switchboard_api_rate_limit_per_minute)
        if not self._limiter.hit(limit, caller.via, caller.name):
            raise RateLimitedError(
                f"{caller.name} asked more than {limit.amount:,} times in a minute.",
                hint="Ask less often; SWITCHBOARD_API_RATE_LIMIT_PER_MINUTE sets the most.",
            )


class May:
    """A route's dependency: gives the caller, who has this right.

    Services check it once more where something is done; here the refusal comes before any work.
    """

    def __init__(self, right: Permission) -> None:
        self.right = right

    async def __call__(self, request: Request) -> Caller:
        """Raises UnauthenticatedError, PermissionDeniedError."""
        return admitted(request.scope, self.right)


def admitted(scope: Scope, right: Permission) -> Caller:
    """The request's caller, who has this right.

    Raises:
        UnauthenticatedError: the guard knew nobody: we were still opening.
        PermissionDeniedError: they may not.
    """
    caller: Caller | None = scope.get(_CALLER)
    if caller is None:
        raise UnauthenticatedError("Switchboard is starting.", hint="Try again in a moment.")
    caller.check(right)
    return caller


def is_open(path: str) -> bool:
    """Whether this path, below /api, has a guard of its own."""
    return _OPEN_FORM.fullmatch(path) is not None


def caller_of(runtime: Runtime, scope: Scope) -> Caller:
    """Who asks: by API key, by a page's pass, or as the login knows them.

    Raises:
        UnauthenticatedError: nobody knows.
        BadSignatureError: the pass is not ours, or out of date.
        PermissionDeniedError: they are known, and nobody gave them a role.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    client = scope.get("client")
    address = str(client[0]) if client else ""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    sign_in = runtime.sign_in
    if scheme.lower() == "bearer":
        secret = secret.strip()
        if secret.startswith(KEY_PREFIX):
            return runtime.keys.check(secret, address=address)
        return sign_in.by_pass(secret, _path(scope), address=address)
    query = scope.get("query_string", b"")
    if b"pass=" in query and (given := QueryParams(query).get("pass")):
        return sign_in.by_pass(given, _path(scope), address=address)
    return signed_in(runtime, headers, address=address)


def signed_in(runtime: Runtime, headers: Mapping[str, str], *, address: str) -> Caller:
    """Whom the login knows by these headers, whose names are in lower case.

    Raises:
        UnauthenticatedError: nobody; with OIDC only pages know who signed in.
        PermissionDeniedError: they are known, and nobody gave them a role.
    """
    sign_in = runtime.sign_in
    match sign_in.login:
        case "none":
            return sign_in.anybody(via="api", address=address)
        case "password":
            cookies = cookie_parser(headers.get("cookie", ""))
            return sign_in.by_cookie(cookies.get(COOKIE, ""), via="api", address=address)
        case "proxy":
            return sign_in.by_proxy(headers, via="api", address=address)
        case "oidc":
            raise UnauthenticatedError(
                "This takes an API key.", hint="Send it as “Authorization: Bearer swb_…”."
            )


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
