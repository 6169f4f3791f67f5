"""Sessions: find any call, live or over, by what happened in it."""

from __future__ import annotations

import streamlit as st

from dashboard import bridge, finding, found, views
from dashboard.components.live import live
from dashboard.title import title

title("Sessions")
find, order, ascending = finding.wanted()
columns = views.bar(find, order, ascending=ascending)
with st.container():
    found.results(find, order, ascending=ascending, columns=columns)
found.ask_dialogs()
live(bridge.live_ticket("sessions"), key="sessions.live", max_per_second=0.5)
