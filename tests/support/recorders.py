"""Recorders for tests: quick to try again, with a desk instead of a dashboard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from switchboard_recorder import Recorder
from switchboard_recorder.link import Patience
from switchboard_recorder.protocol import Hello
from tests.support.recorder_desk import KEY, SECRET, Desk

QUICK: Final = Patience(
    connect_s=2, welcome_s=0.3, ack_s=0.3, again_least_s=0.01, again_most_s=0.05, bye_s=2
)


def hello(stream_id: str = "str_1", **fields: Any) -> Hello:
    """A job's hello."""
    return Hello(stream_id=stream_id, room_name="room-1", **fields)


def new_recorder(desk: Desk, spool_dir: Path, **options: Any) -> Recorder:
    """A recorder for `desk` that is not started yet."""
    stream_id = options.pop("stream_id", "str_1")
    options.setdefault("patience", QUICK)
    return Recorder(
        hello(stream_id),
        url=desk.url,
        api_key=KEY,
        api_secret=SECRET,
        spool_dir=spool_dir,
        **options,
    )


@asynccontextmanager
async def recording(desk: Desk, spool_dir: Path, **options: Any) -> AsyncIterator[Recorder]:
    """A recorder that runs; closed at the end."""
    recorder = new_recorder(desk, spool_dir, **options)
    recorder.start()
    try:
        yield recorder
    finally:
        await recorder.aclose("test over")
