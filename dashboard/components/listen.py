"""Listening in on a room from the page: the browser joins it hidden, and only hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from dashboard.components.bundle import stub

_component = st.components.v2.component("switchboard_listen_in", js=stub("listen_in"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What the browser joins by, once; `name` tells one from the other."""

    url: str
    token: str = field(repr=False)
    name: str

    def to_browser(self) -> dict[str, str]:
        """As the component is handed it."""
        return {"url": self.url, "token": self.token, "name": self.name}


def listen_in(ticket: Ticket | None, *, others: Sequence[str], key: str) -> bool:
    """Draw the panel; with a ticket it joins, silent until the reader unmutes.

    It leaves when no person is left in the room, and with its page. `others`: who listens, too.
    True in the run in which the reader wants to listen.
    """
    result = _component(
        key=key,
        data={
            "ticket": None if ticket is None else ticket.to_browser(),
            "others": list(others),
        },
        on_ask_change=_heard,
    )
    return bool(result.ask)


def _heard() -> None:
    """A trigger reruns by itself; it only needs a callback to be let through."""
