"""Session: one voice session and what happened in it."""

from __future__ import annotations

import streamlit as st

from dashboard import bridge, feedback, nav, sessions
from dashboard.parts import live_part
from dashboard.title import title
from services.ids import is_session_id

session_id = st.query_params.get("id") or st.session_state.get("session.id", "")
st.session_state["session.id"] = session_id  # the menu drops query parameters


@live_part("sessions", key="session")
def body() -> None:
    """The session as it stands, anew whenever something changed."""
    store = bridge.runtime().store
    session = bridge.read(lambda: store.session(session_id))
    visits = bridge.read(lambda: store.visits(session_id))
    events = bridge.read(lambda: store.events(session_id=session_id))
    sessions.heading(session)
    sessions.facts(session)
    st.header("Who was there", anchor=False)
    sessions.visits_table(visits)
    st.header("What happened", anchor=False)
    sessions.events_table(events)


if not is_session_id(session_id):
    title("Session")
    feedback.show_empty(
        "No session is chosen.",
        hint="Choose one on the overview.",
        icon=":material/forum:",
        action=lambda: nav.link("overview", "Go to overview", icon=":material/monitoring:"),
    )
else:
    body()
    sessions.end_dialog(session_id)
