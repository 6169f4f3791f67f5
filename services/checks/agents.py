"""Rooms that asked for an agent and have none, each with the first thing that is wrong."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from services.checks.finding import Area, Check, Finding
from services.errors import NotFoundError, SwitchboardError
from services.jobs.why import StepState, Why
from services.rooms_view import Health, RoomsSnapshot

HERE: Final = Check(
    code="agents_here",
    area=Area.AGENTS,
    name="Agents in their rooms",
    why="A person in such a room talks to nobody.",
)
MOST: Final = 5  # rooms that are walked through; the others are counted


async def examine(snapshot: RoomsSnapshot, why: Why, now: datetime) -> tuple[Finding, ...]:
    """One finding for each room without its agent, of the first five; or that there is none."""
    waiting = [v.name for v in snapshot.rooms if v.health(now)[0] is Health.NO_AGENT]
    found: list[Finding] = []
    for name in waiting[:MOST]:
        try:
            found.append(await _look(name, why))
        except NotFoundError:
            continue  # it has ended meanwhile
        except SwitchboardError as exc:
            found.append(HERE.unknown(f"{name}: {exc.message}", exc.hint))
    if len(waiting) > MOST:
        found.append(HERE.warning(f"{len(waiting) - MOST:,} more rooms wait.", "See the overview."))
    if not found:
        return (HERE.ok("No open room waits for an agent that was asked for."),)
    return tuple(found)


async def _look(name: str, why: Why) -> Finding:
    steps = await why.ask(name)
    wrong = next((step for step in steps if step.state is StepState.WRONG), None)
    if wrong is None:
        return HERE.ok(f"{name}: the agent has come meanwhile.")
    return HERE.problem(f"{name}: {wrong.name}: {wrong.text}", wrong.mend)
