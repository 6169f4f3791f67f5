"""How the dashboard's process is put together: runtime, API and assets on one port."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import streamlit as st
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from api.app import create_api
from api.nodelay import turn_off_delay
from services.errors import ConfigError, SwitchboardError
from services.runtime import Runtime, close_runtime, get_runtime
from services.settings import LOOPBACK, Settings, load_settings

ASSETS: Final = Path(__file__).resolve().parent.parent / "dashboard" / "components" / "build"


def routes() -> list[BaseRoute]:
    """What the server answers beside Streamlit's own pages."""
    return [
        Mount("/api", app=create_api()),
        Mount("/switchboard-assets", app=StaticFiles(directory=ASSETS)),
    ]


def checked_settings() -> Settings:
    """The settings, or the end of the process with one sentence about what is wrong."""
    try:
        settings = load_settings()
        _check_address(settings)
    except ConfigError as exc:
        sys.stderr.write(f"Switchboard cannot start: {exc}\n")
        raise SystemExit(2) from None
    return settings


def _check_address(settings: Settings) -> None:
    address = st.get_option("server.address")
    if address not in LOOPBACK and not settings.switchboard_listen_publicly:
        raise ConfigError(
            f"server.address is {address or 'every interface'}, and there is no login yet.",
            hint="Listen on 127.0.0.1, or set SWITCHBOARD_LISTEN_PUBLICLY=true "
            "where something else guards the door.",
        )


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """Open the runtime with the server and close it with it."""
    settings = checked_settings()
    dashboard_url = f"http://localhost:{st.get_option('server.port')}"
    try:
        get_runtime(lambda: Runtime(settings, dashboard_url=dashboard_url))
    except ConfigError as exc:
        sys.stderr.write(f"Switchboard cannot start: {exc}\n")
        raise SystemExit(2) from None
    except SwitchboardError as exc:  # the pages say so, and try again
        sys.stderr.write(f"Switchboard starts without its services: {exc}\n")
    turn_off_delay(st.get_option("server.port"))
    gc.freeze()  # what was imported stays: the collector need not look at it again
    try:
        yield
    finally:
        close_runtime()
