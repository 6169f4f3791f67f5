"""Pages of a list that goes on by cursor: where one is, and the buttons to turn."""

from __future__ import annotations

import streamlit as st

from dashboard.ui import format as fmt

Cursors = list[str | None]
"""Of the pages before this one, and of this one; None is the first page's."""


def cursors(key: str, view: object) -> Cursors:
    """Where the reader is in this view; another view begins at its first page."""
    if st.session_state.get(_view(key)) != view:
        st.session_state[_view(key)] = view
        st.session_state[_held(key)] = [None]
    held: Cursors = st.session_state[_held(key)]
    return held


def buttons(key: str, held: Cursors, next_cursor: str | None) -> None:
    """Draw the way back and on."""
    st.button(
        "Previous page",
        key=f"{key}.back",
        icon=":material/chevron_left:",
        disabled=len(held) < 2,
        on_click=_turn,
        args=(key, held[:-1]),
    )
    st.caption(f"Page {fmt.number(len(held))}", width="content")
    st.button(
        "Next page",
        key=f"{key}.on",
        icon=":material/chevron_right:",
        disabled=next_cursor is None,
        on_click=_turn,
        args=(key, [*held, next_cursor]),
    )


def _turn(key: str, to: Cursors) -> None:
    st.session_state[_held(key)] = to


def _held(key: str) -> str:
    return f"{key}.cursors"


def _view(key: str) -> str:
    return f"{key}.view"
