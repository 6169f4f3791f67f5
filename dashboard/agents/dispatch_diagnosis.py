"""The diagnosis of a missing agent: each step from the server to the agent, and the fix."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.system.check_results import LOOKS
from dashboard.ui import format as fmt
from services.health.diagnosis import STEPS
from services.health.findings import Finding


def steps(findings: Sequence[Finding]) -> None:
    """One line a step; the last one found says what to do, the later ones were not checked."""
    for finding in findings:
        colour, icon, _ = LOOKS[finding.status]
        text = f":{colour}[{icon}] **{finding.name}** {fmt.md(finding.message)}"
        if finding.fix:
            text += f"  \n:small[{fmt.md(finding.fix)}]"
        st.markdown(text)
    for step in STEPS[len(findings) :]:
        st.markdown(f":gray[:material/more_horiz: {step.name}]")
