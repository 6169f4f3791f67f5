"""Drawing the rooms page: create a room, end the chosen ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import streamlit as st

from dashboard.ui import bridge, dialogs, feedback, nav, viewer
from dashboard.ui import format as fmt
from dashboard.ui.title import title_bar
from services.errors import SwitchboardError
from services.sessions.service import CreatedSession, NewSession
from services.store.records import Origin

_CREATE: Final = "rooms.create"
_END: Final = "rooms.end"
_NO_AGENT: Final = "No agent"
_END_TIMEOUT_S: Final = 120.0
_NAMED: Final = 12  # rooms named one by one before they are ended


def header(selected: Sequence[str]) -> None:
    """The title, and what can be done: create, and end what is selected."""
    with title_bar("Rooms"):
        if selected:
            st.button(
                f"End {fmt.count_text(len(selected), 'room')}",
                key="rooms.end.open",
                icon=":material/stop_circle:",
                on_click=dialogs.ask,
                args=(_END,),
                kwargs={"names": tuple(selected)},
            )
        st.button(
            "Create room",
            key="rooms.create.open",
            type="primary",
            icon=":material/add:",
            on_click=dialogs.ask,
            args=(_CREATE,),
        )


def end_dialog() -> None:
    """Say what ends and who is disconnected, then end it."""
    asked = dialogs.asked(_END)
    if asked is None:
        return
    names: tuple[str, ...] = asked["names"]
    runtime = bridge.runtime()
    rooms, one = fmt.count_text(len(names), "room"), len(names) == 1
    thing = "room" if one else "rooms"
    dialogs.confirm(
        _END,
        title=f"End {rooms}?",
        body=f"This disconnects everyone and deletes the {thing}. You can't undo this.",
        consequences=lambda: [
            *_occupants(names),
            f"Existing tokens no longer work for {'this room' if one else 'these rooms'}.",
        ],
        topics=("rooms",),
        button=f"End {rooms}",
        on_confirm=lambda: bridge.write(
            lambda caller: runtime.actions.end_many(
                names, actor=caller, reason="Ended by an operator."
            ),
            timeout_s=_END_TIMEOUT_S,
        ),
        done=f"{rooms} ended",
    )


def _occupants(names: Sequence[str]) -> list[str]:
    """Who is in which of these rooms now."""
    found = {view.name: view for view in bridge.runtime().rooms.snapshot.rooms}
    views = [found[name] for name in names if name in found]
    lines = [
        f"{fmt.code(view.name)}: {fmt.count_text(view.people, 'participant')}, "
        f"{fmt.count_text(view.agents, 'agent')}"
        for view in views[:_NAMED]
    ]
    if rest := views[_NAMED:]:
        people = sum(view.people for view in rest)
        lines.append(
            f"and {fmt.count_text(len(rest), 'more room')} with "
            f"{fmt.count_text(people, 'participant')}"
        )
    return lines


def create_dialog() -> None:
    """Asks for what a room needs; then shows it with a token to join by."""
    facts = dialogs.asked(_CREATE)
    if facts is None:
        return

    @st.dialog("Create room", icon=":material/add:", width="medium", on_dismiss=dialogs.close)
    def draw() -> None:
        made: CreatedSession | None = facts.get("made")
        if made is None:
            _form(facts)
        else:
            _made(made)

    draw()


def _form(facts: dict[str, Any]) -> None:
    runtime = bridge.runtime()
    agents = [entry.name for entry in runtime.graphs.all()]
    with st.container():  # always there: what stands below must not close when an error appears
        if "error" in facts:
            feedback.show_error(facts["error"], key="rooms.create.error")
    with st.form("rooms.create.form", border=False, enter_to_submit=False):
        left, right = st.columns(2)
        name = left.text_input(
            "Name",
            key="rooms.create.name",
            placeholder="Generated",
            help="Leave empty for a unique name, which is safest.",
        )
        agent = right.selectbox(
            "Agent", [*agents, _NO_AGENT], key="rooms.create.agent", help="From langgraph.json"
        )
        user_id = left.text_input(
            "Identity",
            value="operator",
            key="rooms.create.user",
            help="The identity that the join token is for.",
        )
        hours = right.number_input(
            "Ends after (hours)",
            min_value=0.0,
            max_value=float(runtime.settings.switchboard_session_max_hours),
            value=2.0,
            step=0.5,
            key="rooms.create.hours",
            help="0: no time limit. The room closes after everyone has left.",
        )
        more = "error" in facts  # what is wrong may stand there
        with st.expander("More options", expanded=more, icon=":material/tune:"):
            a, b, c = st.columns(3)
            empty_s = a.number_input(
                "Empty timeout (s)",
                0,
                86_400,
                900,
                key="rooms.create.empty",
                help="How long the room stays open if nobody joins.",
            )
            departure_s = b.number_input(
                "Departure timeout (s)",
                0,
                86_400,
                20,
                key="rooms.create.departure",
                help="How long the room stays open after the last participant leaves.",
            )
            most = c.number_input(
                "Max participants", 0, 10_000, 0, key="rooms.create.most", help="0: no limit"
            )
            metadata = st.text_area(
                "Metadata (JSON object)",
                key="rooms.create.metadata",
                placeholder='{"topic": "stand-up"}',
                help="All participants can read it.",
            )
        with st.container(horizontal=True, horizontal_alignment="right"):
            submitted = st.form_submit_button(
                "Create room", key="rooms.create.submit", type="primary"
            )
    if not submitted:
        return
    wanted = NewSession(
        user_id=user_id,
        agent_name=None if agent == _NO_AGENT else agent,
        duration=timedelta(hours=hours) if hours else None,
        room_name=name.strip() or None,
        room_metadata=metadata.strip(),
        empty_timeout=timedelta(seconds=empty_s) if empty_s else None,
        departure_timeout=timedelta(seconds=departure_s) if departure_s else None,
        max_participants=int(most),
    )
    facts.pop("error", None)
    try:
        with st.spinner("Creating the room…"):
            facts["made"] = bridge.write(
                lambda caller: runtime.sessions.create(wanted, origin=Origin.PAGE, actor=caller)
            )
    except SwitchboardError as error:
        facts["error"] = error
    st.rerun()


def _made(made: CreatedSession) -> None:
    room = made.session.room_name
    st.success(f"Room created: {fmt.code(room)}", icon=":material/check_circle:")
    st.markdown(
        f"Join token for {fmt.code(made.token.identity)}, valid until "
        f"{viewer.moment(made.token.expires_at)}. It is shown only once."
    )
    st.code(made.token.token, language=None, wrap_lines=True)
    st.caption("Server URL")
    st.code(bridge.runtime().target.public_url, language=None)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Create token", key="rooms.create.tokens", icon=":material/key:"):
            dialogs.close()
            nav.go("tokens", room=room)
        if st.button("Open room", key="rooms.create.go", type="primary"):
            dialogs.close()
            nav.go("room", name=room)
