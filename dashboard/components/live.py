"""An invisible listener: reruns the part of the page it stands in when something changed."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.components.bundle import stub

MAX_PER_SECOND: Final = 4

_component = st.components.v2.component("switchboard_live", js=stub("live"))


def live(ticket: str, *, key: str, max_per_second: float = MAX_PER_SECOND) -> None:
    """Rerun the enclosing fragment, or the page, whenever a topic of `ticket` changes.

    At once for the first change, then at most `max_per_second` times a second. Also once when it
    begins to listen: what happened since the page was drawn is not known. It draws nothing but,
    while the connection is lost, one line that says so; `parts.live_part` puts it where it
    belongs. A fresh `ticket` for the same topics keeps the subscription.
    """
    _component(
        key=key,
        data={"ticket": ticket, "maxPerSecond": max_per_second},
        on_tick_change=_rerun,
        on_ticket_change=_rerun,
    )


def _rerun() -> None:
    """A trigger reruns by itself; it only needs a callback to be let through."""
