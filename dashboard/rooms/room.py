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
    named = f" Its full name: {fmt.code(view.name)}" if short != view.name else ""
    st.caption(f"{fmt.md(text)}{named}")
    with st.container(horizontal=True, vertical_alignment="center"):
        nav.link("tokens", "Make a token", icon=":material/key:", room=view.name)
        if view.session is not None:
            nav.link("session", "Its session", icon=":material/forum:", id=view.session.id)
        if view.session is not None and view.session.expires_at is not None:
            more_time(view.session.id, key="room.extend", kind="tertiary")


def facts(view: RoomView) -> None:
    """The figures of the room, and how it was opened."""
    now, room, session = utc_now(), view.room, view.session
    expires_at = session.expires_at if session is not None else None
    figures = [
        ("People", fmt.number(view.people)),
        ("Agents", fmt.number(view.agents)),
        ("Open for", fmt.age(room.created_at or view.seen_at, now=now)),
        (
            "Time left",
            fmt.until(expires_at, now=now).removeprefix("in ") if expires_at else "no end",
        ),
    ]
    grid = st.grid(len(figures), min_column_width=_CARD_PX)
    for name, value in figures:
        grid.metric(name, value, border=True)
    limit = fmt.number(room.max_participants) if room.max_participants else "no limit"
    state = f" ({view.agent_state})" if view.agent_state else ""
    rows = [
        ("Agent", fmt.md(f"{view.agent_name or fmt.ABSENT}{state}")),
        ("Made by", "others" if view.adopted else "Switchboard"),
        ("Publishing", fmt.count_text(view.publishers, "participant")),
        ("Most participants", limit),
        ("When nobody comes", f"closes after {fmt.duration(room.empty_timeout_s)}"),
        ("When the last one leaves", f"closes after {fmt.duration(room.departure_timeout_s)}"),
        ("LiveKit's id", fmt.code(room.sid)),
    ]
    with st.expander("Facts", key="room.facts", icon=":material/info:", type="compact"):
        facts_table(rows, columns=2, alt="How the room was opened")


def agents(view: RoomView) -> None:
    """Which agents were asked for, what became of it, and asking for one more."""
    runtime = bridge.runtime()
    # LiveKit asks for an agent without a name in every room by itself: nobody here did.
    asked_for = [d for d in view.dispatches or () if d.agent_name or d.jobs]
    with st.container():
        for dispatch in asked_for:
            st.markdown(_dispatch_text(dispatch))
        if not asked_for:
            st.caption(
                "No agent was asked for in this room."
                if view.dispatches is not None
                else "Reading which agents were asked for…"
            )
        if view.agents == 0 and asked_for and runtime.embedded is not None:
            wanted = {dispatch.agent_name for dispatch in asked_for}
            there = {worker.agent_name for worker in runtime.embedded.workers}
            if missing := sorted(wanted - there):
                st.warning(
                    f"No worker is registered for {fmt.md(fmt.listing(missing))}. "
                    "Start one; then ask again.",
                    icon=":material/smart_toy:",
                )
    if view.agents == 0 and (view.agent_name or asked_for):
        with st.expander("Why is the agent not here?", icon=":material/troubleshoot:"):
            dispatch_diagnosis.steps(bridge.read(lambda: runtime.diagnosis.of_room(view.name)))
    names = [entry.name for entry in runtime.graphs.all()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Agent",
            names,
            key="room.agent",
            accept_new_options=True,
            width=280,
            help="From langgraph.json, or type another agent's name.",
        )
        act(
            "Ask for this agent",
            "room.agent.ask",
            lambda: bridge.write(
                lambda caller: runtime.actions.create_dispatch(view.name, str(name), actor=caller)
            ),
            icon=":material/add:",
            done=f"{fmt.code(str(name))} was asked for.",
        )


def _dispatch_text(dispatch: Dispatch) -> str:
    head = f":material/smart_toy: **{fmt.md(dispatch.agent_name or 'any agent')}**"
    asked = f":gray[asked for {viewer.moment(dispatch.created_at)}]"
    if not dispatch.jobs:
        return f"{head} :orange-badge[no worker took it] {asked}"
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


def end_dialog(name: str) -> None:
    """Asks before the room is ended."""
    runtime = bridge.runtime()
    dialogs.confirm(
        _END,
        title="End this room?",
        body=f"{fmt.code(name)} is deleted at LiveKit. This cannot be undone.",
        consequences=lambda: [
            who_leaves(name),
            "It stays closed: old tokens do not open it again.",
            "What happened in it stays in its session.",
        ],
        topics=(f"room:{name}",),
        button="End room",
        on_confirm=lambda: bridge.write(
            lambda caller: runtime.actions.end(name, actor=caller, reason="Ended by an operator.")
        ),
        done="The room has ended.",
    )
