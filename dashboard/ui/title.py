"""The head of a page: its title, a word on how it stands, and what can be done, on one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import streamlit as st

Colour = Literal["red", "orange", "blue", "green", "gray"]
Badge = tuple[Colour, str, str]
"""Colour, icon and word of a badge: each says it by itself."""


@contextmanager
def title_bar(text: str, *, badge: Badge | None = None) -> Iterator[None]:
    """Draw the title; what is drawn in the block stands at the right of it, also where it is narrow.

    `text` is markdown: escape what others wrote.
    """
    # Every page's title stands in the same containers: it is at the same height on each.
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.title(text, anchor=False, width="content")
            if badge is not None:
                colour, icon, word = badge
                st.badge(word, icon=icon, color=colour)
        with st.container(
            horizontal=True, vertical_alignment="center", width="content", wrap=False
        ):
            yield


def title(text: str) -> None:
    """Draw a title with nothing beside it."""
    with title_bar(text):
        pass
