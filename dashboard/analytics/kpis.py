"""Drawing the main metrics of a period, and how they differ from those of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import streamlit as st

from dashboard.analytics import time_range
from dashboard.ui import bridge, drill_down, feedback, nav
from dashboard.ui import format as fmt
from dashboard.ui.drill_down import Seen
from services.analytics.comparison import Better, Line, Unit, compare
from services.analytics.metrics import Figures
from services.analytics.service import Report, Scope
from services.errors import SwitchboardError

_CARD_PX: Final = 200
_CARD_HIGH_PX: Final = 164
_CARDS: Final = {
    "sessions": "Sessions that started in this period",
    "part|answer.median": "Time from the end of speech to the first audio of the answer: half of all "
    "turns were faster",
    "part|answer.p95": "5 % of all turns took longer",
    "duration.median": "From the first participant joining to the end of the session",
    "abandoned": "Ended sessions in which the caller left without an answer",
    "troubled": "Sessions in which a graph run, an agent or a plugin failed at least once",
    "passed": "Share of the reviewed sessions that passed",
}
_NOT_SIGNIFICANT: Final = "not significant"
_SHORT: Final = {
    "part|answer.median": "Latency p50",
    "part|answer.p95": "Latency p95",
    "duration.median": "Median duration",
}
_Colour = Literal["normal", "inverse", "off"]
_COLOURS: Final[dict[Better, _Colour]] = {
    Better.MORE: "normal",
    Better.LESS: "inverse",
    Better.NEITHER: "off",
}


def reports(asked: time_range.Asked) -> tuple[Report, Report | None] | None:
    """The figures of the time and of what it is compared with; None: the error is drawn."""
    figures, zone = bridge.runtime().analytics, time_range.zone()
    against = asked.against
    try:
        report = bridge.read(lambda: figures.report(asked.scope, zone))
        if against is None:
            return report, None
        return report, bridge.read(lambda: figures.report(against, zone))
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{time_range.KEY}.error")
        return None


def lines_of(report: Report, other: Report | None) -> tuple[Line, ...]:
    """Every figure of the time, beside those of the other."""
    if other is None:
        return compare(report.whole, report.scope.hours)
    return compare(report.whole, report.scope.hours, other.whole, other.scope.hours)


def cards(report: Report, lines: tuple[Line, ...]) -> None:
    """The figures that one looks at first, each with the way to its sessions."""
    by_name = {line.name: line for line in lines}
    with st.grid(4, min_column_width=_CARD_PX):
        for name, help_ in _CARDS.items():
            with st.container(gap="xxsmall"):
                _card(report, by_name[name], help_)
        with st.container(gap="xxsmall"):
            _at_once(report)


def _card(report: Report, line: Line, help_: str) -> None:
    whole = line.name == "sessions"
    value = fmt.number(report.whole.sessions) if whole else written(line.unit, line.value)
    delta, colour = _delta(line)
    st.metric(
        "Sessions" if whole else _SHORT.get(line.name, line.words),
        value,
        delta,
        delta_color=colour,
        delta_description=None if delta is None else _description(line),
        border=True,
        help=help_,
        chart_data=_trend(report, line.name),
        chart_type="area",
        height=_CARD_HIGH_PX,
    )
    if line.value is not None:
        nav.link(
            "sessions",
            "View sessions",
            icon=":material/arrow_forward:",
            **lead(report.scope, line, line.value),
        )


def _description(line: Line) -> str:
    """What stands behind the difference: the unit of a rate, and whether it is significant."""
    result = says(line)
    if line.unit is not Unit.PER_DAY:
        return result
    return "per day" if result in {"higher", "lower"} else f"per day, {result}"


def _delta(line: Line) -> tuple[str | None, _Colour]:
    difference = line.difference
    if difference is None:
        return None, "off"
    colour: _Colour = _COLOURS[line.better] if difference.is_significant else "off"
    return _signed(line.unit, difference.value), colour


def says(line: Line) -> str:
    """Whether the difference is significant, in words."""
    difference = line.difference
    if difference is None:
        return "no comparison"
    if not difference.is_told:
        return "too few sessions"
    if not difference.is_significant:
        return _NOT_SIGNIFICANT
    if line.better is Better.NEITHER:
        return "higher" if difference.value > 0 else "lower"
    return "better" if (difference.value > 0) == (line.better is Better.MORE) else "worse"


def lead(of: Scope, line: Line, value: float | None) -> dict[str, str]:
    """The address of the sessions that a figure counts; of a percentile, those above it."""
    over = f"{value:.4g}" if line.is_high and value else ""
    return time_range.find(
        of,
        mark=line.mark,
        mark_over_ms=over,
        errors="true" if line.errors else "",
        verdict=line.verdict,
    )


_TRENDS: Final[dict[str, Callable[[Figures], float | None]]] = {
    "sessions": lambda one: one.sessions,
    "part|answer.median": lambda one: one.spread("part|answer").quantile(0.5),
    "part|answer.p95": lambda one: one.spread("part|answer").quantile(0.95),
    "duration.median": lambda one: one.spread("duration").quantile(0.5),
    "abandoned": lambda one: one.counts.get("outcome|abandoned", 0) / one.over if one.over else 0,
    "troubled": lambda one: one.counts.get("troubled", 0) / one.sessions if one.sessions else 0,
    "passed": lambda one: one.named("verdict").get("pass", 0) / one.judged if one.judged else None,
}


def _trend(report: Report, name: str) -> list[float] | None:
    """By the hour or the day; None where there are less than two."""
    told = [_TRENDS[name](figures) for _, figures in report.times]
    values = [one for one in told if one is not None]
    return values if len(values) > 1 else None


def _at_once(report: Report) -> None:
    """How many went on at the same time."""
    length, unit = (3_600, "hour") if report.by_hour else (86_400, "day")
    means = [figures.busy_s / length for _, figures in report.times]
    most = max(means, default=0.0)
    busiest = report.busiest
    known = busiest is not None and busiest.sessions >= max(1.0, most)
    st.metric(
        "Peak concurrency" if known else f"Mean concurrency, peak {unit}",
        fmt.number(busiest.sessions)
        if known and busiest is not None
        else f"{most:.2g}"
        if most >= 0.01
        else "< 0.01",
        border=True,
        help="The most concurrent sessions in one minute. Minutes are kept for a week."
        if known
        else f"The mean of concurrent sessions in the busiest {unit}",
        chart_data=means if len(means) > 1 else None,
        chart_type="area",
        height=_CARD_HIGH_PX,
    )
    if known and busiest is not None:
        nav.link(
            "sessions",
            "View sessions before the peak",
            icon=":material/arrow_forward:",
            **time_range.find(report.scope, created_before=f"{busiest.minute:%Y-%m-%dT%H:%MZ}"),
        )


def comparison(
    report: Report, other: Report | None, lines: tuple[Line, ...], asked: time_range.Asked
) -> None:
    """Each figure of the two, their difference, and whether it is more than chance."""
    if other is None:
        st.caption("Choose a period or a version under “Compare to” above.")
        return
    only = st.toggle("Significant only", key=f"{time_range.KEY}.differs")
    shown = [
        line
        for line in lines
        if not only or (line.difference is not None and line.difference.is_significant)
    ]
    rows = [
        [
            line.words,
            Seen(written(line.unit, line.before), lead(other.scope, line, line.before)),
            Seen(written(line.unit, line.value), lead(report.scope, line, line.value)),
            "" if line.difference is None else _signed(line.unit, line.difference.value),
            _bounds(line),
            says(line),
        ]
        for line in shown
    ]
    columns: dict[str, object] = {"Metric": st.column_config.TextColumn(width=220)}
    for words in (asked.against_words, asked.words, "Difference"):  # a version may have any name
        name = fmt.plain(words)
        while name in columns:
            name += " "
        columns[name] = None
    columns["95 % CI"] = st.column_config.TextColumn(width=170)
    columns["Result"] = None
    drill_down.table(
        columns,
        rows,
        key=f"{time_range.KEY}.comparison",
        alt="Every metric of both, with the difference",
    )
    st.caption(
        "A difference is significant if its 95 % confidence interval excludes zero. About one in "
        "twenty unchanged metrics still appears significant."
    )


def written(unit: Unit, value: float | None) -> str:
    """A figure with its unit."""
    if value is None:
        return fmt.ABSENT
    match unit:
        case Unit.SHARE:
            return f"{value:.1%}"
        case Unit.MS:
            return fmt.duration(value / 1000) if value >= 10_000 else fmt.latency(value / 1000)
        case Unit.PER_DAY:
            return fmt.number(round(value, 1))


def _signed(unit: Unit, value: float) -> str:
    text = f"{abs(value) * 100:.1f} points" if unit is Unit.SHARE else written(unit, abs(value))
    is_zero = text.startswith("0.0 ")
    return text if is_zero else f"{'-' if value < 0 else '+'}{text}"


def _bounds(line: Line) -> str:
    difference = line.difference
    if difference is None or not difference.is_told:
        return ""
    return f"{_signed(line.unit, difference.low)} to {_signed(line.unit, difference.high)}"
