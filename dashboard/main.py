"""The page script: the gate, the menu, and then the page that was asked for.

Every page runs through here, a deep link on a fresh process too: `pages/` does not stand
beside this file, so Streamlit cannot run a page by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from dashboard.access import sign_in
from dashboard.alerts import page as alerts
from dashboard.components.asked_badge import asked_badge
from dashboard.components.call import call_dock
from dashboard.ui import bridge, dialogs, feedback, fragments, nav
from services.access.permissions import Caller
from services.agents.interrupts import TOPIC as QUESTIONS
from services.errors import PermissionDeniedError, SwitchboardError
from services.ids import is_session_id

_STATIC: Final = Path(__file__).resolve().parent / "static"
_SIDEBAR_PX: Final = 236
_ABOUT: Final = "**Switchboard**: the control room for LiveKit voice agents on your own servers."


def main() -> None:
    """Draw one run of one page."""
    # Before the navigation: Streamlit 1.67 else takes the page's icon for the favicon, and a
    # :material/: icon as favicon comes from the network.
    st.set_page_config(
        page_icon=_STATIC / "favicon.png",
        layout="wide",
        initial_sidebar_state=_SIDEBAR_PX,
        menu_items={"About": _ABOUT},
    )
    who = _who()
    known = isinstance(who, Caller)
    page = st.navigation(
        nav.menu(who if isinstance(who, Caller) else None),
        position="sidebar" if known else "hidden",
    )
    st.set_page_config(page_title=f"{page.title} · Switchboard")
    st.logo(str(_STATIC / "logo-on-dark.svg"), icon_image=str(_STATIC / "icon.svg"), size="large")
    if not isinstance(who, Caller):
        sign_in.refuse(who)
        return
    with st.sidebar:
        chosen = asked_badge(bridge.live_ticket(QUESTIONS), key="asked")
        alerts.in_sidebar()
        sign_in.signed_in(who)
    if chosen and is_session_id(chosen):
        nav.go("session", id=chosen)
    dialogs.begin_page(page.url_path)
    feedback.show_flashes()
    try:
        who.check(nav.right_for(page))
    except PermissionDeniedError as error:  # a link to what the menu does not show
        st.title(page.title)
        feedback.show_error(error, key="page.denied")
        return
    fragments.run(page.run, key="page")
    feedback.flashes_were_shown()
    # On its own page the call itself is seen.
    if page.url_path != "test" and call_dock(key="call.dock"):
        nav.go("test")


def _who() -> Caller | SwitchboardError:
    """Who looks at the page, or why nothing is shown."""
    try:
        return bridge.caller()
    except SwitchboardError as error:
        return error


main()
