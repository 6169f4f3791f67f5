"""How the dashboard's process is put together: runtime, API and assets on one port."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.auth_util import get_secrets_auth_section

from api.app import create_api
from api.headers import SafeHeaders
from api.nodelay import turn_off_delay
from api.shutdown import mark_stopping_on_signals
from api.viewers import PageAuthentication
from services.errors import ConfigError, SwitchboardError
from services.runtime import Runtime, close_runtime, get_runtime
from services.settings import LOOPBACK, Settings, load_settings

ASSETS: Final = Path(__file__).resolve().parent.parent / "dashboard" / "components" / "build"


def routes() -> list[BaseRoute]:
    """What the server answers beside Streamlit's own pages."""
    return [Mount("/switchboard-assets", app=StaticFiles(directory=ASSETS))]


def middleware() -> list[Middleware]:
    """What sees a request before Streamlit does."""
    return [
        Middleware(SafeHeaders),
        Middleware(ApiFirst, api=create_api()),
        Middleware(PageAuthentication),
    ]


class ApiFirst:
    """Answers what is under /api; Streamlit's browser sessions and compression never see it."""

    def __init__(self, app: ASGIApp, api: ASGIApp) -> None:
        self._app = app
        self._mount = Mount("/api", app=api)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            match, child_scope = self._mount.matches(scope)
            if match is Match.FULL:
                scope.update(child_scope)
                await self._mount.handle(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _checked_settings() -> Settings:
    settings = load_settings()
    _check_address(settings)
    _check_oidc(settings)
    return settings


def _end_with_one_sentence(error: ConfigError) -> NoReturn:
    """Nothing is open yet. An exception here would be printed by the server as a traceback."""
    sys.stderr.write(f"Switchboard cannot start: {error}\n")
    sys.stderr.flush()
    os._exit(2)


def _check_address(settings: Settings) -> None:
    address = st.get_option("server.address")
    guarded = (
        settings.switchboard_auth_mode != "none"
        or settings.switchboard_allow_unauthenticated_public
    )
    if address not in LOOPBACK and not guarded:
        raise ConfigError(
            f"server.address is {address or 'every interface'}, and there is no login.",
            hint="Set one up with SWITCHBOARD_AUTH_MODE, or listen on 127.0.0.1, or set "
            "SWITCHBOARD_ALLOW_UNAUTHENTICATED_PUBLIC=true where something else guards the door.",
        )


def _check_oidc(settings: Settings) -> None:
    if settings.switchboard_auth_mode == "oidc" and not get_secrets_auth_section():
        raise ConfigError(
            "SWITCHBOARD_AUTH_MODE is oidc, and .streamlit/secrets.toml has no part [auth].",
            hint="docs/access.md says what stands in it.",
        )


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """Open the runtime with the server and close it with it."""
    dashboard_url = f"http://localhost:{st.get_option('server.port')}"
    try:
        settings = _checked_settings()
        get_runtime(lambda: Runtime(settings, dashboard_url=dashboard_url))
    except ConfigError as exc:
        _end_with_one_sentence(exc)
    except SwitchboardError as exc:  # the pages say so, and try again
        sys.stderr.write(f"Switchboard starts without its services: {exc}\n")
    turn_off_delay(st.get_option("server.port"))
    gc.freeze()  # what was imported stays: the collector need not look at it again
    try:
        with mark_stopping_on_signals():
            yield
    finally:
        close_runtime()
