"""What is made on the shared loop and sent from the server's, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from fastapi.responses import StreamingResponse

from services.runtime import Runtime

_AT_ONCE: Final = 200


async def pieces_of(
    runtime: Runtime, pieces: AsyncIterator[str | bytes]
) -> AsyncIterator[str | bytes]:
    """The pieces, some at a time: each crossing to the shared loop costs more than a line."""

    async def some() -> list[str | bytes]:
        found: list[str | bytes] = []
        async for piece in pieces:
            found.append(piece)
            if len(found) >= _AT_ONCE:
                break
        return found

    while batch := await runtime.acall(some):
        for piece in batch:
            yield piece


def download(name: str, media_type: str, pieces: AsyncIterator[str | bytes]) -> StreamingResponse:
    """A file that browsers save under that name, and that nothing between keeps."""
    return StreamingResponse(
        pieces,
        media_type=media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )
