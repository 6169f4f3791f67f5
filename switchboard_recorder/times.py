"""Moments and durations as the wire has them."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


def moment_text(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as `protocol` writes it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def ms_since(began_s: float) -> float:
    """Milliseconds since a reading of `time.perf_counter`."""
    return round((time.perf_counter() - began_s) * 1e3, 3)
