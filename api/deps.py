"""What endpoints are given: the runtime, and its services behind the hop to its loop."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Request

from api.callers import May
from services.access.permissions import Caller, Permission
from services.runtime import Runtime, get_runtime, held_runtime


async def _runtime(_: Request) -> Runtime:
    """Not async, FastAPI would call it on a thread of its pool: a hop for each request."""
    runtime = held_runtime()
    if runtime is not None and runtime.alive:
        return runtime
    return await asyncio.to_thread(get_runtime)


SharedRuntime = Annotated[Runtime, Depends(_runtime)]

MAY_READ = Depends(May(Permission.READ))
Auditor = Annotated[Caller, Depends(May(Permission.AUDIT))]
Answerer = Annotated[Caller, Depends(May(Permission.ANSWER))]
Commander = Annotated[Caller, Depends(May(Permission.COMMAND))]
Exporter = Annotated[Caller, Depends(May(Permission.EXPORT))]
Operator = Annotated[Caller, Depends(May(Permission.ROOMS))]
Reviewer = Annotated[Caller, Depends(May(Permission.REVIEW))]
Tester = Annotated[Caller, Depends(May(Permission.TEST))]
