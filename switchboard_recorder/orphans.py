"""Recordings that a killed job left on disk, delivered by whoever comes first."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from switchboard_recorder.journal import frame_full, repaired
from switchboard_recorder.link import Address, Link, LostError, Patience, RefusedError
from switchboard_recorder.protocol import BATCH, Command, ProtocolError, Welcome
from switchboard_recorder.spool import Spool, left_behind, too_old

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What came of it."""

    streams: int = 0
    events: int = 0
    left: int = 0  # streams that stay: held by a job that runs, for another dashboard, or refused
    error: str = ""  # why it stopped early


class _Left:
    """An `Outbox` over the files of a stream that gets no more events."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.last_seq = spool.last
        self.acked = 0
        self.live: deque[str] = deque()

    async def after(self, seq: int) -> list[str]:
        if seq >= self.last_seq:
            return []
        return await asyncio.to_thread(self._read, seq)

    def acknowledge(self, seq: int) -> None:
        self.acked = max(self.acked, min(seq, self.last_seq))

    def _read(self, seq: int) -> list[str]:
        lines = self._spool.read_after(seq)[:BATCH]
        return frame_full(repaired(lines, seq, self.last_seq + 1))


async def deliver_orphans(
    spool_dir: Path | str,
    url: str,
    *,
    api_key: str,
    api_secret: str,
    same_url: bool = False,
    patience: Patience | None = None,
) -> Delivered:
    """Deliver every stream in the folder whose process is gone, oldest first; then its files go.

    Streams that were signed with another key are left alone, and with `same_url` those for
    another dashboard. Stops at the first that the dashboard cannot be reached for. Never raises
    but for cancellation; several may run at once.
    """
    address = Address(url=url, api_key=api_key, api_secret=api_secret)
    done = Delivered()
    folders = await asyncio.to_thread(left_behind, Path(spool_dir))
    async with aiohttp.ClientSession() as http:
        for folder in folders:
            try:
                events = await _deliver(http, folder, address, same_url, patience or Patience())
            except RefusedError as exc:
                log.warning("The dashboard will not take the recording %s: %s.", folder.name, exc)
                events = None
            except (LostError, OSError) as exc:
                return replace(done, left=len(folders) - done.streams, error=str(exc))
            except ProtocolError as exc:
                log.warning("The recording %s cannot be read: %s", folder.name, exc)
                events = None
            if events is None:
                done = replace(done, left=done.left + 1)
            else:
                done = replace(done, streams=done.streams + 1, events=done.events + events)
    return done


async def _deliver(
    http: aiohttp.ClientSession, folder: Path, address: Address, same_url: bool, patience: Patience
) -> int | None:
    """How many events it had; None: it is not ours to deliver."""
    spool = await asyncio.to_thread(Spool.adopt, folder)
    if spool is None:
        return None
    try:
        owner = spool.owner()
        if owner.api_key != address.api_key or (same_url and owner.url != address.url):
            if too_old(folder):
                log.warning("The recording %s was not asked for in a week: removed.", folder.name)
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            return None
        outbox = _Left(spool)
        wake, ending = asyncio.Event(), asyncio.Event()
        ending.set()

        def ignore(_: Welcome | Command) -> None:
            """A job that is over takes no command."""

        link = Link(
            address,
            replace(owner.hello, late=True, actions=()),
            outbox,
            patience=patience,
            wake=wake,
            ending=ending,
            reason=lambda: "delivered late",
            on_welcome=ignore,
            on_command=ignore,
        )
        async with asyncio.timeout(300):
            await link.run(http)
        await asyncio.to_thread(spool.remove)
        return outbox.last_seq
    except TimeoutError:
        raise LostError("it took too long") from None
    finally:
        spool.release()
