"""The call of this browser tab: the panel that makes and shows it, and its line elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import streamlit as st

from dashboard.components.bundle import stub

Phase = Literal["talking", "ended", "failed"]

_PHASES: Final[tuple[Phase, ...]] = ("talking", "ended", "failed")
_panel = st.components.v2.component("switchboard_call_panel", js=stub("call_panel"))
_dock = st.components.v2.component("switchboard_call_dock", js=stub("call_dock"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whom to call, and how. `hours`: after these the session ends by itself."""

    agent: str
    mode: Literal["voice", "text"]
    user: str
    hours: float
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """The session that the call of this tab opened; `phase` None: it has none yet."""

    session_id: str
    phase: Phase | None


def call_panel(wanted: Wanted | None, *, key: str, api_pass: str | None = None) -> CallResult:
    """Draw the button that begins a call, and the call. None: nothing can be called.

    The browser itself asks the API for the session, joins its room, and ends it; the page learns
    which session it is. The call outlives reruns and changes of page, not a reload of the tab.
    `api_pass` is what the browser proves itself by to the API, where nothing else
    does. Values that come back are the browser's word: check the id before it is used.
    """
    result = _panel(
        key=key,
        data={
            "wanted": None
            if wanted is None
            else {
                "agent": wanted.agent,
                "mode": wanted.mode,
                "user": wanted.user,
                "hours": wanted.hours,
                "metadata": None if wanted.metadata is None else dict(wanted.metadata),
            },
            "pass": api_pass,
        },
        on_session_change=_heard,
    )
    told = result.session or {}
    phase = next((known for known in _PHASES if known == told.get("phase")), None)
    return CallResult(session_id=str(told.get("id", "")), phase=phase)


def call_dock(*, key: str) -> bool:
    """Draw, while a call goes on in this tab, that it does, with mute and end. Else nothing.

    True in the run in which the person asks for the page with the call. A plain link would
    reload the tab, and so end the call.
    """
    return bool(_dock(key=key, on_open_change=_heard).open)


def _heard() -> None:
    """A state or trigger reruns by itself; it only needs a callback to be let through."""
