"""Drawing the doctor: a line that sums up, and the whole report."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import bridge, feedback, viewer
from dashboard import format as fmt
from dashboard.title import Colour
from services.checks.finding import Area, Finding, Report, Verdict
from services.doctor import Doctor
from services.errors import SwitchboardError
from services.system import System, system_of

_LOOKS: Final[dict[Verdict, tuple[Colour, str, str]]] = {
    Verdict.OK: ("green", ":material/check_circle:", "OK"),
    Verdict.UNKNOWN: ("gray", ":material/help:", "Not known"),
    Verdict.WARNING: ("orange", ":material/warning:", "Warning"),
    Verdict.PROBLEM: ("red", ":material/error:", "Problem"),
}
_RUN_S: Final = 40.0  # every group of checks has its own, shorter limit


def shared_system() -> System:
    """What the System page reads from, one for all viewers."""
    runtime = bridge.runtime()
    return bridge.read(lambda: system_of(runtime))


def summary(doctor: Doctor) -> None:
    """One line: how it stands. Asks for a look where the last one is old, and does not wait."""
    bridge.read(doctor.look)
    report = doctor.last
    if report is None:
        st.badge("The doctor is looking …", icon=":material/hourglass_top:", color="blue")
        return
    colour, icon, _ = _LOOKS[report.worst]
    bad = [f for f in report.findings if f.verdict in {Verdict.PROBLEM, Verdict.WARNING}]
    unknown = report.count(Verdict.UNKNOWN)
    well = f"{unknown} could not be told" if unknown else "nothing needs mending"
    text = fmt.listing([f.name for f in bad], limit=3) if bad else well
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(_counted(report), icon=icon, color=colour)
        st.caption(f"{text} · checked {viewer.moment(report.at)}", width="content")


def _counted(report: Report) -> str:
    problems, warnings = report.count(Verdict.PROBLEM), report.count(Verdict.WARNING)
    parts = [fmt.count_text(problems, "problem")] if problems else []
    parts += [fmt.count_text(warnings, "warning")] if warnings else []
    return ", ".join(parts) or f"{fmt.count_text(report.count(Verdict.OK), 'check')} passed"


def examination(doctor: Doctor) -> None:
    """The report with its buttons; what is not well comes first."""
    with st.container(horizontal=True, vertical_alignment="center"):
        wanted = st.button(
            "Run all checks",
            key="system.doctor.run",
            type="primary",
            icon=":material/stethoscope:",
            help="Also opens a room for a moment and waits for its webhook.",
        )
        if doctor.last is not None:
            st.download_button(
                "Report",
                doctor.last.text(),
                "switchboard-doctor.txt",
                key="system.doctor.download",
                icon=":material/download:",
                on_click="ignore",
                help="The same as text, for a ticket. It holds addresses, and no secret.",
            )
        st.space("stretch")
        st.caption("From a shell: `make doctor`", width="content")
    if wanted:
        _run(doctor)
    if doctor.last is None:
        feedback.show_loading(6)
    else:
        _report(doctor.last)


def _run(doctor: Doctor) -> None:
    with st.spinner("Looking at everything …", show_time=True):
        try:
            bridge.write(lambda: doctor.examine(complete=True), timeout_s=_RUN_S)
        except SwitchboardError as error:
            feedback.show_error(error, key="system.doctor.error")


def _report(report: Report) -> None:
    kind = "All checks" if report.complete else "The checks that leave nothing behind"
    st.caption(
        f"{kind}, at {viewer.moment(report.at)}, in {fmt.latency(report.took_s)}: "
        f"{report.summary()}."
    )
    worse = [f for f in report.findings if f.verdict in {Verdict.PROBLEM, Verdict.WARNING}]
    for finding in sorted(worse, key=lambda f: f.verdict is not Verdict.PROBLEM):
        _amiss(finding)
    for area in Area:
        if found := [f for f in report.findings if f.area is area]:
            _area(area, found)


def _amiss(finding: Finding) -> None:
    """What is not well, with its reason and the way out."""
    draw = st.error if finding.verdict is Verdict.PROBLEM else st.warning
    colour, icon, _ = _LOOKS[finding.verdict]
    lines = [fmt.md(finding.found), f":{colour}[**Why it matters**] {fmt.md(finding.why)}"]
    if finding.mend:
        lines.append(f":{colour}[**What to do**] {fmt.md(finding.mend)}")
    draw("  \n".join(lines), title=finding.name, icon=icon)
    if finding.snippet:
        st.code(finding.snippet, language=None)


def _area(area: Area, findings: list[Finding]) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{area.value}**")
        for finding in findings:
            colour, icon, word = _LOOKS[finding.verdict]
            name, found = st.columns([2, 5], vertical_alignment="top", gap="small")
            name.markdown(f":{colour}[{icon}] {finding.name}", help=finding.why)
            text = fmt.md(finding.found)
            if finding.verdict is not Verdict.OK:
                text = f":{colour}[**{word}.**] {text}"
            if finding.verdict is Verdict.UNKNOWN and finding.mend:
                text += f" :gray[{fmt.md(finding.mend)}]"
            found.markdown(text)
