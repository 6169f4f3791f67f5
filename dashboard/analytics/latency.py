"""Drawing latency by part, and one part over time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.analytics import time_range
from dashboard.analytics.traffic_charts import part_of, time_axis, when
from dashboard.ui import drill_down
from dashboard.ui.drill_down import COUNT, MS, Seen
from services.analytics.comparison import PART_WORDS, PARTS
from services.analytics.service import Report
from services.analytics.significance import Spread

SessionFilter = Callable[..., dict[str, str]]
"""Gives the sessions page's address of what is said by `mark`, `over` and the like."""
_HEIGHT: Final = 260
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def panel(report: Report) -> None:
    """The parts of an answer, and one of them over time."""
    if not any(report.whole.spread(f"part|{part}").n for part in PARTS):
        st.caption("No voice latency measured in this period.")
        return
    rows = [_row(report, part) for part in PARTS]
    drill_down.table(
        {
            "Part of the latency": None,
            "Turns": COUNT,
            **dict.fromkeys(QUANTILES, MS),
            "Mean": MS,
        },
        rows,
        key=f"{time_range.KEY}.parts",
        alt="Latency by part, from the end of speech to the answer",
    )
    st.caption("Click a percentile to view the sessions above it.")
    part = str(
        st.segmented_control(
            "Over time",
            list(PARTS),
            default="answer",
            format_func=PART_WORDS.__getitem__,
            key=f"{time_range.KEY}.part",
            required=True,
        )
    )
    _over_time(report, part)


def quantile_cells(find: SessionFilter, name: str, spread: Spread) -> list[Seen]:
    """Count and percentiles of a time; each leads to its sessions by `find`."""
    cells = [Seen(spread.n, find(mark=name) if spread.n else None)]
    for part in QUANTILES.values():
        value = spread.quantile(part)
        lead = None if value is None else find(mark=name, mark_over_ms=f"{value:.4g}")
        cells.append(Seen(value, lead))
    return cells


def _row(report: Report, part: str) -> list[object]:
    name = f"part|{part}"
    spread = report.whole.spread(name)
    return [
        PART_WORDS[part],
        *quantile_cells(partial(time_range.find, report.scope), name, spread),
        spread.mean_ms,
    ]


def _over_time(report: Report, part: str) -> None:
    name = f"part|{part}"
    rows: list[dict[str, object]] = []
    leads: list[dict[str, str]] = []
    for at, figures in report.times:
        spread = figures.spread(name)
        for label in ("p50", "p95"):
            value = spread.quantile(QUANTILES[label])
            if value is None:
                continue
            rows.append(
                {
                    drill_down.ROW: len(rows),
                    "when": when(at),
                    "Percentile": label,
                    "ms": round(value, 1),
                    "Turns": spread.n,
                }
            )
            leads.append(
                time_range.find(part_of(report, at), mark=name, mark_over_ms=f"{value:.4g}")
            )
    if not rows:
        st.caption("No measurements in this period.")
        return
    base = alt.Chart(pd.DataFrame(rows), height=_HEIGHT).encode(
        x=time_axis(report),
        y=alt.Y("ms:Q", title="ms"),
        color=alt.Color("Percentile:N", title=None, sort=["p50", "p95"]),
        tooltip=[alt.Tooltip("when:T", format="%-d %b %Y %H:%M"), "Percentile", "ms", "Turns"],
    )
    points = base.mark_circle(size=70, cursor="pointer").add_params(drill_down.pick())
    drill_down.chart(
        alt.layer(base.mark_line(), points),
        leads,
        key=f"{time_range.KEY}.latency.{part}",
        text=f"p50 and p95 of {PART_WORDS[part]} over time, in ms",
    )
