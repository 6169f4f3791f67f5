"""What can be done to a session as a whole, and who looks at it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Final, Literal

import streamlit as st

from dashboard.ui import bridge
from dashboard.ui import format as fmt
from dashboard.ui.actions import act
from services.agents.session_feed import session_topic
from services.rooms.views import RoomView
from services.store.records import SessionRecord

_MORE_TIME: Final = timedelta(hours=1)


def more_time(
    session_id: str, *, key: str, kind: Literal["secondary", "tertiary"] = "secondary"
) -> None:
    """A button that lets the session go on for one more hour."""
    sessions = bridge.runtime().sessions
    act(
        "One more hour",
        key,
        lambda: bridge.write(lambda caller: sessions.extend(session_id, _MORE_TIME, actor=caller)),
        icon=":material/more_time:",
        done="It goes on for one more hour.",
        type=kind,
    )


def redispatch(
    room_name: str,
    agent_name: str,
    *,
    key: str,
    kind: Literal["secondary", "tertiary"] = "secondary",
) -> None:
    """A button that asks LiveKit for the room's agent once more."""
    actions = bridge.runtime().actions
    act(
        "Dispatch again",
        key,
        lambda: bridge.write(
            lambda caller: actions.create_dispatch(room_name, agent_name, actor=caller)
        ),
        icon=":material/smart_toy:",
        done=f"{fmt.code(agent_name)} dispatched again",
        type=kind,
    )


def row(session: SessionRecord) -> None:
    """More time, its agent again where it is away, and who looks at it or listens in."""
    runtime = bridge.runtime()
    view = runtime.rooms.snapshot.get(session.room_name)
    with st.container(horizontal=True, vertical_alignment="center"):
        if session.status.is_open and session.expires_at is not None:
            more_time(session.id, key="session.extend", kind="tertiary")
        if view is not None and session.agent_name and not view.agents:
            st.caption("Its agent is not there.", width="content")
            redispatch(view.name, session.agent_name, key="session.again", kind="tertiary")
        pages = runtime.hub.readers(session_topic(session.id))
        st.caption(fmt.md(" · ".join(_watching(pages, view))))


def _watching(pages: int, view: RoomView | None) -> list[str]:
    said = [f"{fmt.count_text(max(pages, 1), 'page')} open on it"]
    hidden = Counter(one.name or "somebody" for one in view.observers) if view is not None else {}
    said += [
        f"{name} hears it, hidden" + (f" ({count} times)" if count > 1 else "")
        for name, count in hidden.items()
    ]
    return said
