"""Drawing the overview: conditions, figures, what needs attention, the latest sessions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import streamlit as st

from dashboard import bridge, feedback, nav, viewer
from dashboard import format as fmt
from dashboard.sessions import Colour, session_table
from services.errors import SwitchboardError
from services.overview import Attention, Condition, Level, Need, OverviewView
from services.sessions import NewSession
from services.store.records import Origin, Sample

_COLOURS: Final[dict[Level, tuple[Colour, str]]] = {
    Level.OK: ("green", ":material/check_circle:"),
    Level.BUSY: ("blue", ":material/hourglass_top:"),
    Level.UNKNOWN: ("gray", ":material/help:"),
    Level.WARNING: ("orange", ":material/warning:"),
    Level.ERROR: ("red", ":material/error:"),
}
_NEEDS: Final = {
    Need.LIVEKIT: (":red[:material/error:]", "LiveKit does not answer"),
    Need.WEBHOOKS: (":orange[:material/webhook:]", "Webhooks are missing"),
    Need.CREATION_FAILED: (":red[:material/block:]", "A session could not be created"),
    Need.ANSWER: (":violet[:material/front_hand:]", "An agent waits for an answer"),
    Need.GIVEN_UP: (":red[:material/smart_toy:]", "An agent was lost too often"),
    Need.NO_AGENT: (":orange[:material/smart_toy:]", "A room has no agent"),
    Need.EXPIRING: (":blue[:material/hourglass_bottom:]", "A session is about to end"),
}
_MORE_TIME: Final = timedelta(hours=1)
_AGAIN_FOR: Final = timedelta(hours=2)
_SHOWN_AT_FIRST: Final = 6


def conditions(view: OverviewView) -> None:
    """Whether each part is well: colour, icon and word say the same."""
    for column, condition in zip(st.columns(len(view.conditions)), view.conditions, strict=True):
        with column:
            _condition(condition)


def _condition(condition: Condition) -> None:
    colour, icon = _COLOURS[condition.level]
    with st.container(border=True, height="stretch", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{condition.name}**", width="content")
            st.space("stretch")
            st.badge(condition.word, icon=icon, color=colour)
        if condition.progress is not None:
            st.progress(condition.progress)
        st.caption(fmt.md(condition.text))


def figures(view: OverviewView) -> None:
    """How much there is now, and how it went over the last hour."""
    parts: list[tuple[str, int, Callable[[Sample], int], str]] = [
        ("Rooms", view.rooms, lambda s: s.rooms, "Open rooms at LiveKit"),
        (
            "People",
            view.people,
            lambda s: s.people,
            "Participants who are neither agent nor hidden",
        ),
        ("Agents", view.agents, lambda s: s.agents, "Agents that are in a room"),
        ("Sessions", view.sessions, lambda s: s.sessions, "Sessions that go on now"),
    ]
    for column, (name, value, of, text) in zip(st.columns(4), parts, strict=True):
        hour = [of(sample) for sample in view.trend]
        delta = _change(value - hour[0]) if hour else "no history yet"
        column.metric(
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
    """What needs somebody, each with the button that mends it."""
    if not view.attention:
        st.markdown(":green[:material/check_circle:] Nothing needs attention.")
        return
    show_all = st.session_state.get("overview.all", False)
    shown = view.attention if show_all else view.attention[:_SHOWN_AT_FIRST]
    for number, need in enumerate(shown):
        _need(need, key=f"overview.need.{need.need}.{need.room_name or need.user_id or number}")
    hidden = len(view.attention) - len(shown) + view.attention_more
    if hidden:
        st.caption(f"And {hidden:,} more.")
    if len(view.attention) > _SHOWN_AT_FIRST:
        st.toggle("Show all", key="overview.all")


def _need(need: Attention, *, key: str) -> None:
    icon, title = _NEEDS[need.need]
    with (
        st.container(border=True),
        st.container(horizontal=True, vertical_alignment="center", gap="small"),
    ):
        about = need.room_name or (f"{need.user_id} with {need.agent_name}" if need.user_id else "")
        text = f"{icon} **{title}**" + (f" · {fmt.code(about)}" if about else "")
        since = f" · {viewer.moment(need.since)}" if need.since is not None else ""
        st.markdown(f"{text}  \n:gray[{fmt.md(need.text)}{since}]", width="stretch")
        if need.room_name:
            nav.link("room", "Open", icon=":material/arrow_forward:", name=need.room_name)
        _mend(need, key=key)


def _mend(need: Attention, *, key: str) -> None:
    runtime = bridge.runtime()
    match need.need:
        case Need.LIVEKIT if runtime.embedded is not None:
            embedded = runtime.embedded
            _button("Restart the server", key, lambda: bridge.write(embedded.restart))
        case Need.LIVEKIT | Need.WEBHOOKS:
            nav.link("system", "Check the system", icon=":material/troubleshoot:", tab="doctor")
        case Need.CREATION_FAILED:
            wanted = NewSession(
                user_id=need.user_id, agent_name=need.agent_name or None, duration=_AGAIN_FOR
            )
            _button("Create it now", key, lambda: _create(wanted))
        case Need.NO_AGENT if need.agent_name:
            _button("Ask for it again", key, lambda: _ask_again(need))
        case Need.NO_AGENT:
            pass  # nobody knows which agent belongs there: the room's page lets one choose
        case Need.ANSWER:
            nav.link("session", "Answer it", icon=":material/reply:", id=need.session_id)
        case Need.GIVEN_UP:
            nav.link("room", "See why", icon=":material/troubleshoot:", name=need.room_name)
        case Need.EXPIRING:
            _button("One more hour", key, lambda: _more_time(need))


def _button(label: str, key: str, do: Callable[[], object]) -> None:
    if not st.button(label, key=key, type="primary"):
        return
    try:
        do()
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{key}.error")
    else:
        feedback.flash(f"{label}: done.")
        st.rerun()


def _create(wanted: NewSession) -> None:
    sessions = bridge.runtime().sessions
    bridge.write(lambda: sessions.create(wanted, origin=Origin.PAGE, actor=bridge.ACTOR))


def _ask_again(need: Attention) -> None:
    actions = bridge.runtime().actions
    bridge.write(
        lambda: actions.create_dispatch(need.room_name, need.agent_name, actor=bridge.ACTOR)
    )


def _more_time(need: Attention) -> None:
    sessions = bridge.runtime().sessions
    bridge.write(lambda: sessions.extend(need.session_id, _MORE_TIME, actor=bridge.ACTOR))


def latest(view: OverviewView) -> None:
    """The latest sessions, whether they go on or have ended."""
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
        session_table(view.latest, key="overview.latest")
