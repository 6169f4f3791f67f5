"""The one place where tests wait: until something holds, with a deadline that explains itself."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, overload

T = TypeVar("T")
Ignored = tuple[type[Exception], ...]

_SHORTEST_S: Final = 0.02
_LONGEST_S: Final = 0.2
_PART: Final = 0.1  # of the time that has passed: the next pause


@overload
async def eventually(
    check: Callable[[], Awaitable[T]], *, within_s: float = ..., ignoring: Ignored = ...
) -> T: ...
@overload
async def eventually(
    check: Callable[[], T], *, within_s: float = ..., ignoring: Ignored = ...
) -> T: ...
async def eventually(
    check: Callable[[], object], *, within_s: float = 30.0, ignoring: Ignored = ()
) -> object:
    """The first truthy value of `check`, asked again and again; `check` may be sync or async.

    It is asked every 20 ms at first and every 200 ms in the end: what is waited for needs the CPU.
    A failed `assert` inside `check` and the classes in `ignoring` mean "not yet". `check` is
    asked at least once, and one call of it may not outlive the deadline.

    Raises:
        AssertionError: not so within `within_s` seconds; names what `check` said last.
    """
    begun, not_yet = time.monotonic(), _not_yet(ignoring)
    end = begun + within_s
    while True:
        try:
            value = check()
            if inspect.isawaitable(value):
                async with asyncio.timeout(max(0.05, end - time.monotonic())):
                    value = await value
            if value:
                return value
            reason: object = value
        except not_yet as exc:
            reason = exc
        _stop_after(end, within_s, reason)
        await asyncio.sleep(_pause_s(begun))


def wait_until(check: Callable[[], T], *, within_s: float, ignoring: Ignored = ()) -> T:
    """`eventually` for fixtures and helpers that are not async."""
    begun, not_yet = time.monotonic(), _not_yet(ignoring)
    end = begun + within_s
    while True:
        try:
            value = check()
            if value:
                return value
            reason: object = value
        except not_yet as exc:
            reason = exc
        _stop_after(end, within_s, reason)
        time.sleep(_pause_s(begun))


def _pause_s(begun: float) -> float:
    return min(_LONGEST_S, max(_SHORTEST_S, _PART * (time.monotonic() - begun)))


def _stop_after(end: float, within_s: float, reason: object) -> None:
    if time.monotonic() < end:
        return
    cause = reason if isinstance(reason, Exception) else None
    said = f"{type(cause).__name__}: {cause}" if cause else f"the check gave {reason!r}"
    raise AssertionError(f"not so within {within_s:g} s; {said}") from cause


def _not_yet(ignoring: Ignored) -> Ignored:
    return (AssertionError, TimeoutError, *ignoring)
