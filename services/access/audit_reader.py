"""Reading the audit log, for those who may: page by page, or all of it as CSV."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

from services.access.audit_log import AuditLog
from services.access.authorization import guarded
from services.access.permissions import Caller, Permission
from services.clock import rfc3339
from services.csv_rows import csv_row
from services.store.access_store import PAGE_LIMIT, AccessStore
from services.store.audit_records import AuditEntry, AuditPage, AuditQuery

COLUMNS: Final = (
    "at",
    "actor",
    "role",
    "via",
    "address",
    "action",
    "target",
    "outcome",
    "facts",
    "id",
)
_SETTLE_S: Final = 2.0


class AuditReader:
    """On the runtime's loop."""

    def __init__(self, store: AccessStore, audit: AuditLog) -> None:
        self._store = store
        self.audit = audit

    @guarded(Permission.AUDIT, written=False)
    async def page(
        self, wanted: AuditQuery, *, cursor: str | None = None, limit: int = 100, actor: Caller
    ) -> AuditPage:
        """Entries, newest first, with all that was done before this call. Raises PermissionDeniedError."""
        await self.audit.settled(timeout_s=_SETTLE_S)
        return await self._store.page(wanted, cursor=cursor, limit=limit)

    @guarded(Permission.AUDIT, written=False)
    async def actions(self, *, actor: Caller) -> tuple[str, ...]:
        """The names of all actions ever taken. Raises PermissionDeniedError."""
        return await self._store.actions()

    @guarded(Permission.AUDIT)
    async def export(self, wanted: AuditQuery, *, actor: Caller) -> AsyncIterator[str]:
        """CSV in pieces, a head line first, newest first. Raises PermissionDeniedError."""
        return self._pieces(wanted)

    async def _pieces(self, wanted: AuditQuery) -> AsyncIterator[str]:
        await self.audit.settled(timeout_s=_SETTLE_S)
        yield csv_row(*COLUMNS)
        cursor: str | None = None
        while True:
            page = await self._store.page(wanted, cursor=cursor, limit=PAGE_LIMIT)
            yield "".join(csv_row(*_cells(entry)) for entry in page.entries)
            if (cursor := page.next_cursor) is None:
                return


def _cells(entry: AuditEntry) -> list[str]:
    values = {name: getattr(entry, name) for name in COLUMNS}
    values["at"] = rfc3339(entry.at)
    values["facts"] = json.dumps(entry.facts, ensure_ascii=False, sort_keys=True)
    return [str(value) for value in values.values()]
