"""Drawing one room: how it stands, who is in it, its agents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import streamlit as st

from dashboard import bridge, dialogs, feedback, nav, viewer
from dashboard import format as fmt
from dashboard.sessions import Colour
from services.clock import utc_now
from services.errors import SwitchboardError
from services.livekit.models import Dispatch, JobStatus, Participant, Track
from services.rooms_view import Health, RoomView
from services.store.records import Denial

_HEALTH: Final[dict[Health, tuple[Colour, str, str]]] = {
    Health.OK: ("green", ":material/check_circle:", "Healthy"),
    Health.EMPTY: ("gray", ":material/door_open:", "Empty"),
    Health.UNKNOWN: ("gray", ":material/help:", "Unknown"),
    Health.ENDING: ("blue", ":material/hourglass_top:", "Ending"),
    Health.EXPIRING: ("orange", ":material/hourglass_bottom:", "Expiring"),
    Health.NO_AGENT: ("red", ":material/smart_toy:", "No agent"),
}
_KINDS: Final = {
    "standard": (":material/person:", "person"),
    "agent": (":material/smart_toy:", "agent"),
    "sip": (":material/call:", "telephone"),
    "ingress": (":material/input:", "ingress"),
    "egress": (":material/output:", "egress"),
}
_SHOWN: Final = 100
_END: Final = "room.end"
_REMOVE: Final = "room.remove"
_MORE_TIME: Final = timedelta(hours=1)


def heading(view: RoomView) -> None:
    """The name, how it does, and what can be done with it."""
    health, text = view.health(utc_now())
    colour, icon, word = _HEALTH[health]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(fmt.md(fmt.shorten(view.name, 28)), anchor=False, width="content")
        st.badge(word, icon=icon, color=colour)
        st.space("stretch")
        nav.link("tokens", "Make a token", icon=":material/key:", room=view.name)
        if view.session is not None:
            nav.link("session", "Its session", icon=":material/forum:", id=view.session.id)
        st.button(
            "End room",
            key="room.end.open",
            icon=":material/stop_circle:",
            on_click=dialogs.ask,
            args=(_END,),
            disabled=view.ending,
        )
    st.caption(f"{fmt.md(text)} {fmt.code(view.name)}")


def facts(view: RoomView) -> None:
    """The figures of the room."""
    now, room = utc_now(), view.room
    expires_at = view.session.expires_at if view.session is not None else None
    parts = [
        ("People", fmt.number(view.people)),
        ("Agents", fmt.number(view.agents)),
        ("Publishing", fmt.number(view.publishers)),
        ("Open for", fmt.age(room.created_at or view.seen_at, now=now)),
    ]
    for column, (name, value) in zip(st.columns(4), parts, strict=True):
        column.metric(name, value, border=True)
    limit = fmt.number(room.max_participants) if room.max_participants else "no limit"
    lines = [
        f":gray[Agent] {fmt.md(view.agent_name or fmt.ABSENT)} {fmt.md(view.agent_state)}",
        f":gray[Most participants] {limit}",
        f":gray[Closes] {room.empty_timeout_s} s after nobody came, "
        f"{room.departure_timeout_s} s after the last left",
        f":gray[Made by] {'others' if view.adopted else 'Switchboard'}",
        f":gray[Room id] {fmt.code(room.sid)}",
    ]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(" · ".join(lines), width="stretch")
        if expires_at is not None and view.session is not None:
            st.markdown(f":gray[Ends] {fmt.until(expires_at, now=now)}", width="content")
            session_id = view.session.id
            sessions = bridge.runtime().sessions
            act(
                "One more hour",
                "room.extend",
                lambda: bridge.write(
                    lambda: sessions.extend(session_id, _MORE_TIME, actor=bridge.ACTOR)
                ),
                icon=":material/more_time:",
            )


def act(
    label: str, key: str, do: Callable[[], object], *, icon: str, done: str = "", **rest: str
) -> None:
    """A button that does something at once and says how it went."""
    if not st.button(label, key=key, icon=icon, help=rest.get("help")):
        return
    try:
        do()
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{key}.error")
    else:
        feedback.flash(fmt.plain(done or f"{label}: done."))
        st.rerun()


def participants(view: RoomView) -> None:
    """Everyone in the room, with tracks and rights."""
    seen = [p for p in view.participants if not p.is_observer]
    if not seen and view.participants_known:
        feedback.show_empty(
            "Nobody is in the room.",
            hint="Make a token and join, or ask for an agent below.",
            icon=":material/person_off:",
        )
    elif not seen:
        feedback.show_loading(2, height=64)
    for participant in seen[:_SHOWN]:
        _participant(view, participant)
    if len(seen) > _SHOWN:
        st.caption(f"And {len(seen) - _SHOWN:,} more.")


def _participant(view: RoomView, participant: Participant) -> None:
    icon, kind = _KINDS.get(participant.kind, (":material/help:", participant.kind))
    key = f"room.participant.{participant.sid}"
    with st.container(border=True, key=key):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{icon} **{fmt.md(participant.identity)}**", width="content")
            if participant.name and participant.name != participant.identity:
                st.caption(fmt.md(participant.name), width="content")
            st.badge(kind, color="violet" if participant.is_agent else "gray")
            if participant.agent_state:
                st.badge(participant.agent_state, color="blue")
            if participant.permissions is not None and participant.permissions.hidden:
                st.badge("hidden", icon=":material/visibility_off:", color="orange")
            st.space("stretch")
            st.caption(f"joined {fmt.ago(participant.joined_at, now=utc_now())}", width="content")
            st.button(
                "Remove",
                key=f"{key}.remove",
                icon=":material/person_remove:",
                on_click=dialogs.ask,
                args=(_REMOVE,),
                kwargs={"identity": participant.identity},
            )
        for track in participant.tracks:
            _track(view, participant, track, key=f"{key}.{track.sid}")
        _details(participant)


def _track(view: RoomView, participant: Participant, track: Track, *, key: str) -> None:
    actions = bridge.runtime().actions
    icon = ":material/mic:" if track.kind == "audio" else ":material/videocam:"
    if track.muted:
        icon = ":material/mic_off:" if track.kind == "audio" else ":material/videocam_off:"
    with st.container(horizontal=True, vertical_alignment="center"):
        what = f"{track.kind} from {track.source.replace('_', ' ')}"
        muted = " :orange-badge[muted]" if track.muted else ""
        st.markdown(f"{icon} {fmt.md(what)} :gray[{fmt.md(track.mime_type)}]{muted}")
        st.space("stretch")
        act(
            "Unmute" if track.muted else "Mute",
            f"{key}.mute",
            lambda: bridge.write(
                lambda: actions.mute_track(
                    view.name,
                    participant.identity,
                    track.sid,
                    muted=not track.muted,
                    actor=bridge.ACTOR,
                )
            ),
            icon=":material/mic:" if track.muted else ":material/mic_off:",
            help="Unmuting from here needs room.enable_remote_unmute at the server.",
        )


def _details(participant: Participant) -> None:
    rights = participant.permissions
    can: list[str] = []
    if rights is not None:
        may = {
            "subscribe": rights.can_subscribe,
            "publish": rights.can_publish,
            "send data": rights.can_publish_data,
            "change its metadata": rights.can_update_metadata,
        }
        can = [word for word, allowed in may.items() if allowed]
    with st.expander("Rights, attributes, metadata", icon=":material/badge:"):
        says = fmt.listing(can, limit=9) if can else "not told yet" if rights is None else "nothing"
        st.markdown(f":gray[May] {says} · :gray[State] {participant.state.value}")
        st.markdown(f":gray[Participant id] {fmt.code(participant.sid)}")
        if participant.attributes:
            st.table(
                {
                    "Attribute": [fmt.md(name) for name in participant.attributes],
                    "Value": [fmt.md(value) for value in participant.attributes.values()],
                }
            )
        if participant.metadata:
            st.code(participant.metadata, language="json", wrap_lines=True)


def agents(view: RoomView) -> None:
    """Which agents were asked for, what became of it, and asking for one more."""
    runtime = bridge.runtime()
    for dispatch in view.dispatches or ():
        st.markdown(_dispatch_text(dispatch))
    if not view.dispatches:
        st.caption(
            "No agent was asked for in this room."
            if view.dispatches is not None
            else "Reading which agents were asked for…"
        )
    if view.agents == 0 and view.dispatches and runtime.embedded is not None:
        wanted = {dispatch.agent_name for dispatch in view.dispatches}
        there = {worker.agent_name for worker in runtime.embedded.workers}
        if missing := sorted(wanted - there):
            st.warning(
                f"No worker is registered for {fmt.md(fmt.listing(missing))}. "
                "Start one; then ask again.",
                icon=":material/smart_toy:",
            )
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
                lambda: runtime.actions.create_dispatch(view.name, str(name), actor=bridge.ACTOR)
            ),
            icon=":material/add:",
            done=f"{name} was asked for.",
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


def kept_out(view_name: str, denials: tuple[Denial, ...]) -> None:
    """Who is put out again when they come, and how to let them back."""
    mine = [denial for denial in denials if denial.room_name == view_name]
    if not mine:
        return
    actions = bridge.runtime().actions
    st.subheader("Kept out", anchor=False)
    for denial in mine:
        identity = denial.identity
        with st.container(horizontal=True, vertical_alignment="center"):
            who = fmt.code(identity) if identity else "everybody"
            st.markdown(f"{who} :gray[until {viewer.moment(denial.until)}]", width="content")
            act(
                "Let back in",
                f"room.allow.{identity}",
                lambda identity=identity: bridge.write(  # type: ignore[misc]
                    lambda: actions.allow_back(view_name, identity, actor=bridge.ACTOR)
                ),
                icon=":material/undo:",
            )


def dialogs_of(view: RoomView) -> None:
    """The questions before something is destroyed."""
    runtime = bridge.runtime()
    people = [p.identity for p in view.participants if p.is_person]
    others = [p.identity for p in view.participants if p.is_agent]
    who = fmt.md(fmt.listing([*people, *others])) if people or others else "Nobody"
    dialogs.confirm(
        _END,
        title="End this room?",
        body=f"{fmt.code(view.name)} is deleted at LiveKit. This cannot be undone.",
        consequences=[
            f"{who} will be put out." if people or others else "Nobody is in it now.",
            "It stays closed: old tokens do not open it again.",
            "What happened in it stays in its session.",
        ],
        button="End room",
        on_confirm=lambda: bridge.write(
            lambda: runtime.actions.end(
                view.name, actor=bridge.ACTOR, reason="Ended by an operator."
            )
        ),
        done="The room has ended.",
    )
    asked = dialogs.asked(_REMOVE)
    identity = str(asked["identity"]) if asked else ""
    dialogs.confirm(
        _REMOVE,
        title="Remove this participant?",
        body=f"{fmt.code(identity)} is put out of the room at once.",
        consequences=[
            "Its token stays valid at LiveKit, so Switchboard puts it out again whenever it "
            "comes back in the next six hours.",
            "You can let it back in on this page.",
        ],
        button="Remove",
        on_confirm=lambda: bridge.write(
            lambda: runtime.actions.remove_participant(view.name, identity, actor=bridge.ACTOR)
        ),
        done=f"{identity} was removed.",
    )
