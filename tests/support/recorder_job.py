"""A job of its own process that records and then waits to be killed.

`python -m tests.support.recorder_job URL SPOOL_DIR STREAM_ID EVENTS`: prints "busy" when it has
said everything; its event loop stands still from then on, as in a node that computes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from switchboard_recorder import Recorder
from tests.support.recorder_desk import KEY, SECRET
from tests.support.recorders import QUICK, hello


async def main(url: str, spool_dir: str, stream_id: str, events: int) -> None:
    """Record, then block."""
    recorder = Recorder(
        hello(stream_id),
        url=url,
        api_key=KEY,
        api_secret=SECRET,
        spool_dir=Path(spool_dir),
        patience=QUICK,
    )
    recorder.start()
    for number in range(events):
        recorder.emit("step", number=number, text="x" * 200)
    sys.stdout.write("busy\n")
    sys.stdout.flush()
    time.sleep(600)  # that is the point


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
