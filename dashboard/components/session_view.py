"""A session from the inside: graph, state, transcript and timeline on one clock, drawn in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import streamlit as st

from dashboard.components.bundle import stub

_JS: Final = stub("session_view")


def _css(height_px: int) -> str:
    """Room for it from the first frame, so that nothing below it moves when it comes.

    It gives the room back once the session is read (`Board.tsx`).
    """
    return f":host {{\n  display: block;\n  min-block-size: {height_px}px;\n}}\n"


_whole = st.components.v2.component("switchboard_session_view", js=_JS, css=_css(900))
_small = st.components.v2.component("switchboard_session_part", js=_JS, css=_css(640))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionViewResult:
    """What the reader looks at, and wants.

    `moment` None: what happens now. `note_at`: set in one run only, in which a note about that
    moment is to be written.
    """

    moment: datetime | None
    note_at: datetime | None


def session_view(
    ticket: str,
    *,
    session_id: str,
    moment: datetime | None = None,
    small: bool = False,
    key: str,
) -> SessionViewResult:
    """Draw the session. It reads its history and its live topic itself, without any rerun.

    `ticket`: a live ticket for the session's topic. `moment`: where it begins; later ones
    are passed over. `small`: graph and state alone. Moments are the browser's word: they are
    times, and nothing else is done with them.
    """
    result = (_small if small else _whole)(
        key=key,
        data={
            "ticket": ticket,
            "sessionUrl": f"api/voice/session/{session_id}/",
            "moment": None if moment is None else moment.timestamp() * 1000,
            "small": small,
        },
        on_moment_change=_heard,
        on_note_change=_heard,
        on_ticket_change=_heard,
    )
    return SessionViewResult(moment=_moment(result.moment), note_at=_moment(result.note))


def _moment(milliseconds: object) -> datetime | None:
    if not isinstance(milliseconds, int | float) or not 0 < milliseconds < 4e12:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _heard() -> None:
    """A state or trigger reruns by itself; it only needs a callback to be let through."""
