"""Time as the code, the store and the wire know it: aware UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Now = Callable[[], datetime]
"""Gives the time; tests hand in their own."""


def utc_now() -> datetime:
    """The time now, aware, UTC."""
    return datetime.now(UTC)


def from_unix_s(seconds: float) -> datetime | None:
    """A moment from Unix seconds; LiveKit writes 0 for "never", which gives None."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def rfc3339(moment: datetime) -> str:
    """`2026-11-24T10:00:00.123456Z`: what the wire carries. Naive moments are refused."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone has no meaning on the wire")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
