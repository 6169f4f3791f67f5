"""Drawing sessions: a table of them, and one with what happened in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import pandas as pd
import streamlit as st

from dashboard import bridge, dialogs, nav, viewer
from dashboard import format as fmt
from services.clock import utc_now
from services.events import Certainty, Event, Kind
from services.store.records import SessionRecord, SessionStatus, StoredEvent, Visit

Colour = Literal["red", "orange", "blue", "green", "gray"]

_STATUS: Final[dict[SessionStatus, tuple[Colour, str, str]]] = {
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
    Kind.JOIN_DENIED: "Kept out",
    Kind.OPERATOR_ACTION: "Operator",
}
_HOW: Final = {
    Certainty.OBSERVED: "observed",
    Certainty.INFERRED: "inferred",
    Certainty.INCOMPLETE: "incomplete",
}
_TABLE_ROWS: Final = 500


def session_table(sessions: Sequence[SessionRecord], *, key: str) -> None:
    """Sessions, newest first; choosing a row opens it."""
    now = utc_now()
    rows = [
        {
            "Status": _STATUS[session.status][2],
            "Agent": session.agent_name or fmt.ABSENT,
            "User": session.user_id or fmt.ABSENT,
            "Created": viewer.moment(session.created_at),
            "Lasted": _lasted(session),
            "People": session.people_peak,
            "End": _end(session),
            "Room": session.room_name,
        }
        for session in sessions[:_TABLE_ROWS]
    ]
    colours = [_STATUS[status][0] for status in SessionStatus]
    names = [_STATUS[status][2] for status in SessionStatus]
    table = pd.DataFrame(rows)
    table["Status"] = [[word] for word in table["Status"]]
    chosen = st.dataframe(
        table,
        key=key,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        alt=f"The latest {len(rows)} sessions, newest first, as of {viewer.moment(now)}",
        column_config={
            "Status": st.column_config.MultiselectColumn(options=names, color=colours),
            "People": st.column_config.NumberColumn(help="The most people at one time"),
            "End": st.column_config.TextColumn(width="medium"),
        },
    )
    if rows_chosen := chosen["selection"]["rows"]:
        nav.go("session", id=sessions[rows_chosen[0]].id)


def _lasted(session: SessionRecord) -> str:
    end = session.ended_at or (None if not session.status.is_open else utc_now())
    if end is None:
        return fmt.ABSENT
    return fmt.duration((end - session.created_at).total_seconds())


def _end(session: SessionRecord) -> str:
    if session.status.is_open:
        return f"ends {fmt.until(session.expires_at, now=utc_now())}" if session.expires_at else ""
    how = "" if session.ended_certainty is Certainty.OBSERVED else " (inferred)"
    return f"{session.end_reason or 'Its room closed.'}{how}"


def heading(session: SessionRecord) -> None:
    """Who, with which agent, and how it stands."""
    colour, icon, word = _STATUS[session.status]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(session.agent_name or "Session", width="content")
        st.badge(word, icon=icon, color=colour)
        st.space("stretch")
        if session.status.is_open:
            nav.link(
                "room", "Open its room", icon=":material/meeting_room:", name=session.room_name
            )
            st.button(
                "End session",
                key="session.end",
                icon=":material/stop_circle:",
                on_click=dialogs.ask,
                args=("session.end.ask",),
            )
    st.caption(fmt.code(session.id))


def facts(session: SessionRecord) -> None:
    """What is known of the session, and how well."""
    now = utc_now()
    rows = [
        ("User", fmt.code(session.user_id)),
        ("Room", fmt.code(session.room_name)),
        ("Made by", {"api": "the API", "page": "this dashboard"}.get(session.origin, "others")),
        ("Created", _known(session.created_at, session.created_certainty)),
        ("First person", _known(session.started_at, session.started_certainty)),
        ("Ended", _known(session.ended_at, session.ended_certainty)),
        ("Lasted", _lasted(session)),
        ("Most people", fmt.number(session.people_peak)),
    ]
    if session.status.is_open and session.expires_at is not None:
        until = fmt.until(session.expires_at, now=now)
        rows.append(("Ends by itself", f"{viewer.moment(session.expires_at)} ({until})"))
    if session.end_reason:
        rows.append(("Why it ended", fmt.md(session.end_reason)))
    if session.dispatch_id:
        rows.append(("Agent dispatch", fmt.code(session.dispatch_id)))
    with st.container(border=True):
        half = (len(rows) + 1) // 2
        for column, part in zip(st.columns(2), (rows[:half], rows[half:]), strict=True):
            column.markdown("\n".join(f"- :gray[{name}] {value}" for name, value in part))


def _known(moment: datetime | None, certainty: Certainty | None) -> str:
    if moment is None:
        return fmt.ABSENT
    if certainty is None or certainty is Certainty.OBSERVED:
        return viewer.moment(moment)
    return f"{viewer.moment(moment)} :orange-badge[{_HOW[certainty]}]"


def visits_table(visits: Sequence[Visit]) -> None:
    """Who was there, from when to when."""
    rows = [
        {
            "Identity": visit.identity,
            "Kind": visit.kind + (", hidden" if visit.hidden else ""),
            "Joined": viewer.moment(visit.joined_at),
            "Left": viewer.moment(visit.left_at),
            "Known": _worst(visit.joined_certainty, visit.left_certainty),
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


def _worst(*certainties: Certainty | None) -> str:
    for bad in (Certainty.INCOMPLETE, Certainty.INFERRED):
        if bad in certainties:
            return _HOW[bad]
    return _HOW[Certainty.OBSERVED]


def events_table(events: Sequence[StoredEvent]) -> None:
    """What happened, in the order of happening."""
    ordered = sorted(events, key=lambda stored: (stored.event.at, stored.seq))
    rows = [
        {
            "When": viewer.moment(stored.event.at),
            "What": _EVENTS.get(stored.event.kind, stored.event.kind),
            "Who": stored.event.identity or stored.event.actor or fmt.ABSENT,
            "Details": _details(stored.event),
            "From": stored.event.source,
            "Known": _HOW[stored.event.certainty],
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
        column_config={"Details": st.column_config.TextColumn(width="large")},
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
            return ", ".join(filter(None, [str(data.get("kind", "")), why]))
        case Kind.SESSION_EXTENDED:
            return f"until {data.get('expires_at')}"
        case _:
            return str(data.get("reason") or data.get("message") or data.get("event") or "")


def end_dialog(session: SessionRecord) -> None:
    """Asks before the session is ended; draws while `dialogs.ask("session.end.ask")` holds."""
    runtime = bridge.runtime()
    view = runtime.rooms.snapshot.get(session.room_name)
    people = [p.identity for p in view.participants if p.is_person] if view is not None else []
    dialogs.confirm(
        "session.end.ask",
        title=f"End session {session.id}?",
        body="Its room is deleted at LiveKit. This cannot be undone.",
        consequences=[
            f"{fmt.md(fmt.listing(people))} will be put out."
            if people
            else "Nobody is known to be in it.",
            "Whoever tries to come back with an old token is put out again.",
            "Its history stays.",
        ],
        button="End session",
        on_confirm=lambda: bridge.write(
            lambda: runtime.sessions.end(
                session.id, actor=bridge.ACTOR, reason="Ended by an operator."
            )
        ),
        done="The session has ended.",
    )
