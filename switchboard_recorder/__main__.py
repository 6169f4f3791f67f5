"""`python -m switchboard_recorder deliver [DIR]`: deliver recordings that killed jobs left behind."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from switchboard_recorder.orphans import deliver_orphans
from switchboard_recorder.recorder import DEFAULT_URL
from switchboard_recorder.spool import default_folder


def main() -> int:
    """0: nothing is left for this dashboard; 1: it could not be reached; 2: no key."""
    parser = argparse.ArgumentParser(prog="switchboard_recorder", description=__doc__)
    parser.add_argument("command", choices=["deliver"])
    parser.add_argument("dir", nargs="?", default=str(default_folder()), help="the spool folder")
    parser.add_argument("--url", default=os.environ.get("SWITCHBOARD_URL") or DEFAULT_URL)
    wanted = parser.parse_args()
    key, secret = os.environ.get("LIVEKIT_API_KEY"), os.environ.get("LIVEKIT_API_SECRET")
    if not key or not secret:
        sys.stderr.write("Set LIVEKIT_API_KEY and LIVEKIT_API_SECRET, as the agent has them.\n")
        return 2
    done = asyncio.run(deliver_orphans(wanted.dir, wanted.url, api_key=key, api_secret=secret))
    sys.stdout.write(
        f"Delivered {done.streams} recordings, {done.events} events; left {done.left}.\n"
    )
    if done.error:
        sys.stderr.write(f"The dashboard at {wanted.url} cannot be reached: {done.error}.\n")
    return 1 if done.error else 0


if __name__ == "__main__":
    sys.exit(main())
