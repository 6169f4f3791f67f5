"""What endpoints are given: the runtime, and its services behind the hop to its loop."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from services.runtime import Runtime, get_runtime


def _runtime(_: Request) -> Runtime:
    return get_runtime()


SharedRuntime = Annotated[Runtime, Depends(_runtime)]
