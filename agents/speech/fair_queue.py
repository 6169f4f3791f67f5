"""Work of several jobs for a few threads, taken in turns: nobody waits behind another's novel."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

W = TypeVar("W")


class FullError(Exception):
    """No more work is taken: too much waits already."""


class FairQueue(Generic[W]):
    """Thread-safe. Each owner's first waits only for one piece of work of every other owner."""

    def __init__(self, *, each: int, total: int) -> None:
        self._each, self._total = each, total
        self._waiting: OrderedDict[Hashable, deque[W]] = OrderedDict()
        self._size = 0
        self._taken = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._size

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is being worked on."""
        with self._changed:
            return not self._size and not self._taken

    def put(self, owner: Hashable, work: W, *, again: bool = False) -> None:
        """Add work at the end of its owner's; with `again`, the rest of it before his others.

        Raises:
            FullError: the owner, or all together, have too much waiting. Not with `again`.
        """
        with self._changed:
            line = self._waiting.get(owner)
            full = self._size >= self._total or (line is not None and len(line) >= self._each)
            if full and not again:
                raise FullError
            if line is None:
                line = self._waiting[owner] = deque()
            if again:
                line.appendleft(work)
            else:
                line.append(work)
            self._size += 1
            self._changed.notify()

    def get(self) -> tuple[Hashable, W] | None:
        """The next, when there is one; None after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._size or self._closed)
            if self._closed:
                return None
            owner, line = self._waiting.popitem(last=False)
            work = line.popleft()
            if line:
                self._waiting[owner] = line  # behind all others
            self._size -= 1
            self._taken += 1
            return owner, work

    def done(self) -> None:
        """What `get` gave is worked off."""
        with self._changed:
            self._taken -= 1

    def remove(self, owner: Hashable, work: W) -> None:
        """Forget this work, if it still waits."""
        with self._changed:
            line = self._waiting.get(owner)
            if line is None or work not in line:
                return
            line.remove(work)
            self._size -= 1
            if not line:
                del self._waiting[owner]

    def drop(self, owner: Hashable) -> None:
        """Forget what waits for this owner."""
        with self._changed:
            self._size -= len(self._waiting.pop(owner, ()))

    def close(self) -> None:
        """No more work is given out; who waits for some gets None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
