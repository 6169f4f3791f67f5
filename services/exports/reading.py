"""A session's events, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.events import Event, Kind
from services.store.store import PAGE_LIMIT, Store


async def events_of(store: Store, session_id: str, *kinds: Kind) -> AsyncIterator[Event]:
    """Those of these kinds (all where none is named), in the order of writing."""
    after: int | None = 0
    while after is not None:
        found = await store.events(session_id=session_id, after_seq=after, kinds=kinds)
        for one in found:
            yield one.event
        after = found[-1].seq if len(found) == PAGE_LIMIT else None
