"""Drawing the ways to take a session away."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.ui import bridge
from services.exports.service import Format

_LABELS: Final = {
    Format.JSON: "Session (JSON)",
    Format.TEXT: "Transcript (text)",
    Format.VTT: "Transcript (WebVTT)",
    Format.CSV: "Transcript (CSV)",
    Format.CHROME: "Timeline (Perfetto)",
    Format.PYTEST: "Make this a test (pytest)",
}


def links(session_id: str) -> None:
    """A link to each; the browser downloads it, nothing is made before."""
    with st.container(horizontal=True, vertical_alignment="center", key="session.exports"):
        for wanted, label in _LABELS.items():
            address = bridge.download_url(f"voice/session/{session_id}/export", format=wanted.value)
            st.link_button(label, address, icon=":material/download:", type="tertiary")
