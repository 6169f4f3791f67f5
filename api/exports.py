"""A session to take away, as a file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.deps import Exporter, SharedRuntime
from api.streaming import download, pieces_of
from services.exports.service import Format

router = APIRouter(prefix="/voice/session", tags=["Sessions"])


@router.get("/{session_id}/export")
async def export_session(
    runtime: SharedRuntime,
    session_id: str,
    caller: Exporter,
    wanted: Annotated[Format, Query(alias="format")] = Format.JSON,
) -> StreamingResponse:
    """The session as JSON, its transcript as `txt`, `vtt` or `csv`, its timeline as `chrome`.

    `pytest` is a test that says the caller's turns again to the graph.
    """
    file = await runtime.acall(lambda: runtime.exports.session(session_id, wanted, actor=caller))
    return download(file.name, file.media_type, pieces_of(runtime, file.pieces))
