"""A session to take away, as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.deps import SharedRuntime
from services.exports.export import Format, export
from services.runtime import Runtime

router = APIRouter(prefix="/voice/session", tags=["Sessions"])


@router.get("/{session_id}/export")
async def export_session(
    runtime: SharedRuntime,
    session_id: str,
    wanted: Annotated[Format, Query(alias="format")] = Format.JSON,
) -> StreamingResponse:
    """The session as JSON, its transcript as `txt`, `vtt` or `csv`, its timeline as `chrome`.

    `pytest` is a test that says the caller's turns again to the graph.
    """
    file = await runtime.acall(lambda: export(runtime.store, session_id, wanted))
    return StreamingResponse(
        _pieces(runtime, file.pieces),
        media_type=file.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{file.name}"',
            "Cache-Control": "no-store",
        },
    )


async def _pieces(runtime: Runtime, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Some at a time: each crossing to the shared loop costs more than a line."""

    async def some() -> list[str]:
        found: list[str] = []
        async for piece in pieces:
            found.append(piece)
            if len(found) >= _AT_ONCE:
                break
        return found

    while batch := await runtime.acall(some):
        yield "".join(batch)


_AT_ONCE = 200
