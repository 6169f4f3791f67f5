"""Drawing what checks found: what is not well first, with the way out; then all of it by area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboard.ui import format as fmt
from dashboard.ui.title import Colour
from services.health.findings import Area, Finding, Verdict

LOOKS: Final[dict[Verdict, tuple[Colour, str, str]]] = {
    Verdict.OK: ("green", ":material/check_circle:", "OK"),
    Verdict.UNKNOWN: ("gray", ":material/help:", "Not known"),
    Verdict.WARNING: ("orange", ":material/warning:", "Warning"),
    Verdict.PROBLEM: ("red", ":material/error:", "Problem"),
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
    worse = [f for f in findings if f.verdict in {Verdict.PROBLEM, Verdict.WARNING}]
    for finding in sorted(worse, key=lambda f: f.verdict is not Verdict.PROBLEM):
        _amiss(finding)


def _areas(findings: Sequence[Finding], *, names: int) -> None:
    for area in Area:
        if found := [f for f in findings if f.area is area]:
            _area(area, found, names=names)


def _amiss(finding: Finding) -> None:
    """What is not well, with its reason and the way out."""
    draw = st.error if finding.verdict is Verdict.PROBLEM else st.warning
    colour, icon, _ = LOOKS[finding.verdict]
    lines = [fmt.md(finding.found), f":{colour}[**Why it matters**] {fmt.md(finding.why)}"]
    if finding.mend:
        lines.append(f":{colour}[**What to do**] {fmt.md(finding.mend)}")
    draw("  \n".join(lines), title=finding.name, icon=icon)
    if finding.snippet:
        st.code(finding.snippet, language=None)


def _area(area: Area, findings: list[Finding], *, names: int) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{area.value}**")
        for finding in findings:
            colour, icon, word = LOOKS[finding.verdict]
            name, found = st.columns([names, 5], vertical_alignment="top", gap="small")
            name.markdown(f":{colour}[{icon}] {finding.name}", help=finding.why)
            text = fmt.md(finding.found)
            if finding.verdict is not Verdict.OK:
                text = f":{colour}[**{word}.**] {text}"
            if finding.verdict is Verdict.UNKNOWN and finding.mend:
                text += f" :gray[{fmt.md(finding.mend)}]"
            found.markdown(text)
