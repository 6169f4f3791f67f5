"""Drawing the outcomes of sessions, their failures, interrupts and reviews."""

from __future__ import annotations

from functools import partial
from typing import Final

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.analytics import time_range
from dashboard.analytics.latency import QUANTILES, quantile_cells
from dashboard.sessions import session_filters
from dashboard.ui import bridge, drill_down, nav
from dashboard.ui import format as fmt
from dashboard.ui.drill_down import COUNT, MS, SHARE, Seen
from services.analytics.metrics import Figures
from services.analytics.service import Report
from services.analytics.session_metrics import Outcome
from services.analytics.significance import wilson
from services.store.session_fields import NONE

_WORDS: Final = {
    Outcome.ANSWERED: "Answered",
    Outcome.ABANDONED: "Abandoned without an answer",
    Outcome.NOBODY: "No participant",
    Outcome.FAILED: "Room lost",
    Outcome.UNTOLD: "Unknown (no recorder)",
    Outcome.OPEN: "In progress",
}
_SCORES: Final = ("yes", "no", "not applicable")


def ends(report: Report) -> None:
    """Each outcome, and the failures by their cause."""
    whole = report.whole
    found = [(one, whole.outcome(one)) for one in Outcome if whole.outcome(one)]
    rows = pd.DataFrame(
        {
            drill_down.ROW: range(len(found)),
            "Outcome": [_WORDS[one] for one, _ in found],
            "Sessions": [count for _, count in found],
            "Share": [count / whole.sessions for _, count in found],
        }
    )
    drawn = (
        alt.Chart(rows, height=36 * len(found) + 30)
        .mark_bar(cursor="pointer")
        .encode(
            x=alt.X("Sessions:Q", title="Sessions", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("Outcome:N", title=None, sort=None, axis=alt.Axis(labelLimit=220)),
            tooltip=["Outcome", "Sessions", alt.Tooltip("Share:Q", format=".1%")],
        )
        .add_params(drill_down.pick())
    )
    leads = [time_range.find(report.scope, mark=f"outcome|{one}") for one, _ in found]
    text = ", ".join(f"{_WORDS[one]}: {count:,}" for one, count in found)
    drill_down.chart(drawn, leads, key=f"{time_range.KEY}.outcomes", text=text)
    st.markdown("**Failures by cause**")
    causes = whole.named("cause")
    if causes:
        drill_down.table(
            {"Cause": None, "Failures": COUNT},
            [
                [
                    fmt.plain(cause),
                    Seen(count, time_range.find(report.scope, mark=f"cause|{cause}")),
                ]
                for cause, count in causes.items()
            ],
            key=f"{time_range.KEY}.causes",
            alt="Failures by cause",
        )
    else:
        st.caption("No failures in this period.")
    if report.not_created:
        st.markdown("**Session creation failures**")
        st.dataframe(
            pd.DataFrame(
                [
                    {"Reason": why.replace("_", " ").capitalize(), "Failures": count}
                    for why, count in report.not_created.items()
                ]
            ),
            key=f"{time_range.KEY}.not_created",
            hide_index=True,
            alt="Session creation failures by reason",
        )


def questions(report: Report) -> None:
    """Interrupts by node, and how long each waited for its answer."""
    waiting = bridge.read(lambda: bridge.runtime().store.agents.pending_interrupts(limit=100))
    if waiting:
        count = f"{len(waiting)}{'+' if len(waiting) == 100 else ''}"
        nav.link(
            "sessions",
            f"{count} pending now",
            icon=":material/front_hand:",
            interrupts_pending="true",
        )
    nodes = report.whole.questions()
    if not nodes:
        st.caption("No interrupts in the ended sessions of this period.")
        return
    find = partial(time_range.find, report.scope)
    rows = []
    for node in nodes:
        mark = f"waited|{node}"
        unanswered = report.whole.counts.get(f"unanswered|{node}", 0)
        lead = time_range.find(report.scope, mark=f"unanswered|{node}") if unanswered else None
        cells = quantile_cells(find, mark, report.whole.spread(mark))
        seconds = [Seen(None if c.value is None else c.value / 1000, c.find) for c in cells[1:]]
        rows.append([fmt.plain(node), cells[0], *seconds, Seen(unanswered, lead)])
    s = st.column_config.NumberColumn(format="%.1f s")
    drill_down.table(
        {
            "Node": None,
            "Answered": COUNT,
            **dict.fromkeys(QUANTILES, s),
            "Not answered": COUNT,
        },
        rows,
        key=f"{time_range.KEY}.questions",
        alt="Interrupt wait times by node",
    )
    st.caption("Time from the interrupt to its answer.")


def quality(report: Report) -> None:
    """Verdicts and the scorecard's answers."""
    whole = report.whole
    if not whole.judged:
        st.caption("No reviews of sessions in this period.")
        return
    verdicts = whole.named("verdict")
    drill_down.table(
        {"Review": None, "Sessions": COUNT, "Share": SHARE},
        [
            [
                session_filters.VERDICTS.get(verdict, verdict),
                Seen(count, time_range.find(report.scope, verdict=verdict)),
                count / whole.judged,
            ]
            for verdict, count in verdicts.items()
        ],
        key=f"{time_range.KEY}.verdicts",
        alt="Review results",
    )
    scores = whole.scores()
    if not scores:
        return
    st.markdown("**Scorecard**")
    drill_down.table(
        {
            "Question": None,
            **dict.fromkeys(map(str.capitalize, _SCORES), COUNT),
            "Yes (of yes and no)": SHARE,
        },
        [
            [fmt.plain(question), *_answers(report, question, told)]
            for question, told in scores.items()
        ],
        key=f"{time_range.KEY}.scores",
        alt="Scorecard answers",
    )


def _answers(report: Report, question: str, told: dict[str, int]) -> list[object]:
    cells: list[object] = []
    for answer in _SCORES:
        count = told.get(answer, 0)
        lead = time_range.find(report.scope, mark=f"score|{question}|{answer}") if count else None
        cells.append(Seen(count, lead))
    clear = told.get("yes", 0) + told.get("no", 0)
    return [*cells, told.get("yes", 0) / clear if clear else None]


def versions(report: Report) -> None:
    """Each version of each agent beside the others."""
    rows = [
        _version(report, agent, version, one)
        for (agent, version), one in report.versions.items()
        if one.sessions
    ]
    drill_down.table(
        {
            "Agent": None,
            "Version": None,
            "Sessions": COUNT,
            "Median duration": st.column_config.NumberColumn(format="%.0f s"),
            "Latency p50": MS,
            "Latency p95": MS,
            "Abandoned": SHARE,
            "Error rate": SHARE,
            "Reviewed": COUNT,
            "Pass rate (95 % CI)": None,
        },
        rows,
        key=f"{time_range.KEY}.versions",
        alt="Metrics by agent and version",
    )
    st.caption(
        "Set SWITCHBOARD_AGENT_VERSION (e.g. a git commit) to tell versions apart. To compare two, "
        "choose one under “Version” and the other under “Compare to”."
    )


def _version(report: Report, agent: str, version: str, one: Figures) -> list[object]:
    def lead(**more: str) -> dict[str, str]:
        return time_range.find(
            report.scope, agent_name=agent or NONE, version=version or NONE, **more
        )

    answer, lasts = one.spread("part|answer"), one.spread("duration").quantile(0.5)
    p95 = answer.quantile(0.95)
    passed = one.named("verdict").get("pass", 0)
    low, high = wilson(passed, one.judged)
    abandoned, troubled = one.outcome(Outcome.ABANDONED), one.counts.get("troubled", 0)
    return [
        fmt.plain(agent) or fmt.ABSENT,
        fmt.plain(version) or "unknown",
        Seen(one.sessions, lead()),
        None if lasts is None else lasts / 1000,
        Seen(answer.quantile(0.5), lead(mark="part|answer") if answer.n else None),
        Seen(p95, lead(mark="part|answer", mark_over_ms=f"{p95:.4g}") if p95 is not None else None),
        Seen(abandoned / one.over if one.over else None, lead(mark=f"outcome|{Outcome.ABANDONED}")),
        Seen(troubled / one.sessions, lead(errors="true")),
        one.judged,
        Seen(
            f"{low:.0%} to {high:.0%}" if one.judged else fmt.ABSENT,
            lead(verdict="pass") if passed else None,
        ),
    ]
