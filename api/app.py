"""The FastAPI app under /api. Its documentation needs nothing from the network."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.middleware import Middleware
from fastapi_offline import FastAPIOffline

from api import (
    agents,
    audit,
    exports,
    health,
    live,
    livekit,
    problems,
    reviews,
    rooms,
    sign_in,
    trace,
    voice,
)
from api.callers import ApiAuthentication
from api.limits import BodyLimit, Cors, CsrfGuard
from services.runtime import held_runtime
from services.settings import LOOPBACK

VERSION: Final = "0.1.0"


def _hosts() -> frozenset[str] | None:
    """The hosts that we answer to; any, where the operator chose to listen publicly."""
    runtime = held_runtime()
    if runtime is None:
        return LOOPBACK
    if runtime.settings.switchboard_allow_unauthenticated_public:
        return None
    outside = urlsplit(runtime.settings.switchboard_url or "").hostname
    named = frozenset(runtime.settings.switchboard_allowed_hosts)
    return LOOPBACK | named | frozenset({outside} if outside else ())


def _origins() -> frozenset[str]:
    """The web pages of others that may ask us from a browser."""
    runtime = held_runtime()
    return frozenset(() if runtime is None else runtime.settings.switchboard_cors_origins)


def create_api() -> FastAPI:
    """A new app; it finds the process's runtime at each request."""
    app = FastAPIOffline(
        title="Switchboard",
        version=VERSION,
        description="Voice sessions on LiveKit: create, watch and end them.",
        docs_url="/docs",
        redoc_url=None,
        middleware=[
            Middleware(Cors, origins=_origins),
            Middleware(CsrfGuard, hosts=_hosts, origins=_origins),
            Middleware(BodyLimit),
            Middleware(ApiAuthentication),  # the innermost
        ],
    )
    problems.install(app)
    for module in (
        voice,
        agents,
        trace,
        exports,
        reviews,
        rooms,
        livekit,
        live,
        health,
        audit,
        sign_in,
    ):
        app.include_router(module.router)
    return app
