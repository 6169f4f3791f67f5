"""Fields that are empty again once what was written in them has gone out."""

from __future__ import annotations

import streamlit as st


def draft_key(key: str) -> str:
    """The key for such a field: another one after each `sent`, so that the field begins anew.

    Setting the field's value would not do: when the page is run again before the field is drawn
    (somebody joins, a tick comes), what the browser still holds takes its place.
    """
    return f"{key}.{st.session_state.get(_slot(key), 0)}"


def sent(key: str) -> None:
    """What was written has gone out."""
    st.session_state[_slot(key)] = st.session_state.get(_slot(key), 0) + 1


def _slot(key: str) -> str:
    return f"{key}.sent"
