"""Says at once that the process is asked to end.

Ctrl+C reaches the agents of this machine in the same moment: they leave before uvicorn closes
their sockets, and must not be taken for lost.
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
def mark_stopping_on_signals() -> Iterator[None]:
    """Inside the block, before uvicorn hears of a signal, the runtime does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread; whoever embeds the server ends it
        return
    before = {}
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        handler = signal.getsignal(number) if number is not None else None
        if number is not None and callable(handler):
            before[number] = handler
            signal.signal(number, _after_marking(handler))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _after_marking(handler: _Handler) -> _Handler:
    def handle(number: int, frame: FrameType | None) -> None:
        if (runtime := held_runtime()) is not None:
            runtime.mark_stopping()
        handler(number, frame)

    return handle
