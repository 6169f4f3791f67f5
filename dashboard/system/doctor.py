"""Drawing the doctor: a line that sums up, and the whole report."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.system import check_results
from dashboard.ui import bridge, feedback, viewer
from dashboard.ui import format as fmt
from services.errors import SwitchboardError
from services.health.doctor import Doctor
from services.health.findings import Report, Status

_RUN_S: Final = 40.0  # every group of checks has its own, shorter limit


def summary(doctor: Doctor) -> None:
    """One line: how it stands. Asks for a look where the last one is old, and does not wait."""
    bridge.read(doctor.look)
    report = doctor.last
    if report is None:
        st.badge("Checking …", icon=":material/hourglass_top:", color="blue")
        return
    colour, icon, _ = check_results.LOOKS[report.worst]
    bad = [f for f in report.findings if f.bad]
    unknown = report.count(Status.UNKNOWN)
    well = f"{unknown} unknown" if unknown else "nothing to fix"
    text = fmt.listing([f.name for f in bad], limit=3) if bad else well
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(_counted(report), icon=icon, color=colour)
        st.caption(f"{text} · checked {viewer.moment(report.at)}", width="content")


def _counted(report: Report) -> str:
    problems, warnings = report.count(Status.PROBLEM), report.count(Status.WARNING)
    parts = [fmt.count_text(problems, "problem")] if problems else []
    parts += [fmt.count_text(warnings, "warning")] if warnings else []
    return ", ".join(parts) or f"{fmt.count_text(report.count(Status.OK), 'check')} passed"


def examination(doctor: Doctor) -> None:
    """The report with its buttons; problems come first."""
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
                help="The same as text, for a ticket. It holds addresses and no secrets.",
            )
        st.space("stretch")
        st.caption("From a shell: `switchboard doctor`", width="content")
    if wanted:
        _run(doctor)
    if doctor.last is None:
        feedback.show_loading(6)
    else:
        _report(doctor.last)


def _run(doctor: Doctor) -> None:
    with st.spinner("Running all checks …", show_time=True):
        try:
            bridge.write(
                lambda caller: doctor.examine(complete=True, actor=caller), timeout_s=_RUN_S
            )
        except SwitchboardError as error:
            feedback.show_error(error, key="system.doctor.error")


def _report(report: Report) -> None:
    kind = "All checks" if report.complete else "All checks but the webhook round trip"
    st.caption(
        f"{kind}, at {viewer.moment(report.at)}, in {fmt.latency(report.took_s)}: "
        f"{report.summary()}."
    )
    check_results.draw(report.findings)
