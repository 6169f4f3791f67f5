"""Drawing the review queue: the reason and assignee of each session, and its review."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.reviews import review
from dashboard.testing import talk
from dashboard.ui import bridge, feedback, nav, viewer
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from services.errors import SwitchboardError
from services.reviews.queue import NAME_MOST, OFTEN, PART, Queued, Rule

_KEY: Final = "reviews.queue"
_SHOWN: Final = 100
_WHY: Final = {
    Rule.SLOWEST: "slowest",
    Rule.FAILED: "failed",
    Rule.INTERRUPTED: f"{OFTEN} or more interruptions",
    Rule.RANDOM: f"random sample ({PART:.0%})",
}
_DAYS: Final = {7: "Last 7 days", 30: "Last 30 days", 90: "Last 90 days"}
_MINE: Final = {"all": "Anyone", "mine": "Me", "nobody": "Unassigned"}


def panel() -> None:
    """The queue; below it what was said in the chosen session, and its verdict."""
    rules, days, whose = _wanted()
    try:
        queued = bridge.read(lambda: bridge.runtime().quality.queue(rules, days=days))
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.error")
        return
    mine = bridge.caller().name
    assignees = {"mine": {mine}, "nobody": {""}}.get(whose)
    if assignees is not None:
        queued = tuple(one for one in queued if one.session.assignee in assignees)
    if not queued:
        feedback.show_empty(
            "No sessions to review.",
            hint="Ended sessions without a review appear here if a reason above matches.",
            icon=":material/playlist_add_check:",
        )
        return
    st.caption(f"{fmt.count_text(len(queued), 'session')} not reviewed")
    chosen = _table(queued[:_SHOWN])
    _actions(chosen, mine)
    if len(chosen) == 1:
        _look(chosen[0])


def _wanted() -> tuple[list[Rule], int, str]:
    left, middle, right = st.columns([4, 2, 2], vertical_alignment="bottom")
    rules = left.multiselect(
        "Reason",
        list(Rule),
        default=list(Rule),
        format_func=_WHY.__getitem__,
        key=f"{_KEY}.rules",
        placeholder="Choose a reason",
    )
    days = middle.selectbox(
        "Time range", list(_DAYS), index=1, format_func=_DAYS.__getitem__, key=f"{_KEY}.days"
    )
    whose = right.selectbox(
        "Assignee", list(_MINE), format_func=_MINE.__getitem__, key=f"{_KEY}.whose"
    )
    return rules or list(Rule), days, whose


def _table(queued: tuple[Queued, ...]) -> list[Queued]:
    event = st.dataframe(
        pd.DataFrame([_row(one) for one in queued]),
        key=f"{_KEY}.table.{hash(tuple(one.session.session_id for one in queued))}",
        hide_index=True,
        alt="Sessions to review, those with the most reasons first",
        on_select="rerun",
        selection_mode="multi-row",
    )
    return [queued[index] for index in event.selection.rows if index < len(queued)]


def _row(one: Queued) -> dict[str, Any]:
    session, longest = one.session, one.session.latency_max_ms
    return {
        "Started": viewer.moment(session.created_at),
        "Agent": fmt.plain(session.agent_name) or fmt.ABSENT,
        "Version": fmt.plain(session.version) or fmt.ABSENT,
        "User": fmt.plain(session.user_id) or fmt.ABSENT,
        "Reason": ", ".join(_WHY[rule] for rule in one.why),
        "Turns": session.turns,
        "Max latency": fmt.ABSENT if longest is None else fmt.latency(longest / 1000),
        "Assignee": fmt.plain(session.assignee),
    }


def _actions(chosen: list[Queued], mine: str) -> None:
    if not chosen:
        st.caption("Select one session to review it here, or several to assign them.")
        return
    ids = tuple(one.session.session_id for one in chosen)
    count = fmt.count_text(len(ids), "session")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Assign to me", key=f"{_KEY}.mine", icon=":material/person_add:"):
            attempt(_KEY, lambda: _assign(ids, mine), done=f"{count} assigned to you")
        to = st.text_input(
            "Assign to", max_chars=NAME_MOST, key=f"{_KEY}.to", placeholder="User name", width=200
        )
        if st.button(
            "Assign", key=f"{_KEY}.assign", icon=":material/group_add:", disabled=not to.strip()
        ):
            attempt(_KEY, lambda: _assign(ids, to), done=f"{count} assigned to {fmt.code(to)}")
        if any(one.session.assignee for one in chosen) and st.button(
            "Unassign", key=f"{_KEY}.back", icon=":material/person_remove:"
        ):
            attempt(_KEY, lambda: _assign(ids, ""), done=f"{count} unassigned")
    show_failure(_KEY)


def _assign(ids: tuple[str, ...], to: str) -> None:
    quality = bridge.runtime().quality
    bridge.write(lambda caller: quality.assign(ids, to, actor=caller))


def _look(one: Queued) -> None:
    session_id = one.session.session_id
    st.header("Session", anchor=False)
    nav.link("session", "Open session", icon=":material/forum:", id=session_id)
    left, right = st.columns([3, 2], gap="large")
    with left:
        turns = bridge.read(lambda: bridge.runtime().store.agents.turns_of(session_id))
        if not turns:
            st.caption("No transcript.")
        for turn in turns:
            if turn.user_text:
                st.markdown(f"**Caller** {fmt.md(turn.user_text)}")
            if turn.agent_text:
                took = f" :gray[{fmt.latency(turn.answer_ms / 1000)}]" if turn.answer_ms else ""
                st.markdown(f"**Agent** {fmt.md(turn.agent_text)}{took}")
    with right:
        talk.summary(session_id)
        review.verdict(session_id)
