"""Tables and charts of which every figure leads to the sessions that it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.ui import nav

PICK: Final = "pick"  # a chart's selection
ROW: Final = "row"  # the field of a chart's data that names a row of `leads`


@dataclass(frozen=True, slots=True)
class Seen:
    """A figure of a table; `find`: the sessions page's address of what it counts, None: of nothing."""

    value: Any
    find: Mapping[str, str] | None = None


def table(columns: Mapping[str, Any], rows: Sequence[Sequence[Any]], *, key: str, alt: str) -> None:
    """Draw rows of values and of `Seen`; a click on one that leads somewhere goes there.

    `columns`: their names with what `st.column_config` says of them, or None.
    """
    names = list(columns)
    values = [[one.value if isinstance(one, Seen) else one for one in row] for row in rows]
    event = st.dataframe(
        pd.DataFrame(values, columns=names),
        key=key,
        hide_index=True,
        alt=alt,
        on_select="rerun",
        selection_mode="single-cell",
        column_config={name: config for name, config in columns.items() if config is not None},
        placeholder="–",
        height="content",
    )
    for row, name in event.selection.cells:
        cell = rows[row][names.index(name)] if row < len(rows) and name in names else None
        if isinstance(cell, Seen) and cell.find is not None:
            nav.go("sessions", **cell.find)


def chart(
    drawn: alt.Chart | alt.LayerChart | alt.FacetChart,
    leads: Sequence[Mapping[str, str]],
    *,
    key: str,
    text: str,
) -> None:
    """Draw a chart with the selection `pick` by the field `row`; a click goes to `leads[row]`.

    `text` says in words what the chart shows.
    """
    event = st.altair_chart(drawn, key=key, alt=text, on_select="rerun", selection_mode=PICK)
    for point in event.selection.get(PICK) or []:
        row = point.get(ROW)
        if isinstance(row, int) and 0 <= row < len(leads):
            nav.go("sessions", **leads[row])


def pick() -> alt.Parameter:
    """The selection that `chart` hears of."""
    return alt.selection_point(name=PICK, fields=[ROW], on="click")


MS: Final = st.column_config.NumberColumn(format="%.1f ms")
COUNT: Final = st.column_config.NumberColumn(format="localized")
SHARE: Final = st.column_config.NumberColumn(format="percent")
