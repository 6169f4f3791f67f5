"""What people keep under a name for everybody: presets of test sessions, views of sessions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from services.access.audit_log import AuditLog
from services.access.authorization import guarded, note
from services.access.permissions import Caller, Permission
from services.clock import Now
from services.errors import ConflictError, InvalidInputError
from services.store.records import SavedItem
from services.store.saved_item_store import SavedItemStore

MOST: Final = 100
NAME_MOST: Final = 80
_OPTIONS_BYTES: Final = 20_000


class SavedItems:
    """One kind of it, such as "preset"; on the runtime's loop."""

    def __init__(self, store: SavedItemStore, audit: AuditLog, *, kind: str, now: Now) -> None:
        self._store = store
        self.audit = audit
        self._kind = kind
        self._now = now

    async def all(self) -> tuple[SavedItem, ...]:
        """By name."""
        return await self._store.all(limit=MOST)

    @guarded(Permission.KEEP, target="name")
    async def save(self, name: str, options: Mapping[str, Any], *, actor: Caller) -> SavedItem:
        """Keep `options` under `name`, in place of what has it.

        Raises:
            InvalidInputError: the name is empty or too long, or the options are too large.
            ConflictError: there are as many as there may be.
        """
        name = " ".join(name.split())
        if not name:
            raise InvalidInputError(
                f"The {self._kind} has no name.", hint="Write one.", field="name"
            )
        if len(name) > NAME_MOST:
            raise InvalidInputError(
                f"The name is longer than {NAME_MOST} characters.", hint="Shorten it.", field="name"
            )
        if len(json.dumps(options)) > _OPTIONS_BYTES:
            raise InvalidInputError(
                f"The {self._kind} is too large.", hint="Leave something out.", field="options"
            )
        there = {one.name: one for one in await self.all()}
        if len(there) >= MOST and name not in there:
            raise ConflictError(
                f"There are {MOST} of these already.", hint="Delete one that nobody needs."
            )
        before = there.get(name)
        note(kind=self._kind, before=dict(before.options) if before else None, after=dict(options))
        kept = SavedItem(
            name=name, options=dict(options), saved_by=actor.name, saved_at=self._now()
        )
        await self._store.save(kept)
        return kept

    @guarded(Permission.KEEP, target="name")
    async def delete(self, name: str, *, actor: Caller) -> None:
        """Delete it, if it is there."""
        note(kind=self._kind)
        await self._store.delete(name)
