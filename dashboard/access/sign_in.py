"""Drawing who is signed in, and what somebody sees who is not, or who has no role."""

from __future__ import annotations

import streamlit as st

from dashboard.ui import bridge, feedback
from dashboard.ui import format as fmt
from services.access.permissions import Caller
from services.access.sign_in import Login
from services.errors import PermissionDeniedError, SwitchboardError, UnauthenticatedError


def refuse(error: SwitchboardError) -> None:
    """Say why no page is shown, and offer what helps."""
    match error:
        case UnauthenticatedError():
            st.title("Sign in")
            _offer_sign_in(error)
        case PermissionDeniedError():
            st.title("No role assigned")
            feedback.show_error(error, key="gate")
            _offer_sign_out(_login())
        case _:
            st.title("Switchboard cannot start")
            feedback.show_error(error, key="gate")


def signed_in(who: Caller) -> None:
    """Who looks, as what, and the way out. Nothing where nobody is asked."""
    login = _login()
    if login == "none":
        return
    st.caption(f"Signed in as {fmt.code(who.name)}, {who.title}")
    _offer_sign_out(login)


def _offer_sign_in(error: UnauthenticatedError) -> None:
    match _login():
        case "oidc":
            st.write("This dashboard requires you to sign in.")
            st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)
        case "password":  # the cookie ran out while the page was open
            st.html('<a href="/api/sign-in" target="_self">Sign in</a>')
        case _:
            feedback.show_error(error, key="gate")


def _offer_sign_out(login: Login) -> None:
    match login:
        case "oidc":
            st.button(
                "Sign out",
                key="gate.out",
                type="tertiary",
                icon=":material/logout:",
                on_click=st.logout,
            )
        case "password":
            st.html('<a href="/api/sign-out" target="_self" style="color: inherit">Sign out</a>')
        case _:
            return  # a proxy has its own way


def _login() -> Login:
    return bridge.runtime().sign_in.login
