"""Analytics: volume, latency, graph paths and outcomes, and how two periods or versions differ."""

from __future__ import annotations

import streamlit as st

from dashboard.analytics import (
    graph_metrics,
    kpis,
    latency,
    outcome_charts,
    time_range,
    traffic_charts,
)
from dashboard.components.live import live
from dashboard.ui import bridge, feedback, nav, viewer
from dashboard.ui import format as fmt
from dashboard.ui.tabs import tabs
from dashboard.ui.title import title
from services.analytics.service import TOPIC

TABS = {
    "volume": ":material/bar_chart: Volume",
    "latency": ":material/timer: Latency",
    "paths": ":material/account_tree: Paths",
    "questions": ":material/front_hand: Interrupts",
    "ends": ":material/flag: Outcomes",
    "quality": ":material/rate_review: Quality",
    "versions": ":material/new_releases: Versions",
    "compare": ":material/compare_arrows: Compare",
}
DRAWS = {
    "volume": traffic_charts.panel,
    "latency": latency.panel,
    "paths": graph_metrics.panel,
    "questions": outcome_charts.questions,
    "ends": outcome_charts.ends,
    "quality": outcome_charts.quality,
    "versions": outcome_charts.versions,
}

BEHIND = 2_000  # events: fewer are of these seconds

title("Analytics")
asked = time_range.asked()
found = kpis.reports(asked)
if found is not None and not found[0].whole.sessions:
    feedback.show_empty(
        "No sessions in this period.",
        hint="Choose a longer period, or start a test session.",
        icon=":material/query_stats:",
        action=lambda: nav.link("test", "Start test session", icon=":material/headset_mic:"),
    )
elif found is not None:
    report, other = found
    if report.until.behind > BEHIND:
        st.caption(f"{fmt.count_text(report.until.behind, 'event')} pending")
    lines = kpis.lines_of(report, other)
    kpis.cards(report, lines)
    parts = tabs(TABS, key=f"{time_range.KEY}.tabs")
    for slug, draw in DRAWS.items():
        if parts[slug].open:
            with parts[slug]:
                draw(report)
    if parts["compare"].open:
        with parts["compare"]:
            kpis.comparison(report, other, lines, asked)
st.caption(
    f"By start time, {asked.span} ({viewer.zone_name()}). Ended sessions are counted within about "
    "10 s. Latencies are accurate to ±5 %."
)
live(bridge.live_ticket(TOPIC), key=f"{time_range.KEY}.live", max_per_second=0.1)
