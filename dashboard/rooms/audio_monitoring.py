"""Drawing the panel by which an operator listens in on a room, or joins it."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.components.listen import listen_in
from dashboard.ui import bridge, dialogs, join_tokens
from dashboard.ui import format as fmt
from services.rooms.views import RoomView

_KEY: Final = "listen"
_PERSON: Final = f"{_KEY}.person"


def in_room(room_name: str) -> None:
    """A part of the room's page, while the room is open."""
    view = bridge.runtime().rooms.snapshot.get(room_name)
    if view is not None:
        st.header("Listen in", anchor=False)
        _person_dialog(room_name)  # before the panel, which takes the ticket in its own run
        _panel(view)


def in_session(session_id: str) -> None:
    """Folded, on the session's page, while its room is open."""
    snapshot = bridge.runtime().rooms.snapshot
    views = (v for v in snapshot.rooms if v.session is not None and v.session.id == session_id)
    if (view := next(views, None)) is not None:
        _person_dialog(view.room.name)
        with st.expander("Listen in", icon=":material/hearing:", key=f"{_KEY}.fold"):
            _panel(view)


def _panel(view: RoomView) -> None:
    """Off until asked for; who asks is written down in the room's session."""
    room_name = view.room.name
    others = [p.name or p.identity for p in view.observers]
    if st.toggle(
        "Relay through the dashboard",
        key=f"{_KEY}.{room_name}.relayed",
        on_change=stop_relayed,
        args=(room_name,),
        help="Use this if this browser cannot reach LiveKit's media ports.",
    ):
        from dashboard.rooms import relayed_audio

        relayed_audio.panel(room_name)
        if others:
            names = fmt.listing([fmt.md(name) for name in others], limit=8)
            st.caption(f"Also listening: {names}")
    else:
        _straight(room_name, others)


def stop_relayed(room_name: str) -> None:
    """End what is heard through the dashboard, if anything is."""
    if (listening := st.session_state.pop(relayed_key(room_name), None)) is not None:
        bridge.runtime().listeners.leave(listening)


def relayed_key(room_name: str) -> str:
    """Where the browser session keeps what it hears through the dashboard."""
    return f"{_KEY}.{room_name}.listening"


def _person_dialog(room_name: str) -> None:
    """Ask before the operator joins the room as a visible participant."""
    runtime = bridge.runtime()

    def join() -> None:
        minted = bridge.write(
            lambda caller: runtime.actions.join_as_person(room_name, actor=caller)
        )
        join_tokens.put(_room_key(room_name), minted, person=True)

    dialogs.confirm(
        _PERSON,
        title=f"Join {room_name} as a participant?",
        body="Everyone in the room can see you join and hear your microphone.",
        consequences=lambda: (
            "The caller hears both you and the agent.",
            "The agent keeps listening to its caller and may transcribe your voice as theirs.",
            "The session records that you joined.",
        ),
        button="Join",
        on_confirm=join,
        done="Joining the room…",
        icon=":material/record_voice_over:",
    )


def _room_key(room_name: str) -> str:
    return f"{_KEY}.{room_name}"


def _straight(room_name: str, others: list[str]) -> None:
    runtime, key = bridge.runtime(), _room_key(room_name)
    wanted = listen_in(join_tokens.take(key), others=others, key=key)
    if wanted.join:
        dialogs.ask(_PERSON)
        st.rerun()
    if wanted.listen:
        join_tokens.ask(key, lambda caller: runtime.actions.listen_in(room_name, actor=caller))
    join_tokens.show_failure(key)
