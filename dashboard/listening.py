"""Drawing the panel by which an operator listens in on a room."""

from __future__ import annotations

import streamlit as st

from dashboard import bridge, feedback
from dashboard.components.listen import Ticket, listen_in
from services.errors import SwitchboardError

_KEY = "listen"


def panel(room_name: str) -> None:
    """Off until asked for; who asks is written down in the room's session."""
    runtime = bridge.runtime()
    ticket_key, error_key = f"{_KEY}.{room_name}.ticket", f"{_KEY}.{room_name}.error"
    view = runtime.rooms.snapshot.get(room_name)
    if view is None:
        return
    st.header("Listen in", anchor=False)
    # Given once: who comes back to the page is not in the room again by that.
    ticket: Ticket | None = st.session_state.pop(ticket_key, None)
    others = [p.name or p.identity for p in view.observers]
    if listen_in(ticket, others=others, key=f"{_KEY}.{room_name}"):
        st.session_state.pop(error_key, None)
        try:
            minted = bridge.write(lambda: runtime.actions.listen_in(room_name, actor=bridge.ACTOR))
        except SwitchboardError as error:
            st.session_state[error_key] = error
        else:
            st.session_state[ticket_key] = Ticket(
                url=runtime.target.public_url, token=minted.token, name=minted.identity
            )
        st.rerun()
    if (failed := st.session_state.get(error_key)) is not None:
        feedback.show_error(failed, key=error_key, retry=False)
