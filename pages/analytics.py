"""Analytics: what all sessions of a time tell together, and how two times or versions differ."""

from __future__ import annotations

import streamlit as st

from dashboard import (
    bridge,
    feedback,
    headline,
    latency,
    nav,
    outcomes,
    paths,
    scope,
    viewer,
    volume,
)
from dashboard import format as fmt
from dashboard.components.live import live
from dashboard.tabs import tabs
from dashboard.title import title
from services.analytics import TOPIC

TABS = {
    "volume": ":material/bar_chart: Volume",
    "latency": ":material/timer: Latency",
    "paths": ":material/account_tree: Paths",
    "questions": ":material/help: Questions",
    "ends": ":material/flag: Ends",
    "quality": ":material/rate_review: Quality",
    "versions": ":material/new_releases: Versions",
    "compare": ":material/compare_arrows: Comparison",
}
DRAWS = {
    "volume": volume.panel,
    "latency": latency.panel,
    "paths": paths.panel,
    "questions": outcomes.questions,
    "ends": outcomes.ends,
    "quality": outcomes.quality,
    "versions": outcomes.versions,
}

BEHIND = 2_000  # events: fewer are of these seconds

title("Analytics")
asked = scope.asked()
found = headline.reports(asked)
if found is not None and not found[0].whole.sessions:
    feedback.show_empty(
        "No session began in this time.",
        hint="Choose a longer one, or talk to an agent.",
        icon=":material/query_stats:",
        action=lambda: nav.link("test", "Talk to an agent", icon=":material/headset_mic:"),
    )
elif found is not None:
    report, other = found
    if report.until.behind > BEHIND:
        st.caption(f"{fmt.count_text(report.until.behind, 'event')} are still to be counted.")
    lines = headline.lines_of(report, other)
    headline.cards(report, lines)
    parts = tabs(TABS, key=f"{scope.KEY}.tabs")
    for slug, draw in DRAWS.items():
        if parts[slug].open:
            with parts[slug]:
                draw(report)
    if parts["compare"].open:
        with parts["compare"]:
            headline.comparison(report, other, lines, asked)
st.caption(
    f"Sessions count by when they began, here {asked.span} ({viewer.zone_name()}); what happened "
    "inside them counts once they are over, some ten seconds later. Times are within 5 %."
)
live(bridge.live_ticket(TOPIC), key=f"{scope.KEY}.live", max_per_second=0.1)
