"""Test: talk to an agent in one click, with its graph and state beside the call."""

from __future__ import annotations

import streamlit as st

from dashboard.agents import interrupts
from dashboard.components.call import call_panel
from dashboard.components.session_view import session_view
from dashboard.reviews import review
from dashboard.testing import scripted, talk
from dashboard.ui import bridge, feedback, nav
from dashboard.ui.fragments import live_part
from dashboard.ui.tabs import tabs
from dashboard.ui.title import title
from services.agents.session_feed import session_topic
from services.ids import is_session_id

TABS = {
    "talk": ":material/call: Talk",
    "devices": ":material/mic: Check devices",
    "scripts": ":material/checklist: Scripts",
}

title("Test")
parts = tabs(TABS, key="test.tabs")
call, mind = parts["talk"].columns([5, 6], gap="medium")
with call:
    wanted = talk.options()
    result = call_panel(wanted, key="test.call", api_pass=bridge.api_pass("voice/session"))
session_id = result.session_id if is_session_id(result.session_id) else ""


@live_part(session_topic(session_id), key=f"test.{session_id}", max_per_second=4)
def inside() -> None:
    """The interrupts of the graph."""
    store = bridge.runtime().store
    interrupts.asked(bridge.read(lambda: store.agents.interrupts_of(session_id)))


with mind:
    if not session_id:
        feedback.show_empty(
            "No call yet.",
            hint="The agent's graph and state appear here during the call.",
            icon=":material/psychology:",
        )
    else:
        nav.link("session", "Open session", icon=":material/forum:", id=session_id)
        if result.phase == "ended":
            st.header("Result", anchor=False)
            talk.summary(session_id)
            review.verdict(session_id)
        inside()
        session_view(
            bridge.live_ticket(session_topic(session_id)),
            session_id=session_id,
            small=True,
            key=f"test.view.{session_id}",
        )
if parts["devices"].open:
    with parts["devices"]:
        from dashboard.testing import device_check

        device_check.panel()
if parts["scripts"].open:
    with parts["scripts"]:
        scripted.panel()
