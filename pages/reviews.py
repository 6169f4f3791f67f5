"""Reviews: the queue, the agreement between reviewers, and quality by version."""

from __future__ import annotations

import streamlit as st

from dashboard.components.live import live
from dashboard.reviews import inter_rater, review_queue
from dashboard.ui import bridge
from dashboard.ui.tabs import tabs
from dashboard.ui.title import title

TABS = {
    "queue": ":material/playlist_add_check: Queue",
    "agreement": ":material/handshake: Agreement",
    "versions": ":material/trending_up: Versions",
}

title("Reviews")
parts = tabs(TABS, key="reviews.tabs")
if parts["queue"].open:
    with parts["queue"]:
        review_queue.panel()
    live(bridge.live_ticket("sessions"), key="reviews.live", max_per_second=0.2)
if parts["agreement"].open:
    with parts["agreement"]:
        inter_rater.pairs()
if parts["versions"].open:
    with parts["versions"]:
        inter_rater.versions()
st.caption("If a session has several reviews, the newest one counts.")
