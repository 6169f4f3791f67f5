"""The live table of rooms. It draws itself; Python hears only what the reader chose."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import streamlit as st

from dashboard.components.bundle import stub

DEFAULT_SORT: Final = "age"
_Q_LIMIT: Final = 200
_LATE_S: Final = 2.0

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


def rooms_table(live_url: str, *, room_href: str, key: str) -> RoomsTableResult:
    """Draw the table and say what the reader chose. It updates itself, without a rerun.

    `live_url`: a live address with the topic `rooms`. `room_href`: a room's page up to its name.
    Search, filter and order live in the page's address (`q`, `health`, `sort`), so that a link
    shows the same and the Back button works. Reruns come from selecting, opening, a changed
    view, and when the ticket is out of date. Selected rooms that close drop out.
    """
    view = RoomsView.from_params(st.query_params)
    state: _Address = st.session_state.setdefault(f"{key}.address", _Address(view))
    if view != state.view:
        if state.is_late(view):
            view = state.view
            _write(view)
        else:
            # The address changed by itself (a link, the Back button): the table must follow.
            state.view = view
            state.revision += 1

    def on_view() -> None:
        wire = st.session_state[key]["view"]
        chosen = RoomsView(q=wire["q"], health=tuple(wire["health"]), sort=wire["sort"])
        state.change(chosen)
        _write(chosen)

    result = _component(
        key=key,
        data={
            "liveUrl": live_url,
            "roomHref": room_href,
            "view": {"q": view.q, "health": list(view.health), "sort": view.sort},
            "viewRevision": state.revision,
        },
        on_view_change=on_view,
        on_selected_change=_heard,
        on_open_change=_heard,
        on_ticket_change=_heard,
    )
    return RoomsTableResult(
        selected=tuple(result.selected or ()), view=view, opened=result.open or None
    )


@dataclass(slots=True)
class _Address:
    """The view that the page's address names, and the ones that it named a moment ago.

    The browser sends the address with each rerun, and may have sent it before it has heard of
    the last change: that is an old address come late, and no wish of the reader.
    """

    view: RoomsView
    revision: int = 0
    _before: RoomsView | None = None
    _changed_s: float = float("-inf")

    def change(self, view: RoomsView) -> None:
        """The reader has chosen another view in the table."""
        self._before, self._changed_s, self.view = self.view, time.monotonic(), view

    def is_late(self, view: RoomsView) -> bool:
        """Whether the view is the one before the last change, which was a moment ago."""
        return view == self._before and time.monotonic() - self._changed_s < _LATE_S


def _write(view: RoomsView) -> None:
    for name, value in view.to_params().items():
        if value:
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]


def _heard() -> None:
    """A state or trigger reruns by itself; it only needs a callback to be let through."""
