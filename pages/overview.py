"""Overview: system health, live activity and open issues."""

from __future__ import annotations

import streamlit as st

from dashboard.system import overview
from dashboard.ui import bridge, viewer
from dashboard.ui.fragments import live_part
from dashboard.ui.title import title


@live_part("overview", key="overview", max_per_second=2)
def body() -> None:
    """All of it, anew whenever something changed."""
    view = bridge.read(bridge.runtime().overview.read)
    overview.findings(view)
    overview.figures(view)
    with st.container():
        st.header("Needs attention", anchor=False)
        overview.attention(view)
    with st.container():
        st.header("Latest sessions", anchor=False)
        overview.latest(view)
    st.caption(f"Updated {viewer.moment(view.taken_at)} · live")


title("Overview")
body()
