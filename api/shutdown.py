"""Ends the live streams as soon as the process is asked to end.

uvicorn 0.54 waits for open answers before it ends the lifespan, and an event stream is an
answer without an end: a dashboard with one open page would not stop.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from services.runtime import held_runtime

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGBREAK")
_Handler = Callable[[int, FrameType | None], object]


@contextmanager
def streams_end_on_signals() -> Iterator[None]:
    """Inside the block, before uvicorn hears of a signal, our event streams are closed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread; whoever embeds the server ends it
        return
    before = {}
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        handler = signal.getsignal(number) if number is not None else None
        if number is not None and callable(handler):
            before[number] = handler
            signal.signal(number, _after_closing_streams(handler))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _after_closing_streams(handler: _Handler) -> _Handler:
    def handle(number: int, frame: FrameType | None) -> None:
        if (runtime := held_runtime()) is not None:
            runtime.end_streams()
        handler(number, frame)

    return handle
