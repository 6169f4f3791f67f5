"""Session: one voice session and what happened in it."""

from __future__ import annotations

import streamlit as st

from dashboard import agent_session, answers, bridge, feedback, nav, sessions
from dashboard.parts import live_part
from dashboard.title import title
from services.ids import is_session_id

session_id = st.query_params.get("id") or st.session_state.get("session.id", "")
st.session_state["session.id"] = session_id  # the menu drops query parameters


@live_part("sessions", f"session:{session_id}", key="session", max_per_second=3)
def body() -> None:
    """The session as it stands, anew whenever something changed."""
    store = bridge.runtime().store
    session = bridge.read(lambda: store.session(session_id))
    visits = bridge.read(lambda: store.visits(session_id))
    events = bridge.read(lambda: store.events(session_id=session_id))
    sessions.heading(session)
    sessions.facts(session)
    with st.container():
        answers.asked(session_id, bridge.read(lambda: store.agents.interrupts_of(session_id)))
    st.header("What was said", anchor=False)
    agent_session.turns_table(bridge.read(lambda: store.agents.turns_of(session_id)))
    with st.container():
        if session.status.is_open:
            agent_session.tell(session_id, bridge.runtime().jobs.streams.of_session(session_id))
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
