"""Names and their values, as a quiet table."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

Rows = Sequence[tuple[str, str]]
"""Names in our own words, and values as markdown: escape what others wrote."""


def facts_table(rows: Rows, *, alt: str, columns: int = 1) -> None:
    """Draw them; with several columns they run down each. A name must not stand twice."""
    height = -(-len(rows) // columns)
    padded = [*rows, *[("", "")] * (height * columns - len(rows))]
    table: dict[str, list[str]] = {}
    for number in range(columns):
        part = padded[number * height : (number + 1) * height]
        table[f"Name{' ' * number}"] = [f":gray[{name}]" if name else "" for name, _ in part]
        table[f"Value{' ' * number}"] = [value for _, value in part]
    st.table(table, border="horizontal", hide_index=True, hide_header=True, alt=alt)
