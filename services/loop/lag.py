"""How late the shared loop runs its callbacks: nothing on it may block longer than 20 ms."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

_EVERY_S: Final = 0.01  # a block shorter than this interval may pass unseen
_WINDOW: Final = 6000  # one minute
LIMIT_MS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopLag:
    """Of the last minute, in milliseconds; `over_limit` counts all since the start."""

    median_ms: float
    worst_ms: float
    over_limit: int


class LagWatch:
    """Measures by sleeping: what is slept too long is lag."""

    def __init__(self) -> None:
        self._ms: deque[float] = deque(maxlen=_WINDOW)
        self._over = 0

    async def run(self) -> None:
        """Measure for ever."""
        while True:
            began_s = time.perf_counter()
            await asyncio.sleep(_EVERY_S)
            late_ms = max(0.0, (time.perf_counter() - began_s - _EVERY_S) * 1000)
            self._ms.append(late_ms)
            self._over += late_ms > LIMIT_MS

    def read(self) -> LoopLag:
        """The figures now; safe on any thread."""
        seen = sorted(self._ms.copy())
        if not seen:
            return LoopLag(median_ms=0.0, worst_ms=0.0, over_limit=0)
        return LoopLag(median_ms=seen[len(seen) // 2], worst_ms=seen[-1], over_limit=self._over)
