"""What endpoints are given: the runtime, and its services behind the hop to its loop."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Request

from api.callers import May
from services.access.permissions import Caller, Right
from services.runtime import Runtime, get_runtime, held_runtime


async def _runtime(_: Request) -> Runtime:
    """Not async, FastAPI would call it on a thread of its pool: a hop for each request."""
    runtime = held_runtime()
    if runtime is not None and runtime.alive:
        return runtime
    return await asyncio.to_thread(get_runtime)


SharedRuntime = Annotated[Runtime, Depends(_runtime)]

MAY_READ = Depends(May(Right.READ))
Auditor = Annotated[Caller, Depends(May(Right.AUDIT))]
Answerer = Annotated[Caller, Depends(May(Right.ANSWER))]
Commander = Annotated[Caller, Depends(May(Right.COMMAND))]
Exporter = Annotated[Caller, Depends(May(Right.EXPORT))]
Operator = Annotated[Caller, Depends(May(Right.ROOMS))]
Reviewer = Annotated[Caller, Depends(May(Right.REVIEW))]
Tester = Annotated[Caller, Depends(May(Right.TEST))]
