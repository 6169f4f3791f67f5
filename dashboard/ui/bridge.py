"""The only way from a page to the services: from Streamlit's threads to the shared loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from services.access.permissions import Caller
from services.access.sign_in import COOKIE
from services.errors import UnauthenticatedError
from services.runtime import CALL_TIMEOUT_S, Runtime, get_runtime

T = TypeVar("T")


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


def ask(make: Callable[[Caller], Awaitable[T]], *, timeout_s: float = CALL_TIMEOUT_S) -> T:
    """Await a read that not everybody may make; `make` is given who looks at the page.

    Raises:
        SwitchboardError: what the service raised, or that no answer came.
    """
    who = caller()
    return read(lambda: make(who), timeout_s=timeout_s)


def write(make: Callable[[Caller], Awaitable[T]], *, timeout_s: float = 2 * CALL_TIMEOUT_S) -> T:
    """Await a write on the shared loop; it finishes even when the page is closed meanwhile.

    `make` is given who looks at the page: whoever acts is named.

    Raises:
        SwitchboardError: what the service raised, or that no answer came.
    """
    who = caller()
    # No yield point: a live tick would stop the script, and how the write went be lost.
    return runtime().call(lambda: make(who), timeout_s=timeout_s, finish=True)


def caller() -> Caller:
    """Who looks at this page, asked anew each time: what they may do can change.

    Raises:
        UnauthenticatedError: nobody is signed in.
        PermissionDeniedError: they are, and nobody gave them a role.
    """
    sign_in = runtime().sign_in
    address = st.context.ip_address or ""
    match sign_in.login:
        case "none":
            return sign_in.anybody(via="page")
        case "password":
            cookie = st.context.cookies.get(COOKIE, "")
            return sign_in.by_cookie(cookie, via="page", address=address)
        case "proxy":
            headers = {name.lower(): value for name, value in st.context.headers.items()}
            return sign_in.by_proxy(headers, via="page", address=address)
        case "oidc":
            return _by_oidc(address)


def _by_oidc(address: str) -> Caller:
    if not st.user.is_logged_in:
        raise UnauthenticatedError("You are not signed in.", hint="Sign in, then try again.")
    rt = runtime()
    told: dict[str, object] = dict(st.user.to_dict())
    if told.get("email_verified") in (False, "false"):  # typed by anybody: it names nobody
        told.pop("email", None)
    names = (told.get(claim) for claim in ("email", "preferred_username", "sub"))
    name = next((str(one) for one in names if one), "")
    groups: object = told.get(rt.settings.switchboard_oidc_groups_claim)
    listed = [str(group) for group in groups] if isinstance(groups, list) else []
    return rt.sign_in.by_claims(name, listed, address=address)


def api_pass(path: str) -> str | None:
    """What this page's browser proves itself by when it asks for `/api/` + `path` and below it.

    None: its cookie, or the proxy, does that.
    """
    sign_in = runtime().sign_in
    return sign_in.pass_for(caller(), f"/{path}") if sign_in.login == "oidc" else None


def download_url(path: str, **query: str | list[str]) -> str:
    """Where this page's browser fetches `/api/` + `path`, relative to the page's base."""
    given = api_pass(path)
    return f"api/{path}?" + urlencode({**query, **({"pass": given} if given else {})}, doseq=True)


def live_ticket(*topics: str) -> str:
    """What this page's component subscribes to live updates of `topics` with."""
    return runtime().tickets.issue(topics)


def _yield_point() -> None:
    """Streamlit stops a script where it touches the session state: give it the chance."""
    if get_script_run_ctx(suppress_warning=True) is not None:
        _ = "bridge" in st.session_state
