"""What graphs ask of a human, over all sessions, on every page."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.components.bundle import stub

_component: Final = st.components.v2.component("switchboard_asked_badge", js=stub("asked_badge"))


def asked_badge(ticket: str, *, key: str) -> str | None:
    """Draw how many questions wait, and the oldest of them; nothing while none does.

    `ticket`: a live ticket for the topic `questions`. It updates itself, without a rerun.
    Gives the session whose question somebody chose, in that run only; it is the browser's word.
    """
    result = _component(
        key=key, data={"ticket": ticket}, on_open_change=_heard, on_ticket_change=_heard
    )
    return result.open or None


def _heard() -> None:
    """A trigger reruns by itself; it only needs a callback to be let through."""
