"""Tokens: make an access token, or look into one. Needs no LiveKit server."""

from __future__ import annotations

import streamlit as st

from dashboard.tokens import page as tokens
from dashboard.tokens import token_inspector, token_state
from dashboard.ui.title import title


@st.fragment
def body() -> None:
    """Both sides; the form stays as it is while the other one is looked at."""
    making, looking = st.tabs(
        [":material/key: Make a token", ":material/search: Look into a token"], key="tokens.tabs"
    )
    with making:
        tokens.make()
    with looking:
        token_inspector.look()


title("Tokens")
st.caption(
    "An access token says who may join which room, and with which rights. Making and reading one "
    "needs no LiveKit server."
)
token_state.seed()
body()
