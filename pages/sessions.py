"""Sessions: find any call, live or over, by what happened in it."""

from __future__ import annotations

import streamlit as st

from dashboard.components.live import live
from dashboard.sessions import saved_views, session_filters, session_table
from dashboard.ui import bridge
from dashboard.ui.title import title

title("Sessions")
wanted, sort = session_filters.wanted()
columns = saved_views.bar(wanted, sort)
with st.container():
    session_table.results(wanted, sort, columns=columns)
session_table.ask_dialogs()
live(bridge.live_ticket("sessions"), key="sessions.live", max_per_second=0.5)
