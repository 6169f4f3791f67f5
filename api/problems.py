"""Every error as RFC 9457 problem+json: `type`, `title`, `status`, `detail`, `code`, `hint`."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from services.errors import SwitchboardError

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:switchboard:problem:"
_CODES: Final = {400: "bad_body", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def problem(
    status: int, code: str, title: str, detail: str, *, hint: str = "", **more: Any
) -> JSONResponse:
    """The response; `type` is stable and made of the code."""
    body = {
        "type": _TYPE + code,
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
    }
    return JSONResponse(body | more, status_code=status, media_type=MEDIA_TYPE)


def from_error(error: SwitchboardError) -> JSONResponse:
    """The response for one of our errors; a retryable one says when to come back."""
    more: dict[str, Any] = {"field": error.field} if error.field else {}
    response = problem(
        error.http_status, error.code, error.title, error.message, hint=error.hint, **more
    )
    if error.retryable:
        response.headers["Retry-After"] = "2"
    return response


def install(app: FastAPI) -> None:
    """Let the app answer every error in this one shape."""

    @app.exception_handler(SwitchboardError)
    async def ours(_: Request, error: SwitchboardError) -> JSONResponse:
        return from_error(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        found = [
            {"field": _field(one["loc"]), "message": str(one["msg"]).removeprefix("Value error, ")}
            for one in error.errors()[:20]
        ]
        first = found[0]
        return problem(
            422,
            "invalid_argument",
            "Please correct the input",
            f"{first['field']}: {first['message']}.",
            hint="The API's documentation is at /api/docs.",
            field=first["field"],
            errors=found,
        )

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, "http_error")
        title = HTTPStatus(error.status_code).phrase
        more = {"field": "body"} if error.status_code in {400, 413} else {}
        response = problem(error.status_code, code, title, str(error.detail), **more)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected error", extra={"path": request.url.path}, exc_info=error)
        return problem(
            500,
            "internal",
            "Something went wrong",
            f"An unexpected {type(error).__name__} happened.",
            hint="The log on the System page has the details.",
        )


def _field(loc: tuple[int | str, ...]) -> str:
    """`body.session_duration_hours` without where it stands; the whole body is "body"."""
    parts = [str(part) for part in loc if part not in {"body", "query", "header", "path"}]
    parts = [part for part in parts if not part.isdigit() or len(parts) > 1]
    return ".".join(parts) or str(loc[0] if loc else "body")
