"""Sessions: find any call, live or over, by what happened in it."""

from __future__ import annotations

import streamlit as st

from dashboard import bridge, finding
from dashboard.components.live import live
from dashboard.title import title

title("Sessions")
find, order, ascending = finding.wanted()
with st.container():
    finding.results(find, order, ascending=ascending)
finding.end_dialog()
live(bridge.live_url("sessions"), key="sessions.live", max_per_second=0.5)
