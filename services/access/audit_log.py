"""The audit log: every action with who did it, on what, and how it ended. Nothing is overwritten.

The database itself refuses to change or delete an entry (migration 0005).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from services.access.permissions import Caller
from services.clock import utc_now
from services.errors import StoreUnavailableError
from services.ids import new_audit_id
from services.store.audit_records import AuditEntry
from services.store.rows import clean

log = logging.getLogger(__name__)

BACKLOG: Final = 10_000
_BATCH: Final = 200
_RETRY_FIRST_S: Final = 0.1
_RETRY_MOST_S: Final = 5.0
_LAST_S: Final = 5.0
_SOON_S: Final = 0.1
_FACT_CHARACTERS: Final = 2_000

Insert = Callable[[Sequence[AuditEntry]], Awaitable[None]]


@asynccontextmanager
async def open_audit(insert: Insert) -> AsyncIterator[AuditLog]:
    """An audit log with its writer running; on leaving, what waits is written."""
    audit = AuditLog(insert)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(audit.run(), name="audit log")
        try:
            yield audit
        finally:
            audit.close()
            _, late = await asyncio.wait({running}, timeout=_LAST_S)
            if late:
                log.error("the end of the audit log was not written")
                running.cancel()


class AuditLog:
    """Takes entries at once and writes them in order; while the database is away they wait."""

    def __init__(self, insert: Insert) -> None:
        self._insert = insert
        self._waiting: deque[AuditEntry] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False

    def check_open(self) -> None:
        """Raise StoreUnavailableError while so much waits that an action could go unwritten."""
        if self._closing or len(self._waiting) >= BACKLOG:
            raise StoreUnavailableError(
                "The audit log is unavailable, so actions are disabled.",
                hint="Check the database: the System page shows its last error.",
            )

    def write(
        self, actor: Caller, action: str, *, target: str, outcome: str, facts: dict[str, Any]
    ) -> None:
        """Queue an entry; it is never refused. Long facts are shortened."""
        self._waiting.append(
            AuditEntry(
                id=new_audit_id(),
                at=utc_now(),
                actor=actor.name,
                role=actor.title,
                via=actor.via,
                address=actor.address,
                action=action,
                target=target[:_FACT_CHARACTERS],
                outcome=outcome,
                facts={name: _shortened(value) for name, value in clean(facts).items()},
            )
        )
        self._idle.clear()
        # a moment later: whoever acts is answered first, and others may join in
        asyncio.get_running_loop().call_later(_SOON_S, self._wake.set)

    async def settled(self, *, timeout_s: float) -> None:
        """Return when all that waits now is written, or the time is over."""
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("the audit log is behind", extra={"waiting": len(self._waiting)})

    async def run(self) -> None:
        """Write until `close` was called and nothing waits."""
        while not self._closing or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            pause_s = _RETRY_FIRST_S
            while self._waiting:
                batch = [self._waiting[i] for i in range(min(len(self._waiting), _BATCH))]
                try:
                    await self._insert(batch)
                except StoreUnavailableError as exc:
                    log.warning("the audit log was not written yet", extra={"error": exc.code})
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, _RETRY_MOST_S)
                    continue
                pause_s = _RETRY_FIRST_S
                for _ in batch:
                    self._waiting.popleft()
            self._idle.set()

    def close(self) -> None:
        """Take no more actions; `run` ends after the last entry."""
        self._closing = True
        self._wake.set()


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _FACT_CHARACTERS:
        return f"{value[:_FACT_CHARACTERS]}…"
    return value
