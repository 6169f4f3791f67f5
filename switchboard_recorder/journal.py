"""Events on their way: numbered, written down, kept until the dashboard has them.

`put` only appends, on any thread. A thread of the journal's own writes each event out, numbers it
and puts it on disk, so that neither a slow disk nor a busy event loop holds the call or loses an
event. Without a disk it keeps a bounded amount in memory. What does not fit is counted, and a
`events_dropped` says so in its place.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Final

from switchboard_recorder.events import EVENT_BYTES, EventKind
from switchboard_recorder.guard import Guard
from switchboard_recorder.once import Once
from switchboard_recorder.protocol import BATCH, FRAME_BYTES, Live
from switchboard_recorder.spool import STREAM_BYTES, WORTH_BYTES, Spool, sound
from switchboard_recorder.times import moment_text, now
from switchboard_recorder.values import NARROWER, Plain

log = logging.getLogger(__name__)

QUEUE: Final = 5_000
"""Events that may wait for the journal's thread."""
QUEUE_CHARS: Final = 16_000_000
"""And how long they may be together."""
MEMORY_BYTES: Final = 8_000_000
"""What is kept in memory of what is not acknowledged."""
LIVE: Final = 200
GATHER_S: Final = 0.002
"""What happens within this time is written down together: the call is not interrupted for each."""
_RETRY_DISK_S: Final = 5.0
_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)

Data = dict[str, Any] | Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Item:
    kind: str
    at: datetime
    data: Data
    cost: int = 0
    live: bool = False


class _Tidy:
    """Asks the journal's thread to remove the files that are no longer needed."""


class Journal:
    """One stream's events. `put` from any thread; `after` and `acknowledge` from the sender."""

    def __init__(
        self,
        spool: Spool | None,
        plain: Plain,
        *,
        opens: Callable[[], Spool] | None = None,
        memory_bytes: int = MEMORY_BYTES,
        stream_bytes: int = STREAM_BYTES,
        queue: int = QUEUE,
    ) -> None:
        self._plain = plain
        self._memory_bytes = memory_bytes
        self._stream_bytes = stream_bytes
        self._most_waiting = queue
        self._queue: SimpleQueue[_Item | _Tidy | None] = SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()  # guards what follows; never held while a disk is waited for
        self._lines: deque[bytes] = deque()  # the newest, without a hole: up to `last_seq`
        self._bytes = 0
        self._written = 0
        self._dropped = 0
        self._why = ""
        self.last_seq = 0
        self.acked = 0
        self.live: deque[str] = deque(maxlen=LIVE)
        self.connected = False
        self._disk = threading.Lock()  # guards the spool
        self._spool = spool
        self._opens = opens  # makes the spool, on the journal's thread
        self._retry_disk_s = 0.0
        self._once = Once(log)
        self._told: Callable[[], None] = lambda: None
        self._closed = False
        self._os_thread = threading.Thread(
            target=self._work, name="switchboard-journal", daemon=True
        )

    def start(self, told: Callable[[], None]) -> None:
        """Begin; `told` is called, on the journal's thread, when there is something to send."""
        self._told = told
        self._os_thread.start()

    def put(self, kind: str, data: Data, *, cost: int = 0, live: bool = False) -> None:
        """Append an event whose data is plain already, or a function that makes it later.

        `cost` is about how many characters it comes to.
        """
        if self._closed:
            return
        with self._lock:
            full = self._queue.qsize() >= self._most_waiting or self._waiting > QUEUE_CHARS
            if not full:
                self._waiting += cost
                self._queue.put(_Item(kind, now(), data, cost, live))
        if full and not live:
            self._drop(1, "more happened at once than could be written down")

    def close(self, timeout_s: float) -> bool:
        """Take nothing more; whether everything that was put is numbered now."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._os_thread.join(timeout_s)
        return not self._os_thread.is_alive()

    def waiting(self) -> bool:
        """Whether the thread still has something to write down."""
        return self._os_thread.is_alive()

    # -- the sender's side

    async def after(self, seq: int) -> list[str]:
        """At most a frame full of lines from `seq` + 1 on; [] when there is none."""
        with self._lock:
            first = self.last_seq - len(self._lines) + 1
            if seq >= self.last_seq:
                return []
            if seq + 1 >= first:
                start = seq + 1 - first
                return frame_full(list(islice(self._lines, start, start + BATCH)))
        return await asyncio.to_thread(self._from_disk, seq, first)

    def acknowledge(self, seq: int) -> None:
        """Everything up to `seq` is safe."""
        with self._lock:
            seq = min(seq, self.last_seq)
            if seq <= self.acked:
                return
            self.acked = seq
            first = self.last_seq - len(self._lines) + 1
            for _ in range(max(0, seq - first + 1)):
                self._bytes -= len(self._lines.popleft())
        if self._spool is not None and self._spool.size >= WORTH_BYTES:
            self._queue.put(_Tidy())

    def _from_disk(self, seq: int, before: int) -> list[str]:
        lines: list[bytes] = []
        with self._disk:
            try:
                if self._spool is not None:
                    lines = self._spool.read_after(seq)[:BATCH]
            except OSError as exc:
                self._once.warn("read", "The recorder cannot read its own file: %s.", exc)
        return frame_full(repaired(lines, seq, before))

    def finish_soon(self) -> None:
        """`finish`, without waiting for a disk that hangs."""
        threading.Thread(
            target=Guard(), args=(self.finish,), name="switchboard-finish", daemon=True
        ).start()

    def finish(self) -> None:
        """The end: the files go when everything is safe, else they wait for who delivers them."""
        with self._disk:
            spool, self._spool = self._spool, None
            if spool is None:
                return
            try:
                if self.acked >= self.last_seq:
                    spool.remove()
                    return
            except OSError as exc:
                self._once.warn("remove", "The recorder cannot remove its own file: %s.", exc)
            spool.release()

    @property
    def on_disk(self) -> bool:
        """Whether what is not acknowledged outlives this process."""
        return self._spool is not None and self._written >= self.last_seq

    # -- the journal's own thread

    def _open(self) -> None:
        if self._opens is None:
            return
        try:
            spool = self._opens()
        except Exception as exc:  # noqa: BLE001  # whatever it is, the call is recorded in memory
            self._once.warn(
                "open",
                "The recorder has no folder (%s). It keeps what waits in memory alone.",
                exc,
            )
            return
        with self._disk:
            self._spool = spool

    def _work(self) -> None:
        self._open()
        open_ = True
        while open_:
            batch = self._batch()
            open_ = batch[-1] is not None
            try:
                self._take([item for item in batch if isinstance(item, _Item)])
                if any(isinstance(item, _Tidy) for item in batch):
                    self._tidy()
            except Exception as exc:  # noqa: BLE001  # nothing may end this thread
                self._drop(len(batch), "an event could not be written down")
                self._once.warn("work", "The recorder lost events: %s.", type(exc).__name__)
            self._told()

    def _tidy(self) -> None:
        with self._disk:
            try:
                if self._spool is not None:
                    self._spool.forget(min(self.acked, self._written))
            except OSError as exc:
                self._once.warn("forget", "The recorder cannot remove its own file: %s.", exc)

    def _batch(self) -> list[_Item | _Tidy | None]:
        batch = [self._next()]
        if batch[0] is not None:
            time.sleep(GATHER_S)
        while batch[-1] is not None and len(batch) < BATCH:
            try:
                batch.append(self._queue.get_nowait())
            except Empty:
                break
        return batch

    def _next(self) -> _Item | _Tidy | None:
        """The next item; meanwhile, what waits for a disk that failed is tried again."""
        while True:
            try:
                return self._queue.get(timeout=_RETRY_DISK_S if self._behind() else None)
            except Empty:
                self._write()

    def _behind(self) -> bool:
        return self._spool is not None and self._written < self.last_seq

    def _take(self, items: list[_Item]) -> None:
        with self._lock:
            self._waiting -= sum(item.cost for item in items)
        for item in items:
            if item.live:
                if self.connected:
                    self.live.append(self._live_frame(item))
                continue
            data = item.data() if callable(item.data) else item.data
            self._number(item.kind, item.at, data)
        self._write()

    def _live_frame(self, item: _Item) -> str:
        data = item.data() if callable(item.data) else item.data
        body = {"type": Live.type, "kind": item.kind, "at": moment_text(item.at), "data": data}
        frame = _JSON.encode(body)
        if len(frame.encode()) <= EVENT_BYTES:
            return frame
        body["data"] = self._plain.data(data, NARROWER[-1])
        return _JSON.encode(body)

    def _number(self, kind: str, at: datetime, data: dict[str, Any]) -> None:
        with self._lock:
            lost, why = self._dropped, self._why
        if lost:
            gap = {"count": lost, "reason": why}
            line = self._line(self.last_seq + 1, EventKind.EVENTS_DROPPED, now(), gap)
            if not self._keep(line):
                self._drop(1, why)
                return
            with self._lock:
                self._dropped -= lost
        if not self._keep(self._line(self.last_seq + 1, kind, at, data)):
            why = "the dashboard was away for too long and the space for its events was used up"
            self._drop(1, why)

    def _line(self, seq: int, kind: str, at: datetime, data: dict[str, Any]) -> bytes:
        record = {"seq": seq, "kind": str(kind), "at": moment_text(at), "data": data}
        line = _JSON.encode(record).encode()
        for limits in NARROWER[1:]:
            if len(line) <= EVENT_BYTES:
                break
            record["data"] = self._plain.data(data, limits)
            line = _JSON.encode(record).encode()
        return line

    def _keep(self, line: bytes) -> bool:
        """Take the line in, or refuse it where neither disk nor memory has room."""
        spool = self._spool
        fits_disk = spool is not None and spool.size + len(line) <= self._stream_bytes
        with self._lock:
            disk_works = fits_disk and self._written + BATCH >= self.last_seq
            if self._bytes + len(line) > self._memory_bytes and not disk_works:
                return False
            self._lines.append(line)
            self._bytes += len(line)
            self.last_seq += 1
        return True

    def _write(self) -> None:
        """Put on disk what is only in memory; a disk that failed is left alone for some seconds."""
        with self._disk:
            spool = self._spool
            if spool is None or time.monotonic() < self._retry_disk_s:
                return
            with self._lock:
                first = self.last_seq - len(self._lines) + 1
                new = min(len(self._lines), self.last_seq - self._written)
                lines = [self._lines[index] for index in range(-new, 0)]  # near the end: quick
            try:
                if self._written + 1 < first and lines:  # acknowledged before it was written
                    spool.skip_to(first)
                spool.append(lines)
            except OSError as exc:
                self._retry_disk_s = time.monotonic() + _RETRY_DISK_S
                self._once.warn(
                    "disk",
                    "The recorder cannot write to its folder (%s). It goes on in memory.",
                    exc,
                )
                return
            self._once.over("disk", "The recorder can write to its folder again.")
            with self._lock:
                self._written = spool.last
                while self._bytes > self._memory_bytes and len(self._lines) > 1:
                    if self.last_seq - len(self._lines) + 1 > self._written:
                        break
                    self._bytes -= len(self._lines.popleft())

    def _drop(self, count: int, why: str) -> None:
        with self._lock:
            self._dropped += count
            self._why = why
        self._once.warn("drop", "The recorder dropped events: %s.", why)


def frame_full(lines: list[bytes]) -> list[str]:
    room, taken = FRAME_BYTES - 10_000, 0
    for line in lines:
        room -= len(line) + 1
        if room < 0 or taken == BATCH:
            break
        taken += 1
    return [line.decode() for line in lines[:taken]]


def repaired(lines: list[bytes], seq: int, before: int) -> list[bytes]:
    """The lines from `seq` + 1 on; one that is lost or damaged becomes a `events_dropped`."""
    made = []
    for offset in range(min(BATCH, max(len(lines), before - seq - 1 if not lines else 0))):
        number = seq + 1 + offset
        line = lines[offset] if offset < len(lines) else b""
        made.append(line if sound(line, number) else lost(number))
    return made


def lost(seq: int) -> bytes:
    """A record that stands for one that cannot be read any more."""
    data = {"count": 1, "reason": "the recorder's file could not be read"}
    record = {
        "seq": seq,
        "kind": EventKind.EVENTS_DROPPED.value,
        "at": moment_text(now()),
        "data": data,
    }
    return json.dumps(record).encode()
