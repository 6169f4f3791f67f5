"""Rooms whose agent is not there: each is walked through, and the first thing wrong is named."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from services.agents.dispatch_diagnosis import StepState, Why
from services.errors import SwitchboardError
from services.health.findings import Area, Check, Finding
from services.rooms.views import Health, RoomView

MISSING: Final = Check(
    code="missing_agents",
    area=Area.AGENTS,
    name="Agents in their rooms",
    why="A caller who waits alone for an agent hears nothing.",
)
_LOOKED_AT: Final = 3


async def examine(views: Iterable[RoomView], why: Why, now: datetime) -> tuple[Finding, ...]:
    """One finding: every agent is where it should be, or what is wrong in the first rooms."""
    alone = [view for view in views if view.health(now)[0] is Health.NO_AGENT]
    if not alone:
        return (MISSING.ok("No room waits for its agent."),)
    said: list[str] = []
    mend = ""
    for view in alone[:_LOOKED_AT]:
        try:
            steps = await why.ask(view.name)
        except SwitchboardError as exc:
            said.append(f"{view.name}: {exc.message}")
            continue
        wrong = next((step for step in steps if step.state is StepState.WRONG), None)
        text = f"{wrong.name}: {wrong.text}" if wrong is not None else "it is on its way."
        said.append(f"{view.name}: {text}")
        mend = mend or (wrong.mend if wrong is not None else "")
    more = f" And {len(alone) - _LOOKED_AT} more rooms." if len(alone) > _LOOKED_AT else ""
    return (
        MISSING.problem(
            f"{' '.join(said)}{more}", mend or "Open the room's page, which shows each step."
        ),
    )
