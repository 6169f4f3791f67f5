"""Tokens: create an access token, or inspect one. Needs no LiveKit server."""

from __future__ import annotations

import streamlit as st

from dashboard.tokens import page as tokens
from dashboard.tokens import token_inspector, token_state
from dashboard.ui.title import title


@st.fragment
def body() -> None:
    """Both sides; the form stays as it is while the other one is looked at."""
    making, looking = st.tabs(
        [":material/key: Create token", ":material/search: Inspect token"], key="tokens.tabs"
    )
    with making:
        tokens.make()
    with looking:
        token_inspector.look()


title("Tokens")
st.caption("Create or inspect LiveKit access tokens. This works without a connection to LiveKit.")
token_state.seed()
body()
