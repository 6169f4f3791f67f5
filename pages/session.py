"""Session: one voice session, seen from the inside, and what happened in it."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from dashboard.agents import commands, interrupts, state_edit
from dashboard.components.session_view import session_view
from dashboard.reviews import review
from dashboard.rooms import audio_monitoring
from dashboard.sessions import exports, session_actions
from dashboard.sessions import page as sessions
from dashboard.ui import bridge, feedback, nav
from dashboard.ui.fragments import live_part
from dashboard.ui.title import title
from services.agents.session_feed import session_topic
from services.clock import rfc3339
from services.ids import is_session_id

session_id = st.query_params.get("id") or st.session_state.get("session.id", "")
st.session_state["session.id"] = session_id  # the menu drops query parameters


# The same for both parts, so that the browser holds one connection for them.
TOPICS = ("sessions", session_topic(session_id))


@live_part(*TOPICS, key="session", max_per_second=2)
def head() -> None:
    """How it stands, what is asked, what can be done: anew whenever something changed."""
    store = bridge.runtime().store
    session = bridge.read(lambda: store.session(session_id))
    was_open = st.session_state.get("session.open") == session_id
    st.session_state["session.open"] = session_id if session.status.is_open else ""
    if was_open and not session.status.is_open:
        st.rerun()  # what is below offers what is not possible any more
    sessions.heading(session)
    with st.container():
        if session.status.is_open:
            session_actions.row(session)
    with st.container():
        interrupts.asked(bridge.read(lambda: store.agents.interrupts_of(session_id)))
    with st.container():
        if session.status.is_open:
            with st.expander("Commands", icon=":material/campaign:", key="session.tell"):
                commands.tell(session_id, bridge.runtime().jobs.streams.of_session(session_id))


def inside() -> datetime | None:
    """Graph, state, transcript and timeline; gives the moment to write a note about.

    The address names the moment that is looked at.
    """
    first = _moment(st.query_params.get("at", ""))
    shown = session_view(
        bridge.live_ticket(*TOPICS),
        session_id=session_id,
        moment=first,
        key=f"session.view.{session_id}",
    )
    if shown.moment is not None:
        st.query_params["at"] = rfc3339(shown.moment)
    elif "at" in st.query_params and shown.moment != first:
        del st.query_params["at"]
    return shown.note_at


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def history() -> None:
    """Details, participants and events."""
    store = bridge.runtime().store
    st.header("Details", anchor=False)
    sessions.facts(bridge.read(lambda: store.session(session_id)))
    st.header("Participants", anchor=False)
    sessions.visits_table(bridge.read(lambda: store.visits(session_id)))
    st.header("Events", anchor=False)
    sessions.events_table(bridge.read(lambda: store.events(session_id=session_id)))


if not is_session_id(session_id):
    title("Session")
    feedback.show_empty(
        "No session selected.",
        hint="Open a session from the list.",
        icon=":material/forum:",
        action=lambda: nav.link("sessions", "View sessions", icon=":material/forum:"),
    )
else:
    head()
    with st.container():
        audio_monitoring.in_session(session_id)
    note_at = inside()
    state_edit.draw(session_id)
    exports.links(session_id)
    review.draw(session_id, note_at)
    history()
    sessions.end_dialog(session_id)
    state_edit.dialog(session_id)
