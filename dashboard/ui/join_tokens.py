"""Tokens for what a component of the page joins by: minted when asked for, handed over once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import streamlit as st

from dashboard.components.listen import Ticket
from dashboard.ui import bridge, feedback
from services.access.permissions import Caller
from services.errors import SwitchboardError
from services.livekit.tokens import MintedToken


def take(key: str) -> Ticket | None:
    """Given once: who comes back to the page does not join again by that."""
    ticket: Ticket | None = st.session_state.pop(_ticket(key), None)
    return ticket


def put(key: str, minted: MintedToken, *, person: bool = False) -> None:
    """For the next run to take."""
    st.session_state[_ticket(key)] = Ticket(
        url=bridge.runtime().target.public_url,
        token=minted.token,
        name=minted.identity,
        person=person,
    )


def ask(key: str, mint: Callable[[Caller], Awaitable[MintedToken]]) -> None:
    """Mint one, or keep why it could not be; either shows in the run that this begins."""
    st.session_state.pop(_error(key), None)
    try:
        put(key, bridge.write(mint))
    except SwitchboardError as error:
        st.session_state[_error(key)] = error
    st.rerun()


def show_failure(key: str) -> None:
    """Why the last one could not be minted."""
    if (failed := st.session_state.get(_error(key))) is not None:
        feedback.show_error(failed, key=_error(key), retry=False)


def _ticket(key: str) -> str:
    return f"{key}.ticket"


def _error(key: str) -> str:
    return f"{key}.error"
