"""Long lists in portions: thousands of rooms must not hold the shared loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final, TypeVar

PORTION: Final = 100
"""Of what takes some 20 us each, such as making a room's row."""

T = TypeVar("T")


async def one_by_one(items: Iterable[T], *, portion: int = PORTION) -> AsyncIterator[T]:
    """The items, taken now; after each portion others get the loop, so the world may change."""
    for number, item in enumerate(tuple(items), 1):
        yield item
        if number % portion == 0:
            await asyncio.sleep(0)


async def in_portions(items: Iterable[T], *, portion: int = PORTION) -> AsyncIterator[Sequence[T]]:
    """So many of them at a time, taken now; between them others get the loop."""
    every = tuple(items)
    for start in range(0, len(every), portion):
        yield every[start : start + portion]
        await asyncio.sleep(0)
