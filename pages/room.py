"""Room: one open room, who is in it, and what can be done with it."""

from __future__ import annotations

import streamlit as st

from dashboard.rooms import audio_monitoring, messages, participants, room
from dashboard.ui import bridge, feedback
from dashboard.ui.fragments import live_part
from dashboard.ui.title import title
from services.errors import NotFoundError
from services.rooms.views import RoomView

name = st.query_params.get("name") or st.session_state.get("room.name", "")
st.session_state["room.name"] = name  # the menu drops query parameters
rt = bridge.runtime()


def current() -> RoomView | None:
    """The room as last known; asked of LiveKit when its details were never read."""
    view = rt.rooms.snapshot.get(name)
    if view is not None and view.dispatches is not None:
        return view
    try:
        return bridge.read(lambda: rt.rooms.refresh(name))
    except NotFoundError:
        return None


@live_part(f"room:{name}", "system", key="room")
def body() -> None:
    """Everything that changes by itself.

    Each part in a place of its own: what comes and goes above a field that somebody types in
    must not make the browser draw that field anew.
    """
    error = rt.rooms.snapshot.error
    with st.container():
        if error is not None:
            feedback.show_stale(error, since=rt.rooms.snapshot.taken_at, key="room.stale")
    view = rt.rooms.snapshot.get(name) if error is not None else current()
    if view is None:
        title("Room")
        if error is not None and rt.rooms.snapshot.taken_at is None:
            st.caption("The state of this room is unknown.")
        else:
            room.gone(name)
        return
    with st.container():
        room.heading(view)
        room.facts(view)
    with st.container():
        st.header("Participants", anchor=False)
        participants.participants(view)
    with st.container():
        participants.blocked(name, bridge.read(lambda: rt.store.denials(rt.now())))
    with st.container():
        st.header("Agents", anchor=False)
        room.agents(view)
    with st.container():
        st.header("Message and metadata", anchor=False)
        left, right = st.columns(2)
        with left:
            messages.message_form(view)
        with right:
            messages.metadata_form(view)


body()
audio_monitoring.in_room(name)
room.end_dialog(name)
participants.remove_dialog(name)
