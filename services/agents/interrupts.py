"""What graphs ask of a human now, over all sessions: read once, told to every page that is open."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from services.clock import rfc3339
from services.errors import StoreUnavailableError
from services.events import Kind
from services.live.hub import Hub
from services.store.batch import CommittedEvent
from services.store.store import Store

log = logging.getLogger(__name__)

TOPIC: Final = "questions"
MOST: Final = 100
_SPACING_S: Final = 0.1
_RETRY_S: Final = 2.0
_KINDS: Final = {
    Kind.INTERRUPT_RAISED, Kind.INTERRUPT_RESUMED, Kind.COMMAND_SENT, Kind.COMMAND_COMPLETED,
    Kind.RUN_FINISHED, Kind.ROOM_FINISHED,
}  # fmt: skip


class Interrupts:
    """The hub's topic of open questions, the oldest first; at most `MOST` are told."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._rows: dict[str, dict[str, Any]] = {}
        self._look = asyncio.Event()
        hub.provide(TOPIC, lambda: {"rows": list(self._rows.values())})

    def take(self, committed: CommittedEvent) -> None:
        """Look again if the event may have asked or answered something."""
        if committed.event.kind in _KINDS:
            self._look.set()

    def look(self) -> None:
        """Look again: an answer that nobody took is waited for anew."""
        self._look.set()

    async def run(self) -> None:
        """Read what is asked whenever it may have changed, until cancelled."""
        self._look.set()
        while True:
            await self._look.wait()
            self._look.clear()
            try:
                await self._read()
            except StoreUnavailableError as exc:
                log.warning("open questions were not read", extra={"error": exc.code})
                await asyncio.sleep(_RETRY_S)
                self._look.set()
            await asyncio.sleep(_SPACING_S)

    async def _read(self) -> None:
        asked = await self._store.agents.pending_interrupts(limit=MOST)
        before, rows = self._rows, dict[str, dict[str, Any]]()
        for one in asked:
            key = f"{one.session_id}/{one.interrupt_id}"
            rows[key] = {
                "id": key,
                "session_id": one.session_id,
                "action": one.action,
                "user_id": one.user_id,
                "asked_at": rfc3339(one.asked_at),
            }
        self._rows = rows
        upsert = {key: row for key, row in rows.items() if before.get(key) != row}
        remove = tuple(key for key in before if key not in rows)
        if upsert or remove:
            self._hub.publish(TOPIC, upsert=upsert, remove=remove)
