"""Listening in on a room from the page: the browser joins it hidden, and only hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from dashboard.components.bundle import stub

_component = st.components.v2.component("switchboard_listen_in", js=stub("listen_in"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What the browser joins by, once; `name` tells one from the other.

    `person`: whom everybody sees and hears, with the microphone open; else nobody does.
    """

    url: str
    token: str = field(repr=False)
    name: str
    person: bool = False

    def to_browser(self) -> dict[str, str | bool]:
        """As the component is handed it."""
        return {"url": self.url, "token": self.token, "name": self.name, "person": self.person}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenResult:
    """What the reader wants; each is true in one run only."""

    listen: bool
    join: bool


def listen_in(ticket: Ticket | None, *, others: Sequence[str], key: str) -> ListenResult:
    """Draw the panel; with a ticket it joins, silent until the reader unmutes.

    It leaves with its page, and, but for a person, when no person is left in the room.
    `others`: who listens, too.
    """
    result = _component(
        key=key,
        data={
            "ticket": None if ticket is None else ticket.to_browser(),
            "others": list(others),
        },
        on_ask_change=_heard,
        on_person_change=_heard,
    )
    return ListenResult(listen=bool(result.ask), join=bool(result.person))


def _heard() -> None:
    """A trigger reruns by itself; it only needs a callback to be let through."""
