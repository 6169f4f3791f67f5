"""Drawing one room: how it stands, who is in it, its agents."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.agents import dispatch_diagnosis
from dashboard.sessions.page import who_leaves
from dashboard.sessions.session_actions import more_time
from dashboard.ui import bridge, dialogs, feedback, nav, viewer
from dashboard.ui import format as fmt
from dashboard.ui.actions import act
from dashboard.ui.details import facts_table
from dashboard.ui.title import Badge, title_bar
from services.clock import utc_now
from services.livekit.models import Dispatch, JobStatus
from services.rooms.views import Health, RoomView

_HEALTH: Final[dict[Health, Badge]] = {
    Health.OK: ("green", ":material/check_circle:", "Healthy"),
    Health.EMPTY: ("gray", ":material/door_open:", "Empty"),
    Health.UNKNOWN: ("gray", ":material/help:", "Unknown"),
    Health.ENDING: ("blue", ":material/hourglass_top:", "Ending"),
    Health.EXPIRING: ("orange", ":material/hourglass_bottom:", "Expiring"),
    Health.NO_AGENT: ("red", ":material/smart_toy:", "No agent"),
}
_END: Final = "room.end"
_TITLE_CHARS: Final = 24
_CARD_PX: Final = 176


def heading(view: RoomView) -> None:
    """The name, how it does, and what can be done with it."""
    health, text = view.health(utc_now())
    short = fmt.shorten(view.name, _TITLE_CHARS)
    with title_bar(fmt.md(short), badge=_HEALTH[health]):
        st.button(
            "End room",
            key="room.end.open",
            icon=":material/stop_circle:",
            on_click=dialogs.ask,
            args=(_END,),
            disabled=view.ending,
        )
    named = f" Room: {fmt.code(view.name)}" if short != view.name else ""
    st.caption(f"{fmt.md(text)}{named}")
    with st.container(horizontal=True, vertical_alignment="center"):
        nav.link("tokens", "Create token", icon=":material/key:", room=view.name)
        if view.session is not None:
            nav.link("session", "Open session", icon=":material/forum:", id=view.session.id)
        if view.session is not None and view.session.expires_at is not None:
            more_time(view.session.id, key="room.extend", kind="tertiary")


def facts(view: RoomView) -> None:
    """The metrics of the room and its settings."""
    now, room, session = utc_now(), view.room, view.session
    expires_at = session.expires_at if session is not None else None
    figures = [
        ("Participants", fmt.number(view.people)),
        ("Agents", fmt.number(view.agents)),
        ("Open for", fmt.age(room.created_at or view.seen_at, now=now)),
        (
            "Time left",
            fmt.until(expires_at, now=now).removeprefix("in ") if expires_at else "no limit",
        ),
    ]
    grid = st.grid(len(figures), min_column_width=_CARD_PX)
    for name, value in figures:
        grid.metric(name, value, border=True)
    limit = fmt.number(room.max_participants) if room.max_participants else "no limit"
    state = f" ({view.agent_state})" if view.agent_state else ""
    rows = [
        ("Agent", fmt.md(f"{view.agent_name or fmt.ABSENT}{state}")),
        ("Created by", "external" if view.adopted else "Switchboard"),
        ("Publishers", fmt.number(view.publishers)),
        ("Max participants", limit),
        ("Empty timeout", fmt.duration(room.empty_timeout_s)),
        ("Departure timeout", fmt.duration(room.departure_timeout_s)),
        ("SID", fmt.code(room.sid)),
    ]
    with st.expander("Details", key="room.facts", icon=":material/info:", type="compact"):
        facts_table(rows, columns=2, alt="Details of the room")


def agents(view: RoomView) -> None:
    """The room's dispatches with their jobs, and a form to dispatch another agent."""
    runtime = bridge.runtime()
    # LiveKit adds a dispatch without an agent name to every room: nobody here requested it.
    asked_for = [d for d in view.dispatches or () if d.agent_name or d.jobs]
    with st.container():
        for dispatch in asked_for:
            st.markdown(_dispatch_text(dispatch))
        if not asked_for:
            st.caption(
                "No agent is dispatched to this room."
                if view.dispatches is not None
                else "Loading dispatches…"
            )
        if view.agents == 0 and asked_for and runtime.embedded is not None:
            wanted = {dispatch.agent_name for dispatch in asked_for}
            there = {worker.agent_name for worker in runtime.embedded.workers}
            if missing := sorted(wanted - there):
                st.warning(
                    f"No worker is registered for {fmt.md(fmt.listing(missing))}. "
                    "Start a worker, then dispatch the agent again.",
                    icon=":material/smart_toy:",
                )
    if view.agents == 0 and (view.agent_name or asked_for):
        with st.expander("Why didn't the agent join?", icon=":material/troubleshoot:"):
            dispatch_diagnosis.steps(bridge.read(lambda: runtime.diagnosis.of_room(view.name)))
    names = [entry.name for entry in runtime.graphs.all()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Agent",
            names,
            key="room.agent",
            accept_new_options=True,
            width=280,
            help="An agent from langgraph.json, or any other agent name.",
        )
        act(
            "Dispatch agent",
            "room.agent.ask",
            lambda: bridge.write(
                lambda caller: runtime.actions.create_dispatch(view.name, str(name), actor=caller)
            ),
            icon=":material/add:",
            done=f"{fmt.code(str(name))} dispatched",
        )


def _dispatch_text(dispatch: Dispatch) -> str:
    head = f":material/smart_toy: **{fmt.md(dispatch.agent_name or 'any agent')}**"
    asked = f":gray[requested {viewer.moment(dispatch.created_at)}]"
    if not dispatch.jobs:
        return f"{head} :orange-badge[not accepted] {asked}"
    colours = {JobStatus.RUNNING: "green", JobStatus.FAILED: "red", JobStatus.PENDING: "blue"}
    jobs = " ".join(
        f":{colours.get(job.status, 'gray')}-badge[{job.status.value}] {fmt.md(job.error)}"
        for job in dispatch.jobs
    )
    return f"{head} {jobs} {asked}"


def gone(name: str) -> None:
    """No such room is open; its session may be known."""
    store = bridge.runtime().store
    session = bridge.read(lambda: store.session_of_room(name)) if name else None
    if session is not None:
        feedback.show_empty(
            "This room has ended.",
            hint="Its session has the transcript and the events.",
            icon=":material/door_front:",
            action=lambda: nav.link("session", "Open session", id=session.id),
        )
        return
    feedback.show_empty(
        "Room not found.",
        hint="It may have ended, or the link is out of date.",
        icon=":material/door_front:",
        action=lambda: nav.link("rooms", "View rooms", icon=":material/meeting_room:"),
    )


def end_dialog(name: str) -> None:
    """Asks before the room is ended."""
    runtime = bridge.runtime()
    dialogs.confirm(
        _END,
        title="End room?",
        body=f"This disconnects everyone and deletes {fmt.code(name)}. You can't undo this.",
        consequences=lambda: [
            who_leaves(name),
            "Existing tokens no longer work for this room.",
            "The session keeps its transcript and events.",
        ],
        topics=(f"room:{name}",),
        button="End room",
        on_confirm=lambda: bridge.write(
            lambda caller: runtime.actions.end(name, actor=caller, reason="Ended by an operator.")
        ),
        done="Room ended",
    )
