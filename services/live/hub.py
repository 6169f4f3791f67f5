"""The hub: tells whoever looks what has changed, once for all of them.

A topic's changes are gathered for a moment, written out once, and the same bytes go to every
subscriber. A reader that falls behind gets a fresh snapshot instead of a growing queue.
Publishing happens on the runtime's loop; a subscriber may live on any loop.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

SPACING_S: Final = 0.04  # at most 25 messages a second and topic
HISTORY: Final = 512  # changes kept for a reader that comes back
MOST_ROWS: Final = 250  # in a message: writing thousands out at once would hold the loop
BEHIND: Final = 128  # messages that a reader may leave waiting

Snapshot = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Message:
    """A topic's snapshot or a change of it, as JSON written out once for all readers."""

    event: str
    topic: str
    version: int
    body: str


@dataclass(slots=True)
class _Topic:
    name: str
    version: int = 0
    snapshot: Snapshot | None = None
    upsert: dict[str, dict[str, Any]] = field(default_factory=dict)
    remove: dict[str, None] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    dirty: bool = False
    history: deque[Message] = field(default_factory=lambda: deque(maxlen=HISTORY))
    subscribers: set[Subscriber] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None
    last_sent_s: float = float("-inf")


class Subscriber:
    """One reader of some topics; made by `Hub.subscribe`, read on its own loop.

    `viewer` is whom it reads for: a tab has several readers and counts once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, viewer: object = None) -> None:
        self.viewer = self if viewer is None else viewer
        self._loop = loop
        self._waiting: deque[Message] = deque()
        self._lock = threading.Lock()  # the hub and the reader are on different threads
        self._wake = asyncio.Event()
        self.behind = False
        self.closed = False

    def push(self, message: Message) -> None:
        """Called by the hub, on the hub's loop."""
        with self._lock:
            if len(self._waiting) >= BEHIND:
                self._waiting.clear()
                self.behind = True
            if not self.behind:
                self._waiting.append(message)
        self.wake()

    def wake(self) -> None:
        """Let the reader look; harmless after its loop has closed."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._wake.set)

    def close(self) -> None:
        """The reader's `next` returns None from now on."""
        self.closed = True
        self.wake()

    async def next(self) -> tuple[Message, ...] | None:
        """What is new: messages, () for "you fell behind, read a snapshot", None at the end."""
        while not (self._waiting or self.behind or self.closed):
            await self._wake.wait()
            self._wake.clear()
        if self.closed:
            return None
        with self._lock:
            taken = () if self.behind else tuple(self._waiting)
            self.behind = False
            self._waiting.clear()
        return taken


class Hub:
    """Topics and their readers. `publish` and `touch` only on the runtime's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now_text: Callable[[], str]) -> None:
        self._loop = loop
        self._now_text = now_text
        self._topics: dict[str, _Topic] = {}
        self._lock = threading.Lock()  # guards the set of topics and readers, across threads
        self._closed = False
        self.epoch: Final = secrets.token_hex(4)
        self.sent = 0

    def provide(self, topic: str, snapshot: Snapshot) -> None:
        """Name the function that gives a topic's snapshot; it must be safe on any thread."""
        self._topic(topic).snapshot = snapshot

    def retire(self, topic: str) -> None:
        """Provide a topic no longer; it goes with its last reader. What waits is told first."""
        if (found := self._topics.get(topic)) is not None:
            if found.timer is not None:
                found.timer.cancel()
                self._send(found)
            found.snapshot = None
            with self._lock:
                self._forget_unread(found)

    def touch(self, topic: str, **extra: Any) -> None:
        """Say that something about the topic changed: readers read it again."""
        found = self._topics.get(topic)
        if found is not None:
            found.extra |= extra
            self._mark(found)

    def touch_soon(self, topic: str) -> None:
        """As `touch`, from any thread; harmless after our loop has closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.touch, topic)

    def publish(
        self,
        topic: str,
        *,
        upsert: dict[str, dict[str, Any]] | None = None,
        remove: tuple[str, ...] = (),
    ) -> None:
        """Change rows of a topic, by key."""
        found = self._topic(topic)
        for key, row in (upsert or {}).items():
            found.remove.pop(key, None)
            found.upsert[key] = row
        for key in remove:
            found.upsert.pop(key, None)
            found.remove[key] = None
        self._mark(found)

    @contextmanager
    def subscribe(self, topics: tuple[str, ...], viewer: object = None) -> Iterator[Subscriber]:
        """A `Subscriber` to these topics on the running loop, until the block is left."""
        subscriber = Subscriber(asyncio.get_running_loop(), viewer)
        with self._lock:
            for name in topics:
                self._topic(name).subscribers.add(subscriber)
            if self._closed:
                subscriber.close()
        try:
            yield subscriber
        finally:
            with self._lock:
                for name in topics:
                    if (topic := self._topics.get(name)) is not None:
                        topic.subscribers.discard(subscriber)
                        self._forget_unread(topic)

    def snapshot(self, topic: str) -> Message:
        """The topic as it is now, as the first message for a reader."""
        found = self._topic(topic)
        version = found.version
        body = found.snapshot() if found.snapshot is not None else {}
        return self._message("snapshot", found, version, body)

    def since(self, topic: str, version: int) -> tuple[Message, ...] | None:
        """The changes after `version`, or None when they are no longer kept."""
        found = self._topic(topic)
        if version == found.version:
            return ()
        with self._lock:
            kept = tuple(message for message in found.history if message.version > version)
        return kept if kept and kept[0].version == version + 1 else None

    def version(self, topic: str) -> int:
        """How many changes of the topic were told; 0 for one that nobody knows."""
        found = self._topics.get(topic)
        return 0 if found is None else found.version

    def topics_read(self, prefix: str) -> tuple[str, ...]:
        """The topics of that prefix which somebody reads now."""
        with self._lock:
            return tuple(
                name
                for name, topic in self._topics.items()
                if topic.subscribers and name.startswith(prefix)
            )

    def readers(self, topic: str) -> int:
        """How many viewers read this topic now."""
        with self._lock:
            found = self._topics.get(topic)
            return 0 if found is None else len({s.viewer for s in found.subscribers})

    def viewers(self) -> int:
        """How many viewers there are now."""
        with self._lock:
            return len({s.viewer for topic in self._topics.values() for s in topic.subscribers})

    def close(self) -> None:
        """End every reader."""
        with self._lock:
            self._closed = True
            for topic in self._topics.values():
                if topic.timer is not None:
                    topic.timer.cancel()
                for subscriber in topic.subscribers:
                    subscriber.close()

    def _topic(self, name: str) -> _Topic:
        return self._topics.setdefault(name, _Topic(name))

    def _forget_unread(self, topic: _Topic) -> None:
        """A topic that nobody reads and nobody provides would stay for ever."""
        if not topic.subscribers and topic.snapshot is None and not topic.dirty:
            self._topics.pop(topic.name, None)

    def _mark(self, topic: _Topic) -> None:
        topic.dirty = True
        if topic.timer is not None:
            return
        wait_s = max(0.0, topic.last_sent_s + SPACING_S - self._loop.time())
        topic.timer = self._loop.call_later(wait_s, self._send, topic)

    def _send(self, topic: _Topic) -> None:
        topic.timer = None
        topic.dirty = False
        topic.last_sent_s = self._loop.time()
        topic.version += 1
        body: dict[str, Any] = dict(topic.extra)
        if topic.snapshot is not None:
            keys = list(islice(topic.upsert, MOST_ROWS))
            rows = [topic.upsert.pop(key) for key in keys]
            body |= {"upsert": rows, "remove": list(topic.remove)}
        else:
            topic.upsert.clear()
        topic.remove.clear()
        topic.extra.clear()
        message = self._message("change", topic, topic.version, body)
        with self._lock:
            topic.history.append(message)
            readers = tuple(topic.subscribers)
            self._forget_unread(topic)
        for subscriber in readers:
            subscriber.push(message)
        self.sent += 1
        if topic.upsert:
            self._mark(topic)

    def _message(self, event: str, topic: _Topic, version: int, body: dict[str, Any]) -> Message:
        data = {"topic": topic.name, "at": self._now_text(), **body}
        return Message(
            event=event,
            topic=topic.name,
            version=version,
            body=json.dumps(data, ensure_ascii=False, separators=(",", ":")),
        )


async def read(
    hub: Hub,
    topics: tuple[str, ...],
    *,
    last_event_id: str = "",
    rows: bool = True,
    viewer: object = None,
) -> AsyncGenerator[tuple[str, Message | None], None]:
    """What a reader of `topics` is sent: (event id, message). It ends when the hub is closed.

    The first message is None: from now on nothing is missed. Then come the snapshots, or, when
    `last_event_id` is still good, only what was missed. `rows` False: no snapshots, for a reader
    that only wants to know that something changed.
    """
    topics = tuple(dict.fromkeys(topics))
    with hub.subscribe(topics, viewer) as subscriber:
        seen = _versions(last_event_id, hub.epoch, topics)
        first: list[Message] = []
        for topic in topics:
            missed = hub.since(topic, seen[topic]) if topic in seen else None
            if missed is not None:
                first += missed
            elif rows:
                first.append(hub.snapshot(topic))
            else:
                seen[topic] = hub.version(topic)
        yield _event_id(hub.epoch, topics, seen), None
        batch: tuple[Message, ...] | None = tuple(first)
        while batch is not None:
            for message in batch:
                if message.event == "change" and message.version <= seen.get(message.topic, -1):
                    continue  # the snapshot had it already
                seen[message.topic] = message.version
                yield _event_id(hub.epoch, topics, seen), message
            batch = await subscriber.next()
            if batch == ():
                seen.clear()
                batch = tuple(_as_it_is(hub, topic, rows) for topic in topics)


def _as_it_is(hub: Hub, topic: str, rows: bool) -> Message:
    """For a reader that fell behind."""
    return hub.snapshot(topic) if rows else Message("change", topic, hub.version(topic), "")


def _event_id(epoch: str, topics: tuple[str, ...], seen: dict[str, int]) -> str:
    return f"{epoch}-" + ".".join(str(seen.get(topic, "")) for topic in topics)


def _versions(event_id: str, epoch: str, topics: tuple[str, ...]) -> dict[str, int]:
    head, _, tail = event_id.partition("-")
    numbers = tail.split(".")
    if head != epoch or len(numbers) != len(topics):
        return {}
    return {
        topic: int(number)
        for topic, number in zip(topics, numbers, strict=True)
        if number.isascii() and number.isdigit()  # "": it was not sent yet
    }
