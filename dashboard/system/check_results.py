"""The results of checks: problems and warnings first, with their fix; then everything by area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboard.ui import format as fmt
from dashboard.ui.title import Colour
from services.health.findings import Area, Finding, Status

LOOKS: Final[dict[Status, tuple[Colour, str, str]]] = {
    Status.OK: ("green", ":material/check_circle:", "OK"),
    Status.STARTING: ("blue", ":material/hourglass_top:", "Starting"),
    Status.UNKNOWN: ("gray", ":material/help:", "Unknown"),
    Status.WARNING: ("orange", ":material/warning:", "Warning"),
    Status.PROBLEM: ("red", ":material/error:", "Problem"),
}


def draw(findings: Sequence[Finding]) -> None:
    """Warnings and problems with reason and remedy, then one box for each area."""
    _worse(findings)
    _areas(findings, names=2)


def draw_live(findings: Sequence[Finding]) -> None:
    """In half a page, while they change: the boxes stay where they are, the rest is below."""
    _areas(findings, names=4)
    _worse(findings)


def _worse(findings: Sequence[Finding]) -> None:
    worse = [f for f in findings if f.bad]
    for finding in sorted(worse, key=lambda f: f.status is not Status.PROBLEM):
        _amiss(finding)


def _areas(findings: Sequence[Finding], *, names: int) -> None:
    for area in Area:
        if found := [f for f in findings if f.area is area]:
            _area(area, found, names=names)


def _amiss(finding: Finding) -> None:
    """A problem or a warning, with its impact and its fix."""
    draw = st.error if finding.status is Status.PROBLEM else st.warning
    colour, icon, _ = LOOKS[finding.status]
    lines = [fmt.md(finding.message), f":{colour}[**Impact**] {fmt.md(finding.impact)}"]
    if finding.fix:
        lines.append(f":{colour}[**Fix**] {fmt.md(finding.fix)}")
    draw("  \n".join(lines), title=finding.name, icon=icon)
    if finding.snippet:
        st.code(finding.snippet, language=None)


def _area(area: Area, findings: list[Finding], *, names: int) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{area.value}**")
        for finding in findings:
            colour, icon, word = LOOKS[finding.status]
            name, found = st.columns([names, 5], vertical_alignment="top", gap="small")
            name.markdown(f":{colour}[{icon}] {finding.name}", help=finding.impact)
            text = fmt.md(finding.message)
            if finding.status is not Status.OK:
                text = f":{colour}[**{word}.**] {text}"
            if not finding.bad and finding.fix:
                text += f" :gray[{fmt.md(finding.fix)}]"
            found.markdown(text)
