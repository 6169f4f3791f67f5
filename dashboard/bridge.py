"""The only way from a page to the services: from Streamlit's threads to the shared loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from services.runtime import CALL_TIMEOUT_S, Runtime, get_runtime

T = TypeVar("T")

ACTOR: Final = "operator"  # who acts, until there is a login


def runtime() -> Runtime:
    """The runtime of this process.

    Raises:
        SwitchboardError: it cannot start; `feedback.show_error` draws why.
    """
    return get_runtime()


def read(make: Callable[[], Awaitable[T]], *, timeout_s: float = CALL_TIMEOUT_S) -> T:
    """Await a read on the shared loop; it is cancelled when the page reruns or is closed.

    Raises:
        SwitchboardError: what the service raised, or that no answer came.
    """
    return runtime().call(make, timeout_s=timeout_s, stopped=_yield_point)


def write(make: Callable[[], Awaitable[T]], *, timeout_s: float = 2 * CALL_TIMEOUT_S) -> T:
    """Await a write on the shared loop; it finishes even when the page is closed meanwhile.

    Raises:
        SwitchboardError: what the service raised, or that no answer came.
    """
    # No yield point: a live tick would stop the script, and how the write went be lost.
    return runtime().call(make, timeout_s=timeout_s, finish=True)


def live_url(*topics: str) -> str:
    """Where this page's component reads live updates of `topics`, relative to the page's base."""
    return "api/live?" + urlencode({"ticket": runtime().tickets.issue(topics)})


def _yield_point() -> None:
    """Streamlit stops a script where it touches the session state: give it the chance."""
    if get_script_run_ctx(suppress_warning=True) is not None:
        _ = "bridge" in st.session_state
