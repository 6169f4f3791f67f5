"""Tabs of which the page's address names the open one (`?tab=`)."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.elements.lib.mutable_tab_container import TabContainer


def tabs(labels: Mapping[str, str], *, key: str) -> dict[str, TabContainer]:
    """The tabs by the slugs of `labels`; `.open` tells which one is. A change reruns the page."""
    if key not in st.session_state:
        asked = st.query_params.get("tab", "")
        st.session_state[key] = labels.get(asked, next(iter(labels.values())))

    def remember() -> None:
        label = st.session_state[key]
        st.query_params["tab"] = next(slug for slug, one in labels.items() if one == label)

    drawn = st.tabs(list(labels.values()), key=key, on_change=remember)
    return dict(zip(labels, drawn, strict=True))
