"""The scale on which measured times are counted, so that any number of them can be added up.

24 steps a decade from 0.01 ms on: a step is 10 % wide, and a percentile read from the counts is
within some 5 % of the exact one.
"""

from __future__ import annotations

import math
from typing import Final

STEPS: Final = 24  # in a decade
_LOWEST_MS: Final = 0.01
MOST: Final = 10 * STEPS  # 10^8 ms, more than a day; what is longer counts there


def step_of(ms: float) -> int:
    """The step in which a time lies, 0 to `MOST`."""
    if ms < _LOWEST_MS:
        return 0
    return min(MOST, int(STEPS * math.log10(ms / _LOWEST_MS)) + 1)


def begins_ms(step: int) -> float:
    """Where a step begins; the one after it begins where it ends."""
    return 0.0 if step <= 0 else _LOWEST_MS * 10 ** ((step - 1) / STEPS)
