"""Everything that the tests need beyond pip: `python -m tests.support.prepare`, before pytest.

Getting a browser and building livekit-server take minutes once and nothing afterwards; in here
they show progress, inside a test they would run into its time limit.
"""

from __future__ import annotations

import asyncio
import sys

from services.errors import SwitchboardError
from tests.support import chromium, recordings
from tests.support.livekit_server import prepare_binary


async def prepare_chromium() -> str:
    """Find or install a Chromium; gives a sentence that says which."""
    return f"Chromium: {await asyncio.to_thread(chromium.prepare)}"


async def prepare_recordings() -> str:
    """Find or install recorded speech; gives a sentence that says how it stands."""
    return await asyncio.to_thread(recordings.prepare)


async def main() -> int:
    """The server beside the rest: it keeps the processor busy, they wait for the network."""
    results = await asyncio.gather(prepare_binary(), _from_packages(), return_exceptions=True)
    failed = 0
    for result in results:
        match result:
            case SwitchboardError() | chromium.NoChromiumError():
                failed += 1
                print(result, file=sys.stderr)
            case BaseException():
                raise result
            case _:
                print(result)
    return failed


async def _from_packages() -> str:
    """One after the other: apt lets nobody in beside it."""
    found = await prepare_recordings()
    return f"{await prepare_chromium()}\n{found}"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
