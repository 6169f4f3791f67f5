"""Drawing sessions: a table of them, and one with what happened in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.ui import bridge, dialogs, nav, viewer
from dashboard.ui import format as fmt
from dashboard.ui.details import facts_table
from dashboard.ui.title import Badge, title_bar
from services.clock import utc_now
from services.events import Event, Kind, Provenance
from services.store.records import SessionRecord, SessionStatus, StoredEvent, Visit
from services.store.session_fields import SessionRow

_STATUS: Final[dict[SessionStatus, Badge]] = {
    SessionStatus.CREATED: ("blue", ":material/schedule:", "Waiting"),
    SessionStatus.ACTIVE: ("green", ":material/graphic_eq:", "Active"),
    SessionStatus.ENDED: ("gray", ":material/check:", "Ended"),
    SessionStatus.EXPIRED: ("orange", ":material/timer_off:", "Expired"),
    SessionStatus.FAILED: ("red", ":material/error:", "Failed"),
}
_EVENTS: Final = {
    Kind.ROOM_STARTED: "Room opened",
    Kind.ROOM_FINISHED: "Room closed",
    Kind.PARTICIPANT_JOINED: "Joined",
    Kind.PARTICIPANT_LEFT: "Left",
    Kind.PARTICIPANT_ABORTED: "Could not connect",
    Kind.TRACK_PUBLISHED: "Track published",
    Kind.TRACK_UNPUBLISHED: "Track unpublished",
    Kind.LIVEKIT_OTHER: "LiveKit event",
    Kind.SESSION_CREATED: "Session created",
    Kind.SESSION_FAILED: "Session not created",
    Kind.SESSION_ENDING: "End asked for",
    Kind.SESSION_EXTENDED: "Time extended",
    Kind.JOIN_DENIED: "Blocked",
    Kind.OPERATOR_ACTION: "Operator",
    Kind.AGENT_DISPATCHED: "Agent asked for",
    Kind.NOTE_ADDED: "Note written",
    Kind.NOTE_REMOVED: "Note removed",
    Kind.REVIEWED: "Verdict given",
}
_HOW: Final = {
    Provenance.OBSERVED: "observed",
    Provenance.INFERRED: "inferred",
    Provenance.INCOMPLETE: "incomplete",
}
_END: Final = "session.end.ask"
_TITLE_CHARS: Final = 40
_STATUS_PX: Final = 88
_NAME_PX: Final = 300
_CREATED_PX: Final = 156
_LASTED_PX: Final = 124
_WHO_PX: Final = 180
_DETAILS_PX: Final = 290


def session_list(sessions: Sequence[SessionRow], *, key: str) -> None:
    """Sessions, newest first; each one's name leads to its page."""
    with st.container(border=True, gap="xsmall"):
        for session in sessions:
            _session(session, key=f"{key}.{session.session_id}")


def _session(session: SessionRow, *, key: str) -> None:
    colour, icon, word = _STATUS[session.status]
    with st.container(key=key, horizontal=True, vertical_alignment="center", gap="xxsmall"):
        st.badge(word, icon=icon, color=colour, width=_STATUS_PX)
        with st.container(horizontal=True, width=_NAME_PX):
            name = fmt.md(fmt.shorten(_title(session), _TITLE_CHARS))
            nav.link("session", name, icon=":material/forum:", id=session.session_id)
        # Each of its own width: what belongs together stands one below the other.
        with st.container(horizontal=True, gap="small", wrap=False):
            people = fmt.count_text(session.participants_peak, "person", "people")
            st.caption(f"created {viewer.moment(session.created_at)}", width=_CREATED_PX)
            st.caption(f"{_lasted(session)} · {people}", width=_LASTED_PX)
            parts = (_agent_state(session), _end(session))
            st.caption(fmt.md(" · ".join(part for part in parts if part)))


def _agent_state(session: SessionRow) -> str:
    """LiveKit's word for what the agent of an open session does, as it is now."""
    if not session.status.is_open:
        return ""
    view = bridge.runtime().rooms.snapshot.get(session.room_name)
    return f"agent {view.agent_state}" if view is not None and view.agent_state else ""


def _lasted(session: SessionRecord | SessionRow) -> str:
    end = session.ended_at or (None if not session.status.is_open else utc_now())
    if end is None:
        return fmt.ABSENT
    return fmt.duration((end - session.created_at).total_seconds())


def _end(session: SessionRow) -> str:
    if session.status.is_open:
        return f"ends {fmt.until(session.expires_at, now=utc_now())}" if session.expires_at else ""
    how = "" if session.ended_provenance is Provenance.OBSERVED else " (inferred)"
    return f"{session.end_reason or 'Its room closed.'}{how}"


def heading(session: SessionRecord) -> None:
    """Who, with which agent, and how it stands."""
    name = fmt.md(fmt.shorten(_title(session), _TITLE_CHARS))
    with title_bar(name, badge=_STATUS[session.status]):
        if session.status.is_open:
            nav.link(
                "room", "Open its room", icon=":material/meeting_room:", name=session.room_name
            )
            st.button(
                "End session",
                key="session.end",
                icon=":material/stop_circle:",
                on_click=dialogs.ask,
                args=(_END,),
                kwargs={"room_name": session.room_name},
            )
    st.caption(f"Session {fmt.code(session.id)}")


def _title(session: SessionRecord | SessionRow) -> str:
    if session.user_id and session.agent_name:
        return f"{session.user_id} with {session.agent_name}"
    return session.user_id or session.agent_name or session.room_name


def facts(session: SessionRecord) -> None:
    """What is known of the session, and how well."""
    rows = [
        ("User", fmt.code(session.user_id)),
        ("Agent", fmt.code(session.agent_name)),
        ("Room", fmt.code(session.room_name)),
        ("Made by", {"api": "the API", "page": "this dashboard"}.get(session.origin, "others")),
        ("Created", _known(session.created_at, session.created_certainty)),
        ("First participant", _known(session.started_at, session.started_certainty)),
        ("Ended", _known(session.ended_at, session.ended_certainty)),
        ("So far" if session.status.is_open else "Duration", _lasted(session)),
        ("Peak participants", fmt.number(session.people_peak)),
    ]
    if session.status.is_open and session.expires_at is not None:
        until = fmt.until(session.expires_at, now=utc_now())
        rows.append(("Ends by itself", f"{viewer.moment(session.expires_at)} ({until})"))
    if session.end_reason:
        rows.append(("Why it ended", fmt.md(session.end_reason)))
    if session.dispatch_id:
        rows.append(("Agent dispatch", fmt.code(session.dispatch_id)))
    facts_table(rows, columns=2, alt="What is known of the session")


def _known(moment: datetime | None, certainty: Provenance | None) -> str:
    if moment is None:
        return fmt.ABSENT
    if certainty is None or certainty is Provenance.OBSERVED:
        return viewer.moment(moment)
    return f"{viewer.moment(moment)} :orange-badge[{_HOW[certainty]}]"


def visits_table(visits: Sequence[Visit]) -> None:
    """Who was there, from when to when."""
    rows = [
        {
            "Identity": fmt.plain(visit.identity),
            "Kind": _kind(visit.kind) + (", hidden" if visit.hidden else ""),
            "Joined": viewer.moment(visit.joined_at),
            "Left": viewer.moment(visit.left_at),
            "Source": _worst(visit.joined_certainty, visit.left_certainty),
            "Why it left": visit.leave_reason.replace("_", " "),
        }
        for visit in visits
    ]
    if not rows:
        st.caption("Nobody was seen in its room.")
        return
    st.dataframe(
        pd.DataFrame(rows),
        key="session.visits",
        hide_index=True,
        alt="Everyone who was in the room",
    )


def _kind(kind: str) -> str:
    return "person" if kind == "standard" else kind


def _worst(*certainties: Provenance | None) -> str:
    for bad in (Provenance.INCOMPLETE, Provenance.INFERRED):
        if bad in certainties:
            return _HOW[bad]
    return _HOW[Provenance.OBSERVED]


def events_table(events: Sequence[StoredEvent]) -> None:
    """What happened, in the order of happening."""
    ordered = sorted(events, key=lambda stored: (stored.event.at, stored.seq))
    rows = [
        {
            "When": viewer.moment(stored.event.at),
            "What": _EVENTS.get(stored.event.kind, stored.event.kind),
            "Who": fmt.plain(stored.event.identity or stored.event.actor) or fmt.ABSENT,
            "Details": fmt.plain(_details(stored.event)),
            "From": stored.event.source,
            "Source": _HOW[stored.event.certainty],
        }
        for stored in ordered
    ]
    if not rows:
        st.caption("No events are kept for it.")
        return
    st.dataframe(
        pd.DataFrame(rows),
        key="session.events",
        hide_index=True,
        alt=f"{len(rows)} events of the session, in the order of happening",
        column_config={
            "Who": st.column_config.TextColumn(width=_WHO_PX),
            "Details": st.column_config.TextColumn(width=_DETAILS_PX),
        },
    )


def _details(event: Event) -> str:
    data = event.data
    match event.kind:
        case Kind.OPERATOR_ACTION:
            done = "" if data.get("outcome") == "done" else f" ({data.get('outcome')})"
            return f"{str(data.get('action')).replace('_', ' ')}{done}"
        case Kind.TRACK_PUBLISHED | Kind.TRACK_UNPUBLISHED:
            track = data.get("track") or {}
            return f"{track.get('kind', '')} from {track.get('source', '')}"
        case Kind.PARTICIPANT_JOINED | Kind.PARTICIPANT_LEFT | Kind.PARTICIPANT_ABORTED:
            why = str(data.get("disconnect_reason", "")).replace("_", " ")
            return ", ".join(filter(None, [_kind(str(data.get("kind", ""))), why]))
        case Kind.SESSION_EXTENDED:
            return f"until {data.get('expires_at')}"
        case _:
            return str(data.get("reason") or data.get("message") or data.get("event") or "")


def end_dialog(session_id: str) -> None:
    """Asks before the session is ended."""
    asked = dialogs.asked(_END)
    if asked is None:
        return
    room_name = str(asked["room_name"])
    runtime = bridge.runtime()
    dialogs.confirm(
        _END,
        title="End this session?",
        body=f"{fmt.code(session_id)} in room {fmt.code(room_name)}: the room is deleted at "
        "LiveKit. This cannot be undone.",
        consequences=lambda: [
            who_leaves(room_name),
            "Whoever tries to come back with an old token is removed again.",
            "Its history stays.",
        ],
        topics=(f"room:{room_name}",),
        button="End session",
        on_confirm=lambda: bridge.write(
            lambda caller: runtime.sessions.end(
                session_id, actor=caller, reason="Ended by an operator."
            )
        ),
        done="The session has ended.",
    )


def who_leaves(room_name: str) -> str:
    """Who is put out of the room when it ends, as markdown: people first, then agents."""
    view = bridge.runtime().rooms.snapshot.get(room_name)
    seen = view.participants if view is not None else ()
    people = [p.identity for p in seen if p.is_person]
    agents = [p.identity for p in seen if p.is_agent and not p.is_observer]
    if people or agents:
        return f"{fmt.md(fmt.listing([*people, *agents]))} will be removed."
    return "Nobody is known to be in it."
