"""The event log: the only way in for what happened. It writes, projects, then tells subscribers.

Events that wait are folded and committed together. While the database is unavailable (locked, full,
unreachable) the log tries again with back-off, so an event is delayed and not lost. An event that
no database would take is set aside and counted. Subscribers are told after the commit, in its order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.errors import StoreRejectedError, StoreUnavailableError
from services.events import Event
from services.redaction import Redaction
from services.store.batch import CommittedEvent, write_batch
from services.store.engine import CONNECT_ERRORS
from services.store.rows import cleaned

log = logging.getLogger(__name__)

BATCH: Final = 500
QUEUE_LIMIT: Final = 20_000
_RETRY_FIRST_S: Final = 0.1
_RETRY_MOST_S: Final = 5.0
_SOON_S: Final = 0.02  # how long an event may wait when nobody waits for it
_TOLD_AT_ONCE: Final = 50  # then others get their turn on the loop
_PASSING_STATES: Final = ("08", "25006", "40", "53", "55", "57", "58")
"""SQLSTATEs: connection, read-only, serialization, resources, locks, operator, system."""


Subscriber = Callable[[CommittedEvent], None]
"""Called on the log's loop with each event that is new in the log. What takes time is a task."""


@dataclass(slots=True)
class _Waiting:
    events: tuple[Event, ...]
    replayed: bool
    done: asyncio.Future[tuple[CommittedEvent, ...]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class EventLog:
    """Append events, subscribe to them; `run` is its task and ends when cancelled or drained."""

    def __init__(
        self,
        engine: AsyncEngine,
        sqlite: Engine | None = None,
        *,
        redaction: Redaction,
        timeout_s: float,
    ) -> None:
        self._redaction = redaction
        self._engine = engine
        self._sqlite = sqlite  # one hop to a thread a batch, not one for each statement
        self._timeout_s = timeout_s
        self._subscribers: list[Subscriber] = []
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._writing: list[_Waiting] = []
        self._closing = False
        self.waiting = 0  # events not yet written
        self.rejected = 0  # events that the database will never take
        self.last_error = ""

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with each event from now on, once it is committed, in the log's order.

        What it raises is logged; the event's other subscribers and its writer do not notice.
        """
        self._subscribers.append(subscriber)

    async def append(
        self, *events: Event, patient: bool = False, replayed: bool = False
    ) -> tuple[CommittedEvent, ...]:
        """Write events; they are committed and the subscribers told when it returns.

        The caller may stop waiting (a timeout, a cancelled page): they are written all the same.

        Args:
            events: written together, or none of them.
            patient: wait however long the database is unavailable, not `timeout_s`.
            replayed: they happened before what is shown already; live views leave them out.

        Raises:
            StoreUnavailableError: not committed within the timeout; they will be written when
                the database is back, unless the error says that too many wait.
            StoreRejectedError: the database will never take one of them; none is written.
        """
        writing = asyncio.shield(self._enqueue(events, replayed=replayed).done)
        self._wake.set()
        try:
            async with asyncio.timeout(None if patient else self._timeout_s):
                return await writing
        except TimeoutError as exc:
            raise StoreUnavailableError(
                "The database did not take the event in time; it is kept and tried again.",
                hint=f"Last error: {self.last_error or 'none'}.",
            ) from exc

    def append_soon(self, *events: Event) -> asyncio.Future[tuple[CommittedEvent, ...]]:
        """Queue events that nobody waits for: written within 20 ms, or with the next ones.

        Raises:
            StoreUnavailableError: too many wait already, or we are closing.
        """
        waiting = self._enqueue(events)
        asyncio.get_running_loop().call_later(_SOON_S, self._wake.set)
        return waiting.done

    def _enqueue(self, events: Sequence[Event], *, replayed: bool = False) -> _Waiting:
        if self._closing or self.waiting + len(events) > QUEUE_LIMIT:
            raise StoreUnavailableError(
                "The database has not taken any event for a while.",
                hint="Check its disk and connection; the System page shows the last error.",
            )
        waiting = _Waiting(tuple(cleaned(self._redaction.of(event)) for event in events), replayed)
        self.waiting += len(events)
        self._queue.append(waiting)
        return waiting

    async def run(self) -> None:
        """Write until `close` was called and nothing waits."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                self._writing = self._take()
                await self._write_until_done(self._writing)
                self._writing = []
            if self._closing:
                return

    async def settled(self, *, timeout_s: float) -> None:
        """Return when all that waits now is written or rejected, or the time is over."""
        waiting = [one.done for one in (*self._writing, *self._queue)]
        if waiting:
            self._wake.set()
            await asyncio.wait(waiting, timeout=timeout_s)

    def close(self) -> None:
        """Take no more; `run` ends after the last that waits."""
        self._closing = True
        self._wake.set()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].events) <= BATCH):
            waiting = self._queue.popleft()
            size += len(waiting.events)
            batch.append(waiting)
        return batch

    async def _write_until_done(self, batch: list[_Waiting]) -> None:
        pause_s = _RETRY_FIRST_S
        while True:
            try:
                written = await self._write([e for waiting in batch for e in waiting.events])
            except Exception as exc:  # noqa: BLE001 - a bad event must not end the writer
                if not _is_away(exc):
                    await self._one_by_one(batch, exc)
                    return
                if not self.last_error:
                    log.warning("the database is away", extra={"error": type(exc).__name__})
                self.last_error = f"{type(exc).__name__}: {_first_line(exc)}"
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _RETRY_MOST_S)
                continue
            if self.last_error:
                log.warning("the database is back")
                self.last_error = ""
            await self._settle(batch, written)
            return

    async def _settle(self, batch: list[_Waiting], written: tuple[CommittedEvent, ...]) -> None:
        start = told = 0
        for waiting in batch:
            end = start + len(waiting.events)
            committed = written[start:end]
            for one in committed:
                if one.fresh:
                    self._tell(replace(one, replayed=True) if waiting.replayed else one)
                    told += 1
                    if told % _TOLD_AT_ONCE == 0:
                        await asyncio.sleep(0)
            self.waiting -= len(waiting.events)
            if not waiting.done.done():
                waiting.done.set_result(committed)
            start = end

    def _tell(self, committed: CommittedEvent) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(committed)
            except Exception:
                name = getattr(subscriber, "__qualname__", type(subscriber).__name__)
                log.exception(
                    "a subscriber of the event log failed",
                    extra={"subscriber": name, "kind": committed.event.kind},
                )

    async def _one_by_one(self, batch: list[_Waiting], exc: BaseException) -> None:
        if len(batch) > 1:  # one of them is bad: the others must not wait for it
            for waiting in batch:
                await self._write_until_done([waiting])
            return
        self.rejected += len(batch[0].events)
        self.waiting -= len(batch[0].events)
        log.error("the database rejected an event", extra={"error": _first_line(exc)})
        if not batch[0].done.done():
            batch[0].done.set_exception(
                StoreRejectedError("The database rejected an event.", hint="See the log.")
            )
            batch[0].done.exception()  # nobody may be waiting any more

    async def _write(self, events: list[Event]) -> tuple[CommittedEvent, ...]:
        if self._sqlite is not None:
            return await asyncio.to_thread(self._write_here, self._sqlite, events)
        async with self._engine.begin() as connection:
            return await connection.run_sync(write_batch, events)

    @staticmethod
    def _write_here(engine: Engine, events: list[Event]) -> tuple[CommittedEvent, ...]:
        with engine.begin() as connection:
            return write_batch(connection, events)


def _is_away(exc: BaseException) -> bool:
    """Whether the same write may succeed later: the database is locked, full or unreachable."""
    if isinstance(exc, DBAPIError):
        if exc.orig is not None and isinstance(exc.orig.__cause__, ValueError):
            return False  # asyncpg calls a value that it cannot encode an InterfaceError
        state = str(getattr(exc.orig, "sqlstate", "") or "")
        return (
            exc.connection_invalidated
            or isinstance(exc, OperationalError | InterfaceError)
            or state.startswith(_PASSING_STATES)
        )
    return isinstance(exc, (PoolTimeoutError, *CONNECT_ERRORS))


def _first_line(exc: BaseException) -> str:
    """What the driver said, without the statement and its values."""
    cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    return str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__
