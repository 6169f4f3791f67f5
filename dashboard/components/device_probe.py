"""A browser's check of itself: what it can, and its way to LiveKit."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.components.bundle import stub
from dashboard.components.listen import Ticket

_component = st.components.v2.component("switchboard_device_probe", js=stub("device_probe"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """`asked`: in one run only. `found` is the browser's word, None before the first."""

    asked: bool
    found: object


def device_probe(ticket: Ticket | None, *, key: str) -> ProbeResult:
    """Draw the button; with a ticket the browser joins its room for a moment, and looks."""
    result = _component(
        key=key,
        data={"ticket": None if ticket is None else ticket.to_browser()},
        on_ask_change=_heard,
        on_found_change=_heard,
    )
    return ProbeResult(asked=bool(result.ask), found=result.found)


def _heard() -> None:
    """A state or trigger reruns by itself; it only needs a callback to be let through."""
