"""Drawing the walk from the server to the agent: where it stops, and what to do there."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.ui import format as fmt
from services.agents.dispatch_diagnosis import Step, StepState

_STATES: Final = {
    StepState.OK: ("green", ":material/check_circle:"),
    StepState.UNKNOWN: ("gray", ":material/help:"),
    StepState.WRONG: ("red", ":material/error:"),
    StepState.NOT_REACHED: ("gray", ":material/more_horiz:"),
}


def walk(steps: tuple[Step, ...]) -> None:
    """One line a step; the first wrong one says what to do."""
    for step in steps:
        colour, icon = _STATES[step.state]
        text = f":{colour}[{icon}] **{step.name}** {fmt.md(step.text)}"
        if step.state is StepState.NOT_REACHED:
            text = f":gray[{icon} {step.name}]"
        if step.mend:
            text += f"  \n:small[{fmt.md(step.mend)}]"
        st.markdown(text)
