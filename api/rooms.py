"""Rooms for other programs: list, read, end."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Response, status

from api.deps import MAY_READ, Operator, SharedRuntime
from services.clock import rfc3339
from services.errors import NotFoundError
from services.rooms.views import RoomsSnapshot

router = APIRouter(tags=["Rooms"])

_FRESH_S: Final = 1.0  # a room's health changes with time, also while the snapshot stays


class _Listing:
    """The list of rooms as JSON, written once for all who ask for the same snapshot."""

    def __init__(self) -> None:
        self._snapshot: RoomsSnapshot | None = None
        self._begun_s = float("-inf")
        self._writing: asyncio.Future[bytes] | None = None

    async def body(self, snapshot: RoomsSnapshot, now: datetime) -> bytes:
        """Not on the event loop: a thousand rooms take some 20 ms."""
        writing = self._writing
        old = time.monotonic() - self._begun_s > _FRESH_S
        if writing is None or snapshot is not self._snapshot or old:
            writing = asyncio.ensure_future(asyncio.to_thread(_written, snapshot, now))
            self._snapshot, self._begun_s, self._writing = snapshot, time.monotonic(), writing
        return await asyncio.shield(writing)  # who hangs up does not take it from the others


def _written(snapshot: RoomsSnapshot, now: datetime) -> bytes:
    rows = [view.row(now) for view in snapshot.rooms]
    return json.dumps({"rooms": rows, **snapshot.status()}, ensure_ascii=False).encode()


_listing: Final = _Listing()


@router.get("/rooms", dependencies=[MAY_READ])
async def list_rooms(runtime: SharedRuntime) -> Response:
    """Every open room from the shared snapshot: no call to LiveKit.

    With `error`, LiveKit does not answer and the rows are as of `checked_at`.
    """
    body = await _listing.body(runtime.rooms.snapshot, runtime.now())
    return Response(body, media_type="application/json")


@router.get("/rooms/{name:path}", dependencies=[MAY_READ])
async def read_room(name: str, runtime: SharedRuntime) -> dict[str, Any]:
    """One open room with its participants, read from LiveKit now."""
    view = await runtime.acall(lambda: runtime.rooms.refresh(name))
    row = view.row(runtime.now())
    row["participants"] = [
        {
            "identity": p.identity,
            "sid": p.sid,
            "name": p.name,
            "kind": p.kind.value,
            "state": p.state.value,
            "joined_at": _moment(p.joined_at),
            "attributes": p.attributes,
            "tracks": [
                {"sid": t.sid, "name": t.name, "kind": t.kind, "source": t.source, "muted": t.muted}
                for t in p.tracks
            ],
        }
        for p in view.participants
        if not p.is_observer
    ]
    return row


@router.delete("/rooms/{name:path}", status_code=status.HTTP_200_OK)
async def end_room(name: str, runtime: SharedRuntime, caller: Operator) -> dict[str, bool]:
    """End a room and put everybody out. 404 when no such room was open."""
    existed = await runtime.acall(
        lambda: runtime.actions.end(name, actor=caller, reason="Ended by the API."),
        timeout_s=2 * runtime.settings.switchboard_livekit_timeout_s + 2,
    )
    if not existed:
        raise NotFoundError(f"No room named {name!r} is open.", hint="It may have ended.")
    return {"ended": True}


@router.get("/agents", tags=["Agents"], dependencies=[MAY_READ])
async def list_agents(runtime: SharedRuntime) -> dict[str, Any]:
    """The agents that `langgraph.json` names, and the workers known to have registered."""
    workers = runtime.embedded.workers if runtime.embedded is not None else None
    return {
        "agents": [{"agent_id": entry.name, "graph": entry.path} for entry in runtime.graphs.all()],
        "workers": (
            None  # an outside server tells nobody which workers it has
            if workers is None
            else [{"agent_id": w.agent_name, "worker_id": w.worker_id} for w in workers]
        ),
    }


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None
