"""Presets of test sessions: how one is to be, kept under a name for everybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from services.clock import Now
from services.errors import BadInputError, ConflictError
from services.store.records import Preset
from services.store.store import Store

MOST: Final = 100
NAME_MOST: Final = 80
_OPTIONS_BYTES: Final = 20_000


class Presets:
    """Use cases of testers; on the runtime's loop."""

    def __init__(self, store: Store, *, now: Now) -> None:
        self._store = store
        self._now = now

    async def all(self) -> tuple[Preset, ...]:
        """By name."""
        return await self._store.presets(limit=MOST)

    async def save(self, name: str, options: Mapping[str, Any], *, actor: str) -> Preset:
        """Keep `options` under `name`, in place of a preset that has it.

        Raises:
            BadInputError: the name is empty or too long, or the options are too large.
            ConflictError: there are as many as there may be.
        """
        name = " ".join(name.split())
        if not name:
            raise BadInputError("The preset has no name.", hint="Write one.", field="name")
        if len(name) > NAME_MOST:
            raise BadInputError(
                f"The name is longer than {NAME_MOST} characters.", hint="Shorten it.", field="name"
            )
        if len(json.dumps(options)) > _OPTIONS_BYTES:
            raise BadInputError(
                "The preset is too large.", hint="Shorten the metadata.", field="options"
            )
        there = await self.all()
        if len(there) >= MOST and all(one.name != name for one in there):
            raise ConflictError(
                f"There are {MOST} presets already.", hint="Delete one that nobody needs."
            )
        preset = Preset(name=name, options=dict(options), saved_by=actor, saved_at=self._now())
        await self._store.save_preset(preset)
        return preset

    async def delete(self, name: str) -> None:
        """Delete it, if it is there."""
        await self._store.delete_preset(name)
