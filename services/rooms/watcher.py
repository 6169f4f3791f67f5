"""Rooms: the one watcher for all viewers.

Webhooks tell at once; one shared ListRooms poll corrects them. What was missed is written as
inferred. ListParticipants is asked only for rooms that somebody looks at or that are in doubt.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from services.clock import Now
from services.errors import NotFoundError, StoreUnavailableError, SwitchboardError
from services.events import Event, Kind, Source
from services.live.hub import Hub
from services.livekit.service import LiveKitService
from services.loop.batches import in_portions
from services.rooms import reconcile
from services.rooms.state import TOPIC, LiveRoom, RoomsState, room_topic
from services.rooms.views import RoomsSnapshot, RoomView
from services.store.batch import CommittedEvent
from services.store.event_log import QUEUE_LIMIT
from services.store.records import Sample, SessionRecord
from services.store.store import Store

__all__ = ["TOPIC", "Rooms", "WebhookStats", "room_topic"]

log = logging.getLogger(__name__)

_VERIFY_AT_ONCE: Final = 8  # ListParticipants calls under way together
_VERIFY_A_POLL: Final = 200
_AFTER_ANSWER_S: Final = 0.003  # what need not be in an answer must not hold it up
_LIVE_BEFORE_COMMIT_S: Final = 0.25  # the live view waits no longer than this for the database
_SAMPLE_DAYS: Final = 7
_LATELY: Final = timedelta(minutes=10)
_SPARE_FROM: Final = 500  # rooms more than before

_OF_AGENTS: Final = {Source.AGENT, Source.OBSERVER}


@dataclass(slots=True)
class WebhookStats:
    """What came by webhook since the start. The System page shows it."""

    received: int = 0
    duplicates: int = 0
    refused: int = 0  # bad signatures
    dropped: int = 0  # LiveKit's own count of what it could not deliver
    missed: int = 0  # facts that a poll found and no webhook had told
    missed_lately: int = 0  # of the last ten minutes
    last_at: datetime | None = None


class Rooms:
    """The live picture of all rooms.

    All methods run on the runtime's loop; `snapshot` is immutable: read it on any thread.
    """

    def __init__(
        self,
        livekit: LiveKitService,
        store: Store,
        hub: Hub,
        *,
        now: Now,
        poll_interval_s: float,
    ) -> None:
        self._livekit = livekit
        self._store = store
        self._hub = hub
        self._now = now
        self._poll_interval_s = poll_interval_s
        self._picture = RoomsState(hub, now=now)
        self._wake = asyncio.Event()
        self._early: dict[str, None] = {}  # ids of events shown before their commit
        self._taking: set[asyncio.Task[None]] = set()
        self._polled_before = False
        self._was_away = False
        self._sampled: datetime | None = None
        self._spared = 0
        self.webhooks = WebhookStats()
        self._missed: deque[tuple[datetime, int]] = deque()
        self.polls = 0
        self.poll_ms = 0.0
        store.log.subscribe(self._committed)

    @property
    def snapshot(self) -> RoomsSnapshot:
        """Every open room as last known; immutable, for any thread."""
        return self._picture.snapshot

    # -- events in

    async def take(self, *events: Event) -> tuple[CommittedEvent, ...]:
        """Write events and show them; shown even while the database is unavailable.

        Raises:
            StoreUnavailableError: not committed in time (shown all the same).
        """
        writing = asyncio.ensure_future(self._store.log.append(*events))
        try:
            await asyncio.wait({writing}, timeout=_LIVE_BEFORE_COMMIT_S)
            if not writing.done() or writing.cancelled() or writing.exception() is not None:
                self._show_early(events)  # whoever looks need not wait for a slow database
            return await writing
        finally:
            writing.cancel()

    def take_soon(self, event: Event, session: SessionRecord) -> None:
        """Show an event at once, and write it without making the caller wait.

        The log keeps it until it can. Only for what LiveKit also knows: after a crash it is
        found there again.
        """
        try:
            writing = self._store.log.append_soon(event)  # queued now: who reads next sees it
        except StoreUnavailableError as exc:
            log.warning("an event was not kept", extra={"error": exc.code})
            writing = None

        def show() -> None:
            if writing is None or not writing.done():
                self._show_early([event])
                self._picture.attach(session)
                self._picture.publish([event.room_name])

        asyncio.get_running_loop().call_later(_AFTER_ANSWER_S, show)

    def _show_early(self, events: Sequence[Event]) -> None:
        """Show what is not committed yet, and see that the commit does not show it once more."""
        for event in events:
            self._early[event.id] = None
            self._picture.apply(event)
        while len(self._early) > QUEUE_LIMIT:
            self._early.pop(next(iter(self._early)))
        self._picture.publish(event.room_name for event in events)

    def _committed(self, committed: CommittedEvent) -> None:
        event, session = committed.event, committed.session
        if event.kind is Kind.AGENT_STATE and not committed.replayed:
            word = str(event.data.get("new", ""))
            self._picture.show_agent_state(event.room_name, event.identity, word)
        if event.source in _OF_AGENTS:
            return  # the picture has nothing else of what they tell
        if event.id in self._early:
            del self._early[event.id]
        else:
            self._picture.apply(event)
        if session is not None:
            self._picture.attach(session)
            self._hub.touch("sessions")
            self._hub.touch("overview")
        self._picture.publish([event.room_name])

    async def take_webhook(self, event: Event) -> None:
        """Take what LiveKit told; the same webhook twice is one event.

        Raises:
            StoreUnavailableError: LiveKit should send it again.
        """
        self.webhooks.received += 1
        self.webhooks.last_at = event.received_at
        self.webhooks.dropped += int(event.data.get("num_dropped", 0))
        (committed,) = await self.take(event)
        self.webhooks.duplicates += not committed.fresh

    def mark_ending(self, name: str, *, ending: bool) -> None:
        """Show that the room is being ended, or that it is not after all."""
        if (live := self._picture.live.get(name)) is not None:
            live.ending = ending
            self._picture.publish([name])

    def look_again(self) -> None:
        """Ask LiveKit now instead of at the next interval."""
        self._wake.set()

    async def refresh(self, name: str) -> RoomView:
        """Read one room's participants and dispatches now, for somebody who opens it.

        Raises:
            NotFoundError: no such room is open.
            LiveKitUnavailableError: it cannot be read now.
        """
        live = self._picture.live.get(name)
        if live is None:
            room = await self._livekit.get_room_info(name)
            live = self._picture.live.get(name) or self._picture.add(room)
        await self._read_into(live, with_dispatches=True)
        live = self._picture.live.get(name)
        if live is None:
            raise NotFoundError(f"Room {name!r} has ended.", hint="Open its session.")
        self._picture.publish([name])
        return live.view()

    # -- background

    async def run(self) -> None:
        """Poll for ever. A failed poll is shown, not raised."""
        while True:
            began_s = time.monotonic()
            await self.poll()
            await self._sample()
            wait_s = max(0.05, self._poll_interval_s - (time.monotonic() - began_s))
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass  # the interval is over
            self._wake.clear()

    async def poll(self) -> None:
        """One ListRooms, compared with what webhooks told."""
        began_s = time.monotonic()
        try:
            # before the list: a session that is created meanwhile is not in it
            left_open = await self._store.open_sessions() if not self._polled_before else ()
        except StoreUnavailableError as exc:
            log.warning("open sessions were not read yet", extra={"error": exc.code})
            return
        try:
            rooms = await self._livekit.list_rooms()
        except SwitchboardError as exc:
            self._lost(exc)
            return
        self.polls += 1
        self.poll_ms = (time.monotonic() - began_s) * 1000
        found: list[Event] = []
        now, picture = self._now(), self._picture
        try:
            if not self._polled_before:
                found += await reconcile.at_start(picture, rooms, left_open, now)
            found += await reconcile.compare(
                picture,
                rooms,
                now,
                began_s=began_s,
                patience=2 if self.webhooks.received else 1,
                was_away=self._was_away,
            )
            self._note_missed(now, len(found) if self._polled_before else 0)
            if found:
                await self._take_found(found)
            await self._verify_doubtful()
        except StoreUnavailableError as exc:
            log.warning("the poll was not written down", extra={"error": exc.code})
        except SwitchboardError as exc:
            self._lost(exc)
            return
        self._polled_before = True
        self._was_away = False
        if picture.checked():
            log.info("LiveKit is back")
        self._spare_the_collector()
        async for names in in_portions(picture.live):  # health changes with time alone
            picture.publish(names)

    # -- inside

    def _note_missed(self, now: datetime, count: int) -> None:
        self.webhooks.missed += count
        if count:
            self._missed.append((now, count))
        while self._missed and self._missed[0][0] <= now - _LATELY:
            self._missed.popleft()
        self.webhooks.missed_lately = sum(count for _, count in self._missed)

    def _spare_the_collector(self) -> None:
        """Let the garbage collector's full pass leave out rooms that stay: 50 ms for 5,000."""
        if len(self._picture.live) >= self._spared + _SPARE_FROM:
            self._spared = len(self._picture.live)
            gc.freeze()

    async def _take_found(self, found: Sequence[Event]) -> None:
        """`take`, in portions; all of it reaches the log, also while the database is away."""
        late: StoreUnavailableError | None = None
        async for some in in_portions(found):
            if late is not None:
                self._in_background(self.write_down(*some))
                continue
            try:
                await self.take(*some)
            except StoreUnavailableError as exc:
                late = exc
        if late is not None:
            raise late

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        aio_task = asyncio.get_running_loop().create_task(work)
        self._taking.add(aio_task)
        aio_task.add_done_callback(self._taking.discard)

    async def _verify_doubtful(self) -> None:
        patience = 2 if self.webhooks.received and self._polled_before else 1
        looked_at = {topic.removeprefix("room:") for topic in self._hub.topics_read("room:")}
        waiting = [
            live
            for name, live in self._picture.live.items()
            if live.doubt >= patience or name in looked_at
        ][:_VERIFY_A_POLL]
        gate = asyncio.Semaphore(_VERIFY_AT_ONCE)

        async def verify(live: LiveRoom) -> None:
            async with gate:
                await self._verify(live, with_dispatches=live.room.name in looked_at)

        async with asyncio.TaskGroup() as tasks:
            for live in waiting:
                tasks.create_task(verify(live))

    async def _verify(self, live: LiveRoom, *, with_dispatches: bool) -> None:
        """`_read_into`, for a room that may have ended or a LiveKit that may be away."""
        try:
            await self._read_into(live, with_dispatches=with_dispatches)
        except NotFoundError:
            return  # it ended; the next poll or its webhook says so
        except SwitchboardError as exc:
            log.info("participants were not read", extra={"error": exc.code})

    async def _read_into(self, live: LiveRoom, *, with_dispatches: bool) -> None:
        """Read who is in the room; what no webhook told is written as inferred."""
        name, before = live.room.name, set(live.participants)
        found = await self._livekit.list_participants(name)
        if with_dispatches:
            live.dispatches = await self._livekit.list_dispatches(name)
        events = reconcile.take_participants(live, found, before, self._now())
        if events:
            await self.write_down(*events)
        self._hub.touch(room_topic(name))

    async def write_down(self, *events: Event) -> None:
        """Write, and go on when the database is unavailable: the log keeps what it was given."""
        try:
            await self.take(*events)
        except StoreUnavailableError as exc:
            log.warning("an event waits for the database", extra={"error": exc.code})

    def _lost(self, exc: SwitchboardError) -> None:
        self._was_away = True
        if self._picture.lost(exc):
            log.warning("LiveKit cannot be asked", extra={"error": exc.code})

    async def _sample(self) -> None:
        minute = self._now().replace(second=0, microsecond=0)
        if self.snapshot.taken_at is None or self.snapshot.error or minute == self._sampled:
            return
        self._sampled = minute
        snapshot = self.snapshot
        sample = Sample(
            minute=minute,
            rooms=len(snapshot.rooms),
            people=snapshot.people,
            agents=snapshot.agents,
            sessions=sum(view.session is not None for view in snapshot.rooms),
        )
        try:
            keep_from = minute - timedelta(days=_SAMPLE_DAYS)
            await self._store.add_sample(sample, keep_from=keep_from)
        except StoreUnavailableError as exc:
            log.warning("no sample was kept", extra={"error": exc.code})
