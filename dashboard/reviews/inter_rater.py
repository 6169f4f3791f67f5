"""Drawing the agreement between reviewers, and the pass rate of each version."""

from __future__ import annotations

from typing import Final

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.ui import bridge, feedback, viewer
from dashboard.ui import format as fmt
from services.errors import SwitchboardError
from services.reviews.queue import Agreement, VersionScore

_KEY: Final = "reviews"
_LANDIS_KOCH: Final = ((0.8, "almost perfect"), (0.6, "substantial"), (0.4, "moderate"))
"""Words for kappa (J. R. Landis and G. G. Koch, 1977); below these it is "slight or fair"."""


def pairs() -> None:
    """Each two reviewers who judged the same sessions."""
    try:
        found = bridge.read(lambda: bridge.runtime().quality.agreement())
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.pairs.error")
        return
    if not found:
        feedback.show_empty(
            "No session with two reviews in the last 90 days.",
            hint="Agreement appears when two reviewers review the same sessions.",
            icon=":material/handshake:",
        )
        return
    st.dataframe(
        pd.DataFrame([_pair(one) for one in found]),
        hide_index=True,
        alt="Agreement of each pair of reviewers",
    )
    st.caption(
        "Cohen's kappa measures agreement beyond chance: 1 is full agreement, 0 is chance level. "
        "It needs about twenty sessions to be meaningful."
    )


def versions() -> None:
    """The pass rate of each version of each agent, with the bounds of what it may really be."""
    try:
        found = bridge.read(lambda: bridge.runtime().quality.trend())
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.versions.error")
        return
    if not found:
        feedback.show_empty(
            "No reviews in the last 90 days.",
            hint="Review sessions on the Queue tab. Set SWITCHBOARD_AGENT_VERSION (e.g. a git commit) "
            "to compare versions.",
            icon=":material/trending_up:",
        )
        return
    rows = pd.DataFrame([_version(one) for one in found])
    st.altair_chart(_chart(rows), key=f"{_KEY}.versions.chart", alt="Pass rate of each version")
    st.dataframe(
        rows.drop(columns=["low", "high", "rate"]),
        hide_index=True,
        alt="Pass rates, newest version first",
    )
    st.caption(
        "Lines show the 95 % confidence interval. If two lines overlap, the difference may not be "
        "significant."
    )


def _pair(one: Agreement) -> dict[str, object]:
    kappa = one.kappa
    word = (
        "" if kappa is None else next((w for k, w in _LANDIS_KOCH if kappa > k), "slight or fair")
    )
    return {
        "Reviewers": fmt.plain(f"{one.author} and {one.other}"),
        "Sessions": one.count,
        "Same result": f"{one.same:.0%}",
        "Kappa": fmt.ABSENT if kappa is None else f"{kappa:.2f}",
        "Agreement": word,
    }


def _version(one: VersionScore) -> dict[str, object]:
    return {
        "Agent": fmt.plain(one.agent_name) or fmt.ABSENT,
        "Version": fmt.plain(one.version) or "unknown",
        "First session": viewer.moment(one.first),
        "Reviewed": one.judged,
        "Pass rate": f"{one.rate:.0%}",
        "95 % CI": f"{one.low:.0%} to {one.high:.0%}",
        "low": one.low,
        "high": one.high,
        "rate": one.rate,
    }


def _chart(rows: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    base = alt.Chart(rows).encode(
        y=alt.Y("Version:N", sort=None, title=None),
        color=alt.Color("Agent:N", title=None),
        tooltip=["Agent", "Version", "Reviewed", "Pass rate", "95 % CI"],
    )
    share = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%")
    line = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", scale=share, axis=axis, title="Pass rate"), x2="high:Q"
    )
    point = base.mark_point(filled=True, size=90).encode(x=alt.X("rate:Q", scale=share))
    return alt.layer(line, point).properties(height=max(120, 34 * len(rows) + 40))
