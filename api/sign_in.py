"""Signing in with a password, and out: a plain form, so that password managers know it."""

from __future__ import annotations

import html
from pathlib import Path
from string import Template
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from api.deps import SharedRuntime
from services.access.sign_in import COOKIE
from services.errors import NotFoundError, RateLimitedError, UnauthenticatedError
from services.runtime import Runtime

router = APIRouter(include_in_schema=False)

_PAGE: Final = Template(Path(__file__).with_name("sign_in.html").read_text(encoding="utf-8"))
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


@router.get("/sign-in")
async def form(
    runtime: SharedRuntime, onward: Annotated[str, Query(alias="next", max_length=2000)] = ""
) -> HTMLResponse:
    """The form. 404 where one does not sign in with a password."""
    _check_login(runtime)
    return _page(onward)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    runtime: SharedRuntime,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    onward: Annotated[str, Form(alias="next", max_length=2000)] = "",
) -> Response:
    """Set the cookie and go on to where one came from; or the form again, which says why not."""
    _check_login(runtime)
    address = request.client.host if request.client else ""
    try:
        cookie = await runtime.acall(
            lambda: runtime.sign_in.with_password(name, password, address=address)
        )
    except (UnauthenticatedError, RateLimitedError) as error:
        return _page(onward, said=str(error), name=name, status=error.http_status)
    answer = RedirectResponse(_local(onward), status_code=303)
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(runtime.sign_in.lasts.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=_secure(runtime, request),
    )
    return answer


@router.get("/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget who this browser is. A page of others cannot have it do so."""
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return RedirectResponse("../", status_code=303)
    answer = RedirectResponse("sign-in", status_code=303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return answer


def _page(onward: str, *, said: str = "", name: str = "", status: int = 200) -> HTMLResponse:
    said_html = f'<p class="said" role="alert">{html.escape(said)}</p>' if said else ""
    text = _PAGE.substitute(
        said=said_html,
        name=html.escape(name, quote=True),
        next=html.escape(_local(onward), quote=True),
        focus_name="" if name else "autofocus",
        focus_password="autofocus" if name else "",
    )
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(text, status_code=status, headers=headers)


def _local(onward: str) -> str:
    """The address if it is one of ours, below this server's root; else the start page."""
    parts = urlsplit(onward)
    ours = not parts.scheme and not parts.netloc and onward.startswith("/")
    return onward if ours and not onward.startswith(("//", "/\\")) else "/"


def _secure(runtime: Runtime, request: Request) -> bool:
    """Whether browsers come by https: they then never send the cookie otherwise."""
    outside = runtime.settings.switchboard_url or ""
    return outside.startswith("https://") or request.url.scheme == "https"


def _check_login(runtime: Runtime) -> None:
    if runtime.sign_in.login != "password":
        raise NotFoundError(
            "One does not sign in with a password here.", hint="Open the dashboard itself."
        )
