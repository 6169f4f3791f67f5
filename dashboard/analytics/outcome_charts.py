"""Drawing how sessions ended, why some failed, what humans were asked, and what reviewers say."""

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
    Outcome.ANSWERED: "answered at least once",
    Outcome.ABANDONED: "left without an answer",
    Outcome.NOBODY: "nobody came",
    Outcome.FAILED: "its room was lost",
    Outcome.UNTOLD: "no recorder told",
    Outcome.OPEN: "goes on",
}
_SCORES: Final = ("yes", "no", "not applicable")


def ends(report: Report) -> None:
    """Each outcome, and the failures by their cause."""
    whole = report.whole
    found = [(one, whole.outcome(one)) for one in Outcome if whole.outcome(one)]
    rows = pd.DataFrame(
        {
            drill_down.ROW: range(len(found)),
            "How it ended": [_WORDS[one] for one, _ in found],
            "Sessions": [count for _, count in found],
            "Part": [count / whole.sessions for _, count in found],
        }
    )
    drawn = (
        alt.Chart(rows, height=36 * len(found) + 30)
        .mark_bar(cursor="pointer")
        .encode(
            x=alt.X("Sessions:Q", title="Sessions", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("How it ended:N", title=None, sort=None, axis=alt.Axis(labelLimit=220)),
            tooltip=["How it ended", "Sessions", alt.Tooltip("Part:Q", format=".1%")],
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
            {"Cause": None, "Times": COUNT},
            [
                [
                    fmt.plain(cause),
                    Seen(count, time_range.find(report.scope, mark=f"cause|{cause}")),
                ]
                for cause, count in causes.items()
            ],
            key=f"{time_range.KEY}.causes",
            alt="How often something failed, by its cause",
        )
    else:
        st.caption("Nothing failed in the sessions of this time.")
    if report.not_created:
        st.markdown("**Sessions that could not be created**")
        st.dataframe(
            pd.DataFrame(
                [
                    {"Why": why.replace("_", " "), "Times": count}
                    for why, count in report.not_created.items()
                ]
            ),
            key=f"{time_range.KEY}.not_created",
            hide_index=True,
            alt="How often a session could not be created, by the reason",
        )


def questions(report: Report) -> None:
    """What graphs asked humans, and how long these let them wait."""
    waiting = bridge.read(lambda: bridge.runtime().store.agents.pending_interrupts(limit=100))
    if waiting:
        count = f"{len(waiting)}{'+' if len(waiting) == 100 else ''}"
        nav.link(
            "sessions",
            f"{count} wait for an answer now",
            icon=":material/help:",
            interrupts_pending="true",
        )
    nodes = report.whole.questions()
    if not nodes:
        st.caption("No graph asked a human in the sessions that began and ended in this time.")
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
            "Asked by": None,
            "Answered": COUNT,
            **dict.fromkeys(QUANTILES, s),
            "Never answered": COUNT,
        },
        rows,
        key=f"{time_range.KEY}.questions",
        alt="How long questions waited for an answer, by the node that asked",
    )
    st.caption("From the question to the moment at which the graph had its answer.")


def quality(report: Report) -> None:
    """Verdicts and the scorecard's answers."""
    whole = report.whole
    if not whole.judged:
        st.caption("No session of this time has a verdict.")
        return
    verdicts = whole.named("verdict")
    drill_down.table(
        {"Verdict": None, "Sessions": COUNT, "Part": SHARE},
        [
            [
                session_filters.VERDICTS.get(verdict, verdict),
                Seen(count, time_range.find(report.scope, verdict=verdict)),
                count / whole.judged,
            ]
            for verdict, count in verdicts.items()
        ],
        key=f"{time_range.KEY}.verdicts",
        alt="Verdicts of the reviewers",
    )
    scores = whole.scores()
    if not scores:
        return
    st.markdown("**Scorecard**")
    drill_down.table(
        {
            "Question": None,
            **dict.fromkeys(map(str.capitalize, _SCORES), COUNT),
            "Yes, of both": SHARE,
        },
        [
            [fmt.plain(question), *_answers(report, question, told)]
            for question, told in scores.items()
        ],
        key=f"{time_range.KEY}.scores",
        alt="Answers to the questions of the scorecard",
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
            "Lasts, median": st.column_config.NumberColumn(format="%.0f s"),
            "Answer, median": MS,
            "Answer, p95": MS,
            "Abandoned": SHARE,
            "With errors": SHARE,
            "Judged": COUNT,
            "Work": None,
        },
        rows,
        key=f"{time_range.KEY}.versions",
        alt="Every version of every agent, with its figures",
    )
    st.caption(
        "An agent tells its version by SWITCHBOARD_AGENT_VERSION. To compare two, choose one above, "
        "and the other under “Compared with”."
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
        fmt.plain(version) or "not told",
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
