"""The live table of rooms. It draws itself; Python hears only what the reader chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import streamlit as st

from dashboard.components.bundle import stub
from dashboard.ui import address

DEFAULT_SORT: Final = "age"
_Q_LIMIT: Final = 200

_component = st.components.v2.component("switchboard_rooms_table", js=stub("rooms_table"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomsView:
    """What the reader asked to see: the words searched for, healths (none: all), the order.

    `sort` is a column (name, agent, people, publishers, age, expires, health), with "-" before
    it for descending. What the table does not know it ignores.
    """

    q: str = ""
    health: tuple[str, ...] = ()
    sort: str = DEFAULT_SORT

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> Self:
        """The view that a page's address names."""
        healths = params.get("health", "").split(",")
        return cls(
            q=params.get("q", "")[:_Q_LIMIT],
            health=tuple(health for health in healths if health),
            sort=params.get("sort", "") or DEFAULT_SORT,
        )

    def to_params(self) -> dict[str, str]:
        """For the page's address; "" stands for what is as usual."""
        sort = "" if self.sort == DEFAULT_SORT else self.sort
        return {"q": self.q, "health": ",".join(self.health), "sort": sort}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomsTableResult:
    """What the reader has chosen. `opened` is set in one run only, when a room was opened."""

    selected: tuple[str, ...]
    view: RoomsView
    opened: str | None


def rooms_table(ticket: str, *, room_href: str, key: str) -> RoomsTableResult:
    """Draw the table and say what the reader chose. It updates itself, without a rerun.

    `ticket`: a live ticket for the topic `rooms`. `room_href`: a room's page up to its name.
    Search, filter and order live in the page's address (`q`, `health`, `sort`), so that a link
    shows the same and the Back button works. Reruns come from selecting, opening, a changed
    view, and when the ticket is out of date. Selected rooms that close drop out.
    """
    names = tuple(RoomsView().to_params())
    where = address.follow(key, names)
    view = RoomsView.from_params(where.values)
    address.write(key, names, where.values)

    def on_view() -> None:
        wire = st.session_state[key]["view"]
        chosen = RoomsView(q=wire["q"], health=tuple(wire["health"]), sort=wire["sort"])
        address.write(key, names, chosen.to_params())

    result = _component(
        key=key,
        data={
            "ticket": ticket,
            "roomHref": room_href,
            "view": {"q": view.q, "health": list(view.health), "sort": view.sort},
            "viewRevision": where.moves,
        },
        on_view_change=on_view,
        on_selected_change=_heard,
        on_open_change=_heard,
        on_ticket_change=_heard,
    )
    return RoomsTableResult(
        selected=tuple(result.selected or ()), view=view, opened=result.open or None
    )


def _heard() -> None:
    """A state or trigger reruns by itself; it only needs a callback to be let through."""
