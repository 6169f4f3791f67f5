"""Doing something at once, and saying how it went, whatever reruns the page meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal

import streamlit as st

from dashboard.ui import feedback
from services.clock import utc_now
from services.errors import SwitchboardError

_SAID_FOR: Final = timedelta(seconds=30)


def act(
    label: str,
    key: str,
    do: Callable[[], object],
    *,
    done: str,
    icon: str | None = None,
    help: str | None = None,  # noqa: A002 - Streamlit's own name for it
    type: Literal["secondary", "tertiary"] = "secondary",  # noqa: A002 - likewise
) -> None:
    """Draw a button that calls `do`, and below it the error that `do` raised, if any."""
    if st.button(label, key=key, icon=icon, help=help, type=type):
        attempt(key, do, done=done)
    show_failure(key)


def attempt(key: str, do: Callable[[], object], *, done: str) -> None:
    """Call `do`. Then flash `done`, which is markdown, in a new run; or keep what it raised."""
    slot = _slot(key)
    st.session_state.pop(slot, None)
    try:
        do()
    except SwitchboardError as error:
        st.session_state[slot] = (error, utc_now() + _SAID_FOR)
    else:
        feedback.flash(done)
        st.rerun()


def show_failure(key: str) -> None:
    """Draw what the last `attempt` of this key raised, for half a minute."""
    kept: tuple[SwitchboardError, datetime] | None = st.session_state.get(_slot(key))
    if kept is not None and utc_now() < kept[1]:
        feedback.show_error(kept[0], key=_slot(key), retry=False)


def _slot(key: str) -> str:
    return f"{key}.failed"
