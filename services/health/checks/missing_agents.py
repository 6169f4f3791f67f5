"""Rooms without their agent: each is diagnosed, and the first problem named."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from services.errors import SwitchboardError
from services.health.diagnosis import Diagnosis
from services.health.findings import Area, Check, Finding
from services.rooms.views import Health, RoomView

MISSING: Final = Check(
    code="missing_agents",
    area=Area.AGENTS,
    name="Agents in their rooms",
    impact="A caller who waits alone for an agent hears nothing.",
)
_LOOKED_AT: Final = 3


async def examine(
    views: Iterable[RoomView], diagnosis: Diagnosis, now: datetime
) -> tuple[Finding, ...]:
    """One finding: every agent is where it should be, or what is wrong in the first rooms."""
    alone = [view for view in views if view.health(now)[0] is Health.NO_AGENT]
    if not alone:
        return (MISSING.ok("No room waits for its agent."),)
    said: list[str] = []
    fix = ""
    for view in alone[:_LOOKED_AT]:
        try:
            *_, last = await diagnosis.of_room(view.name)
        except SwitchboardError as exc:
            said.append(f"{view.name}: {exc.message}")
            continue
        said.append(f"{view.name}: {last.name}: {last.message}")
        fix = fix or (last.fix if last.bad else "")
    more = f" And {len(alone) - _LOOKED_AT} more rooms." if len(alone) > _LOOKED_AT else ""
    return (
        MISSING.problem(f"{' '.join(said)}{more}", fix or "Open the room's page: it diagnoses."),
    )
