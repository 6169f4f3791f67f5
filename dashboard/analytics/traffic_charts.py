"""Drawing how many sessions there were, when, and how many at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.analytics import time_range
from dashboard.ui import drill_down
from dashboard.ui import format as fmt
from services.analytics.service import Report, Scope, Slot
from services.store.session_fields import NONE

_HEIGHT: Final = 260
_SPLITS: Final[dict[str, Callable[[Slot], str]]] = {
    "agent": lambda slot: fmt.plain(slot.agent_name) or "no agent",
    "version": lambda slot: fmt.plain(slot.version) or "unknown",
}
_MOST: Final = 6  # colours; the others are one


def panel(report: Report) -> None:
    """Sessions by time, by the hour of the day, and at once."""
    split = st.segmented_control(
        "Split by",
        list(_SPLITS),
        default="agent",
        format_func=str.capitalize,
        key=f"{time_range.KEY}.split",
        required=True,
    )
    _bars(report, _SPLITS[str(split)])
    left, right = st.columns(2)
    with left:
        _at_once(report)
    with right:
        _hours(report)


def part_of(report: Report, begins_at: datetime) -> Scope:
    """The hour or the day of a slot, as far as it lies in the report's time."""
    length = timedelta(hours=1) if report.by_hour else timedelta(days=1)
    whole = report.scope
    return Scope(
        begin=max(begins_at, whole.begin),
        end=min(begins_at + length, whole.end),
        agent_name=whole.agent_name,
        version=whole.version,
    )


def when(begins_at: datetime) -> str:
    """For a chart: the time that the clock shows there, without its zone, so that none is added."""
    return begins_at.replace(tzinfo=None).isoformat()


def time_axis(report: Report) -> alt.X:
    """Hours or days."""
    unit: Literal["yearmonthdatehours", "yearmonthdate"] = (
        "yearmonthdatehours" if report.by_hour else "yearmonthdate"
    )
    fits = "%H:%M" if report.by_hour else "%-d %b"
    zone = time_range.zone()
    whole = [_there(moment.astimezone(zone)) for moment in (report.scope.begin, report.scope.end)]
    return alt.X(
        "when:T",
        timeUnit=unit,
        title=None,
        axis=alt.Axis(format=fits, labelOverlap="greedy"),
        scale=alt.Scale(domain=whole),  # also where nothing was
    )


def _there(at: datetime) -> alt.DateTime:
    return alt.DateTime(year=at.year, month=at.month, date=at.day, hours=at.hour)


def _bars(report: Report, of: Callable[[Slot], str]) -> None:
    totals: dict[str, int] = {}
    for slot in report.slots:
        totals[of(slot)] = totals.get(of(slot), 0) + slot.figures.sessions
    named = sorted(totals, key=lambda name: -totals[name])[:_MOST]
    counts: dict[tuple[datetime, str], int] = {}
    whose: dict[tuple[datetime, str], dict[str, str]] = {}
    for slot in report.slots:
        name = of(slot) if of(slot) in named else "other"
        key = (slot.begins_at, name)
        counts[key] = counts.get(key, 0) + slot.figures.sessions
        one = {}
        if name != "other":
            by_agent = of is _SPLITS["agent"]
            whose_ = slot.agent_name if by_agent else slot.version
            one = {"agent_name" if by_agent else "version": whose_ or NONE}
        whose[key] = time_range.find(part_of(report, slot.begins_at), **one)
    keys = [key for key, count in counts.items() if count]
    rows = pd.DataFrame(
        {
            drill_down.ROW: range(len(keys)),
            "when": [when(at) for at, _ in keys],
            "Group": [name for _, name in keys],
            "Sessions": [counts[key] for key in keys],
        }
    )
    drawn = (
        alt.Chart(rows, height=_HEIGHT)
        .mark_bar(cursor="pointer")
        .encode(
            x=time_axis(report),
            y=alt.Y("Sessions:Q", title="Sessions", axis=alt.Axis(tickMinStep=1, format="d")),
            color=alt.Color("Group:N", title=None, sort=named),
            tooltip=[alt.Tooltip("when:T", format="%-d %b %Y %H:%M"), "Group", "Sessions"],
        )
        .add_params(drill_down.pick())
    )
    unit = "hour" if report.by_hour else "day"
    text = f"{fmt.count_text(report.whole.sessions, 'session')} by {unit}"
    st.markdown(f"**Sessions by {unit}**")
    drill_down.chart(drawn, [whose[key] for key in keys], key=f"{time_range.KEY}.bars", text=text)


def _at_once(report: Report) -> None:
    seconds = 3_600 if report.by_hour else 86_400
    rows = pd.DataFrame(
        {
            drill_down.ROW: range(len(report.times)),
            "when": [when(at) for at, _ in report.times],
            "Concurrent": [round(one.busy_s / seconds, 3) for _, one in report.times],
        }
    )
    base = alt.Chart(rows, height=_HEIGHT).encode(
        x=time_axis(report),
        y=alt.Y("Concurrent:Q", title="Concurrent sessions (mean)", scale=alt.Scale(zero=True)),
        tooltip=[alt.Tooltip("when:T", format="%-d %b %Y %H:%M"), "Concurrent"],
    )
    points = base.mark_circle(size=60, cursor="pointer").add_params(drill_down.pick())
    leads = [time_range.find(part_of(report, at)) for at, _ in report.times]
    most = max((one.busy_s / seconds for _, one in report.times), default=0.0)
    st.markdown("**Concurrent sessions**")
    drill_down.chart(
        alt.layer(base.mark_line(), points),
        leads,
        key=f"{time_range.KEY}.at_once",
        text=f"Mean of concurrent sessions over time, at most {most:.1f}",
    )


def _hours(report: Report) -> None:
    """Each hour of each day: when the agents are busy."""
    zone = time_range.zone()
    there = [hour.begins_at.astimezone(zone) for hour in report.hours]
    rows: dict[str, list[Any]] = {
        drill_down.ROW: list(range(len(there))),
        "Day": [at.date().isoformat() for at in there],
        "Hour": [f"{at:%H}" for at in there],
        "Sessions": [hour.sessions for hour in report.hours],
    }
    drawn = (
        alt.Chart(pd.DataFrame(rows), height=_HEIGHT)
        .mark_rect(cursor="pointer")
        .encode(
            x=alt.X("Day:O", title=None, axis=alt.Axis(labelOverlap="greedy", labelAngle=0)),
            y=alt.Y("Hour:O", title="Hour of day", scale=alt.Scale(domain=_CLOCK)),
            color=alt.Color("Sessions:Q", title=None, legend=None),
            tooltip=["Day", "Hour", "Sessions"],
        )
        .add_params(drill_down.pick())
    )
    leads = [
        time_range.find(
            Scope(
                begin=hour.begins_at,
                end=hour.begins_at + timedelta(hours=1),
                agent_name=report.scope.agent_name,
                version=report.scope.version,
            )
        )
        for hour in report.hours
    ]
    st.markdown("**By hour of day**")
    most = max(report.hours, key=lambda hour: hour.sessions, default=None)
    text = (
        "No sessions"
        if most is None
        else f"Sessions by hour of day, at most {most.sessions} in one hour"
    )
    drill_down.chart(drawn, leads, key=f"{time_range.KEY}.hours", text=text)


_CLOCK: Final = [f"{hour:02d}" for hour in range(24)]
