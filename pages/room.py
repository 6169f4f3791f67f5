"""Room: one open room, who is in it, and what can be done with it."""

from __future__ import annotations

import streamlit as st

from dashboard import bridge, feedback, nav, room, room_write
from dashboard.parts import live_part
from services.errors import NotFoundError
from services.rooms_view import RoomView

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
    """Everything that changes by itself."""
    if (error := rt.rooms.snapshot.error) is not None:
        feedback.show_stale(error, since=rt.rooms.snapshot.taken_at, key="room.stale")
    view = rt.rooms.snapshot.get(name) if error is not None else current()
    if view is None:
        gone()
        return
    room.heading(view)
    room.facts(view)
    st.subheader("Participants", anchor=False)
    room.participants(view)
    st.subheader("Agents", anchor=False)
    room.agents(view)
    room.kept_out(name, bridge.read(lambda: rt.store.denials(rt.now())))
    room.dialogs_of(view)


def gone() -> None:
    """No such room is open; its session may be known."""
    st.title("Room", anchor=False)
    session = bridge.read(lambda: rt.store.session_of_room(name)) if name else None
    if session is not None:
        feedback.show_empty(
            "This room has ended.",
            hint="What happened in it is in its session.",
            icon=":material/door_front:",
            action=lambda: nav.link("session", "Open its session", id=session.id),
        )
        return
    feedback.show_empty(
        "No such room is open.",
        hint="It may have ended, or the link is old.",
        icon=":material/door_front:",
        action=lambda: nav.link("rooms", "Go to rooms", icon=":material/meeting_room:"),
    )


body()
if (open_room := rt.rooms.snapshot.get(name)) is not None:
    st.subheader("Write to the room", anchor=False)
    left, right = st.columns(2)
    with left:
        room_write.message_form(open_room)
    with right:
        room_write.metadata_form(open_room)
