"""Drawing how long agents took to answer, by part, and how that went over time."""

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
from services.analytics.comparison import PARTS
from services.analytics.service import Report
from services.analytics.significance import Spread

SessionFilter = Callable[..., dict[str, str]]
"""Gives the sessions page's address of what is said by `mark`, `over` and the like."""
_HEIGHT: Final = 260
QUANTILES: Final = {"Median": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_WORDS: Final = {
    "transcription": "Transcription: until the text was there",
    "turn detection": "Turn detection: until the turn was taken for over",
    "graph": "Graph: until the first word of the answer",
    "synthesis": "Synthesis: until its first sound",
    "answer": "The whole answer",
}


def panel(report: Report) -> None:
    """The parts of an answer, and one of them over time."""
    if not any(report.whole.spread(f"part|{part}").n for part in PARTS):
        st.caption("No spoken answer was measured in this time.")
        return
    rows = [_row(report, part) for part in PARTS]
    drill_down.table(
        {
            "From the end of speech": None,
            "Measured": COUNT,
            **dict.fromkeys(QUANTILES, MS),
            "Mean": MS,
        },
        rows,
        key=f"{time_range.KEY}.parts",
        alt="How long each part of an answer took",
    )
    st.caption("A click on a percentile shows the sessions in which it took longer at least once.")
    part = str(
        st.segmented_control(
            "Over time",
            list(PARTS),
            default="answer",
            format_func=str.capitalize,
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
        lead = None if value is None else find(mark=name, over=f"{value:.4g}")
        cells.append(Seen(value, lead))
    return cells


def _row(report: Report, part: str) -> list[object]:
    name = f"part|{part}"
    spread = report.whole.spread(name)
    return [
        _WORDS[part],
        *quantile_cells(partial(time_range.find, report.scope), name, spread),
        spread.mean_ms,
    ]


def _over_time(report: Report, part: str) -> None:
    name = f"part|{part}"
    rows: list[dict[str, object]] = []
    leads: list[dict[str, str]] = []
    for at, figures in report.times:
        spread = figures.spread(name)
        for label in ("Median", "p95"):
            value = spread.quantile(QUANTILES[label])
            if value is None:
                continue
            rows.append(
                {
                    drill_down.ROW: len(rows),
                    "when": when(at),
                    "Which": label,
                    "ms": round(value, 1),
                    "Measured": spread.n,
                }
            )
            leads.append(time_range.find(part_of(report, at), mark=name, over=f"{value:.4g}"))
    if not rows:
        st.caption("This part was not measured in this time.")
        return
    base = alt.Chart(pd.DataFrame(rows), height=_HEIGHT).encode(
        x=time_axis(report),
        y=alt.Y("ms:Q", title="ms"),
        color=alt.Color("Which:N", title=None, sort=["Median", "p95"]),
        tooltip=[alt.Tooltip("when:T", format="%-d %b %Y %H:%M"), "Which", "ms", "Measured"],
    )
    points = base.mark_circle(size=70, cursor="pointer").add_params(drill_down.pick())
    drill_down.chart(
        alt.layer(base.mark_line(), points),
        leads,
        key=f"{time_range.KEY}.latency.{part}",
        text=f"Median and p95 of {part} over time, in ms",
    )
