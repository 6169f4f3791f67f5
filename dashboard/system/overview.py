"""The overview: status of each part, figures, what needs attention, the latest sessions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import streamlit as st

from dashboard.sessions.page import session_list
from dashboard.sessions.session_actions import more_time, redispatch
from dashboard.system.check_results import LOOKS
from dashboard.ui import bridge, feedback, nav, viewer
from dashboard.ui import format as fmt
from dashboard.ui.actions import act
from services.clock import utc_now
from services.health.findings import Finding
from services.health.overview import Attention, Need, OverviewView
from services.sessions.service import NewSession
from services.store.records import Origin, Sample

_NEEDS: Final = {
    Need.LIVEKIT: (":red[:material/error:]", "LiveKit does not answer"),
    Need.WEBHOOKS: (":orange[:material/webhook:]", "Webhooks are missing"),
    Need.CREATION_FAILED: (":red[:material/block:]", "A session could not be created"),
    Need.ANSWER: (":violet[:material/front_hand:]", "Pending question"),
    Need.GIVEN_UP: (":red[:material/smart_toy:]", "Redispatch exhausted"),
    Need.NO_AGENT: (":orange[:material/smart_toy:]", "A room has no agent"),
    Need.EXPIRING: (":blue[:material/hourglass_bottom:]", "A session is about to end"),
}
_AGAIN_FOR: Final = timedelta(hours=2)
_SHOWN_AT_FIRST: Final = 6
_ABOUT_CHARS: Final = 56
_CARD_PX: Final = 176


def findings(view: OverviewView) -> None:
    """The status of each part: colour, icon and word say the same."""
    with st.grid(len(view.findings), min_column_width=_CARD_PX):
        for finding in view.findings:
            _finding(finding)


def _finding(finding: Finding) -> None:
    colour, icon, word = LOOKS[finding.status]
    with st.container(border=True, height="stretch", gap="xxsmall"):
        st.markdown(f":gray[{finding.name}]")
        st.markdown(f":{colour}[{icon}] **{finding.label or word}**")
        if finding.progress is not None:
            st.progress(finding.progress)
        st.caption(fmt.md(finding.message))


def figures(view: OverviewView) -> None:
    """How much there is now, and how it went over the last hour."""
    parts: list[tuple[str, int, Callable[[Sample], int], str]] = [
        ("Rooms", view.rooms, lambda s: s.rooms, "Open rooms at LiveKit"),
        (
            "Participants",
            view.people,
            lambda s: s.people,
            "Participants who are neither agent nor hidden",
        ),
        ("Agents", view.agents, lambda s: s.agents, "Agents that are in a room"),
        ("Sessions", view.sessions, lambda s: s.sessions, "Sessions that are active now"),
    ]
    grid = st.grid(len(parts), min_column_width=_CARD_PX)
    for name, value, of, text in parts:
        hour = [of(sample) for sample in view.trend]
        delta = _change(value - hour[0]) if hour else "no history yet"
        grid.metric(
            name,
            fmt.number(value),
            delta,
            delta_color="off",
            delta_arrow="off",
            border=True,
            help=text,
            chart_data=[*hour, value] if hour else [value, value],
            chart_type="area",
        )


def _change(by: int) -> str:
    return f"{by:+,} in the last hour" if by else "as an hour ago"


def attention(view: OverviewView) -> None:
    """What needs somebody, each with the button that helps."""
    if not view.attention:
        st.markdown(":green[:material/check_circle:] Nothing needs attention.")
        return
    shown = view.attention
    if not st.session_state.get("overview.all", False):
        shown = shown[:_SHOWN_AT_FIRST]
    with st.container(gap="xsmall"):
        for number, need in enumerate(shown):
            _need(need, key=f"overview.need.{need.need}.{need.room_name or need.user_id or number}")
    hidden = len(view.attention) - len(shown) + view.attention_more
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(view.attention) > _SHOWN_AT_FIRST:
            st.toggle("Show all", key="overview.all")
        if hidden:
            st.caption(f"And {hidden:,} more.", width="content")


def _need(need: Attention, *, key: str) -> None:
    icon, title = _NEEDS[need.need]
    about = need.room_name or (f"{need.user_id} with {need.agent_name}" if need.user_id else "")
    named = f" · {fmt.code(fmt.shorten(about, _ABOUT_CHARS))}" if about else ""
    since = f" · {_when(need)}" if need.since is not None else ""
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"{icon} **{title}**{named}  \n:small[:gray[{fmt.md(need.text)}{since}]]",
            width="stretch",
        )
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            _fix(need, key=key)


def _when(need: Attention) -> str:
    if need.need is Need.EXPIRING:
        return f"ends {fmt.until(need.since, now=utc_now())}"
    return f"since {viewer.moment(need.since)}"


def _fix(need: Attention, *, key: str) -> None:
    runtime = bridge.runtime()
    match need.need:
        case Need.LIVEKIT if runtime.embedded is not None:
            act(
                "Restart the server",
                key,
                lambda: bridge.write(
                    lambda caller: bridge.runtime().system.restart_server(actor=caller)
                ),
                done="The server restarts.",
            )
        case Need.LIVEKIT | Need.WEBHOOKS:
            nav.link("system", "Check the system", icon=":material/troubleshoot:", tab="doctor")
        case Need.CREATION_FAILED:
            wanted = NewSession(
                user_id=need.user_id, agent_name=need.agent_name or None, duration=_AGAIN_FOR
            )
            act("Create now", key, lambda: _create(wanted), done="The session was created.")
        case Need.NO_AGENT if need.agent_name:
            nav.link("room", "Open the room", name=need.room_name)
            redispatch(need.room_name, need.agent_name, key=key)
        case Need.NO_AGENT:  # nobody knows which agent belongs there
            nav.link("room", "Choose an agent", name=need.room_name)
        case Need.ANSWER:
            nav.link("session", "Answer", icon=":material/reply:", id=need.session_id)
        case Need.GIVEN_UP:
            nav.link("room", "View diagnosis", icon=":material/troubleshoot:", name=need.room_name)
        case Need.EXPIRING:
            nav.link("room", "Open the room", name=need.room_name)
            more_time(need.session_id, key=key)


def _create(wanted: NewSession) -> None:
    sessions = bridge.runtime().sessions
    bridge.write(lambda caller: sessions.create(wanted, origin=Origin.PAGE, actor=caller))


def latest(view: OverviewView) -> None:
    """The latest sessions, active and ended."""
    if view.store_error is not None:
        feedback.show_error(view.store_error, key="overview.store")
    elif not view.latest:
        feedback.show_empty(
            "No session yet.",
            hint="Create one on the Rooms page, or POST to /api/voice/session.",
            icon=":material/forum:",
            action=lambda: nav.link("rooms", "Go to rooms", icon=":material/meeting_room:"),
        )
    else:
        session_list(view.latest, key="overview.latest")
