"""Calls from other threads and other loops onto one event loop, and their end with it."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from services.errors import RuntimeClosedError

T = TypeVar("T")
Make = Callable[[], Awaitable[T]]


class LoopBridge:
    """The calls that are under way on the loop which made this object."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._closing = False

    def submit(self, make: Make[T]) -> concurrent.futures.Future[T]:
        """Run `make()` on the loop; for threads that wait.

        Raises:
            RuntimeClosedError: the loop has ended.
        """
        work = self._run(make)
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as exc:  # the loop is closed
            work.close()
            raise stopping() from exc

    async def cross(self, make: Make[T]) -> T:
        """Run `make()` on the loop; for coroutines of other loops. Cancelled, it is cancelled too.

        Raises:
            RuntimeClosedError: the loop has ended, or ends before the call does.
        """
        crossing = _Crossing(self._loop, lambda: self._run(make))
        try:
            return await crossing.answer
        except asyncio.CancelledError:
            if crossing.ended:  # there, by the loop's end; not here, by our caller
                raise stopping() from None
            crossing.stop()
            raise

    async def close(self, *, patience_s: float) -> None:
        """Take no more; let those under way finish for so long, then end them. On the loop."""
        self._closing = True
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=patience_s)
            for aio_task in late:
                aio_task.cancel()
            if late:
                await asyncio.wait(late, timeout=patience_s)

    async def _run(self, make: Make[T]) -> T:
        if self._closing:
            raise stopping()
        aio_task = asyncio.current_task()
        if aio_task is None:
            raise AssertionError("a call runs in a task")
        self._under_way.add(aio_task)
        try:
            return await make()
        finally:
            self._under_way.discard(aio_task)


class _Crossing(Generic[T]):
    """One call to another loop: 35 us, where run_coroutine_threadsafe and wrap_future take 60.

    The answer is on its way before its task has ended there: the two loops then work at once.
    """

    def __init__(self, there: asyncio.AbstractEventLoop, work: Callable[[], Awaitable[T]]) -> None:
        self._here = asyncio.get_running_loop()
        self._there = there
        self._work = work
        self._aio_task: asyncio.Task[None] | None = None
        self._stopped = False
        self.answer: asyncio.Future[T] = self._here.create_future()
        self.ended = False  # over there
        try:
            there.call_soon_threadsafe(self._begin)
        except RuntimeError as exc:  # the loop is closed
            raise stopping() from exc

    def stop(self) -> None:
        """Cancel it, unless it has ended."""
        with suppress(RuntimeError):  # the loop is closed
            self._there.call_soon_threadsafe(self._cancel)

    def _begin(self) -> None:
        if self._stopped:
            return
        self._aio_task = self._there.create_task(self._carry_out())
        self._aio_task.add_done_callback(self._ended)

    async def _carry_out(self) -> None:
        try:
            answer = await self._work()
        except asyncio.CancelledError:
            raise
        except BaseException as exc:  # noqa: BLE001 - whoever asked gets it
            self._tell(self._fail, exc)
        else:
            self._tell(self._answer, answer)

    def _cancel(self) -> None:
        self._stopped = True
        if self._aio_task is not None:
            self._aio_task.cancel()

    def _ended(self, aio_task: asyncio.Task[None]) -> None:
        if aio_task.cancelled():  # perhaps before it could begin
            self._tell(self._give_up, None)

    def _tell(self, settle: Callable[[Any], None], value: object) -> None:
        with suppress(RuntimeError):  # the asking loop is closed
            self._here.call_soon_threadsafe(settle, value)

    # On the asking loop: whoever asked may be gone.

    def _answer(self, answer: T) -> None:
        if not self.answer.done():
            self.ended = True
            self.answer.set_result(answer)

    def _fail(self, exc: BaseException) -> None:
        if not self.answer.done():
            self.ended = True
            self.answer.set_exception(exc)

    def _give_up(self, _: None) -> None:
        if not self.answer.done():
            self.ended = True
            self.answer.cancel()


def stopping() -> RuntimeClosedError:
    """What a call is told that comes too late."""
    return RuntimeClosedError("Switchboard is stopping.", hint="Reload in a moment.")
