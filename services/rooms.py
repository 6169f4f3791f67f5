"""Rooms: the one watcher for all viewers, and what an operator does to a room.

Webhooks tell at once; one shared ListRooms poll corrects them. What was missed is written as
inferred. ListParticipants is asked only for rooms that somebody looks at or that are in doubt.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from services.clock import Now, rfc3339
from services.errors import NotFoundError, StoreUnavailableError, SwitchboardError
from services.events import Certainty, Event, Kind, Source
from services.hub import Hub
from services.livekit.models import (
    ConnectionState,
    Dispatch,
    Participant,
    ParticipantKind,
    Permissions,
    Room,
    Track,
)
from services.livekit.service import LiveKitService
from services.livekit.webhooks import participant_facts, room_facts
from services.rooms_view import RoomsSnapshot, RoomView
from services.store.batch import Written
from services.store.records import Sample, SessionRecord
from services.store.store import Store

log = logging.getLogger(__name__)

TOPIC: Final = "rooms"
_PORTION: Final = 250  # rows made anew before others get the loop
_GONE_LIMIT: Final = 10_000
_GONE_FOR_S: Final = 1.0  # a poll that began before a room was gone may still list it
_VERIFY_AT_ONCE: Final = 8  # ListParticipants calls under way together
_VERIFY_A_POLL: Final = 200
_LIVE_BEFORE_COMMIT_S: Final = 0.25  # the live view waits no longer than this for the database
_SAMPLE_DAYS: Final = 7

_Tally = tuple[int, int]
OnWritten = Callable[[Written], Awaitable[None]]


def room_topic(name: str) -> str:
    """The hub's topic for one room's details."""
    return f"room:{name}"


@dataclass(slots=True)
class _Live:
    room: Room
    seen_at: datetime
    seen_s: float
    announced: bool = False  # its beginning is written down
    known: bool = False
    participants: dict[str, Participant] = field(default_factory=dict)  # by participant sid
    left: set[str] = field(default_factory=set)  # participant sids that have left
    session: SessionRecord | None = None
    dispatches: tuple[Dispatch, ...] | None = None
    ending: bool = False
    polls: int = 0
    missing: int = 0
    doubt: int = 0  # polls in a row that differed from what webhooks told
    accepted: tuple[_Tally, _Tally] | None = None  # a difference that was looked into
    row: dict[str, Any] | None = None
    shown: RoomView | None = None  # made anew when something changed

    def in_doubt(self) -> bool:
        """Whether LiveKit counts others than we do."""
        theirs, ours = self.counts()
        return not self.known or (theirs != ours and self.accepted != (theirs, ours))

    def counts(self) -> tuple[_Tally, _Tally]:
        """Participants and publishers: LiveKit's, and ours by LiveKit's rule."""
        present = self.participants.values()
        return (
            (self.room.num_participants, self.room.num_publishers),
            (sum(map(_counts, present)), sum(bool(p.tracks) for p in present)),
        )

    def view(self) -> RoomView:
        return RoomView(
            room=self.room,
            seen_at=self.seen_at,
            session=self.session,
            participants=tuple(self.participants.values()),
            participants_known=self.known,
            dispatches=self.dispatches,
            ending=self.ending,
        )


@dataclass(slots=True)
class WebhookStats:
    """What came by webhook since the start. The System page shows it."""

    received: int = 0
    duplicates: int = 0
    refused: int = 0  # bad signatures
    dropped: int = 0  # LiveKit's own count of what it could not deliver
    missed: int = 0  # facts that a poll found and no webhook had told
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
        self._live: dict[str, _Live] = {}
        self._gone: OrderedDict[str, float] = OrderedDict()
        self._wake = asyncio.Event()
        self._listeners: list[OnWritten] = []
        self._taking: set[asyncio.Task[None]] = set()
        self._polled_before = False
        self._was_away = False
        self._sampled: datetime | None = None
        self._rows: tuple[dict[str, Any], ...] = ()
        self.snapshot = RoomsSnapshot()
        self.webhooks = WebhookStats()
        self.polls = 0
        self.poll_ms = 0.0
        hub.provide(TOPIC, self._table)

    # -- events in

    def on_written(self, listener: OnWritten) -> None:
        """Call `listener` for every event that is new in the book."""
        self._listeners.append(listener)

    async def take(self, *events: Event) -> tuple[Written, ...]:
        """Write events down and show them; shown even while the database is away.

        Raises:
            StoreUnavailableError: not committed in time (shown all the same).
        """
        writing = asyncio.ensure_future(self._store.append(*events))
        try:
            await asyncio.wait({writing}, timeout=_LIVE_BEFORE_COMMIT_S)
            fresh = _fresh_ids(writing)
            for event in events:
                if fresh is None or event.id in fresh:
                    self._apply(event)
            self._publish(event.room_name for event in events)
            written = await writing
        finally:
            writing.cancel()
        for one in written:
            if one.session is not None:
                self._attach(one.session)
        self._publish(event.room_name for event in events)
        if any(one.session is not None for one in written):
            self._hub.touch("sessions")
            self._hub.touch("overview")
        for one in written:
            if one.fresh:
                for listener in self._listeners:
                    await listener(one)
        return written

    def take_soon(self, event: Event, session: SessionRecord) -> None:
        """Show an event at once, and write it down without making the caller wait.

        The writer keeps it until it can. Only for what LiveKit also knows: after a crash it is
        found there again.
        """
        self._apply(event)
        self._attach(session)
        self._publish([event.room_name])
        aio_task = asyncio.get_running_loop().create_task(self.write_down(event))
        self._taking.add(aio_task)
        aio_task.add_done_callback(self._taking.discard)

    async def take_webhook(self, event: Event) -> None:
        """Take what LiveKit told; the same webhook twice is one event.

        Raises:
            StoreUnavailableError: LiveKit should send it again.
        """
        self.webhooks.received += 1
        self.webhooks.last_at = event.received_at
        self.webhooks.dropped += int(event.data.get("num_dropped", 0))
        (written,) = await self.take(event)
        self.webhooks.duplicates += not written.fresh

    def mark_ending(self, name: str, *, ending: bool) -> None:
        """Show that the room is being ended, or that it is not after all."""
        if (live := self._live.get(name)) is not None:
            live.ending = ending
            self._publish([name])

    def look_again(self) -> None:
        """Ask LiveKit now instead of at the next interval."""
        self._wake.set()

    async def refresh(self, name: str) -> RoomView:
        """Read one room's participants and dispatches now, for somebody who opens it.

        Raises:
            NotFoundError: no such room is open.
            LiveKitUnavailableError: it cannot be read now.
        """
        if name not in self._live:
            room = await self._livekit.get_room_info(name)
            self._live.setdefault(name, _Live(room, self._now(), time.monotonic()))
        await self._read_into(self._live[name], with_dispatches=True)
        live = self._live.get(name)
        if live is None:
            raise NotFoundError(f"Room {name!r} has just ended.", hint="See its session.")
        self._publish([name])
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
        try:
            if not self._polled_before:
                found += self._at_start(rooms, left_open)
            found += self._compare(rooms, began_s)
            if found:
                self.webhooks.missed += len(found) if self._polled_before else 0
                await self.take(*found)
            await self._verify_doubtful()
        except StoreUnavailableError as exc:
            log.warning("the poll was not written down", extra={"error": exc.code})
        except SwitchboardError as exc:
            self._lost(exc)
            return
        self._polled_before = True
        self._was_away = False
        if self.snapshot.error is not None:
            log.info("LiveKit is back")
            self._hub.touch("system")
            self._hub.touch("overview")
        back = self.snapshot.error is not None
        self.snapshot = replace(self.snapshot, taken_at=self._now(), error=None, error_since=None)
        if back:
            self._hub.touch(TOPIC, **self.snapshot.status())
        for names in _portions(self._live):  # health changes with time alone
            self._publish(names)
            await asyncio.sleep(0)

    # -- inside: reconciliation

    def _at_start(
        self, rooms: tuple[Room, ...], left_open: tuple[SessionRecord, ...]
    ) -> list[Event]:
        """What ended while we were down; sessions that go on are taken up again."""
        listed = {room.sid: room for room in rooms}
        events: list[Event] = []
        for session in left_open:
            room = listed.get(session.room_sid)
            if room is not None:
                known = self._live.get(room.name)
                if known is None or known.room.sid != room.sid:  # else a webhook was faster
                    self._live[room.name] = live = _Live(
                        room, self._now(), time.monotonic(), announced=True, session=session
                    )
                    live.doubt = 2  # who came and went meanwhile is not known
                continue
            events.append(
                self._event(
                    Kind.ROOM_FINISHED,
                    session.room_name,
                    session.room_sid,
                    session_id=session.id,
                    source=Source.POLL,
                    certainty=Certainty.INFERRED,
                    data={
                        "reason": "It ended while Switchboard was not running.",
                        "not_before": rfc3339(session.last_event_at),
                    },
                )
            )
        return events

    def _compare(self, rooms: tuple[Room, ...], began_s: float) -> list[Event]:
        events: list[Event] = []
        patience = 2 if self.webhooks.received else 1
        listed: set[str] = set()
        for room in rooms:
            gone_s = self._gone.get(room.sid)
            if gone_s is not None and began_s < gone_s + _GONE_FOR_S:
                continue
            self._gone.pop(room.sid, None)  # it is back: LiveKit reused its id
            listed.add(room.name)
            live = self._live.get(room.name)
            if live is not None and live.room.sid != room.sid:  # the name came back
                events.append(self._inferred_end(live, "Another room took its name."))
                live = None
            if live is None:
                live = self._live[room.name] = _Live(room, self._now(), time.monotonic())
            live.room = room
            live.missing = 0
            live.polls += 1
            if not live.announced and live.polls >= patience:
                live.announced = True
                events.append(self._inferred_start(live))
            live.doubt = live.doubt + 1 if live.in_doubt() else 0
        for name, live in list(self._live.items()):
            if name in listed or live.seen_s > began_s:
                continue
            live.missing += 1
            if live.missing >= patience or self._was_away:
                events.append(self._inferred_end(live, ""))
        return events

    def _inferred_start(self, live: _Live) -> Event:
        return self._event(
            Kind.ROOM_STARTED,
            live.room.name,
            live.room.sid,
            at=live.room.created_at,
            source=Source.POLL,
            certainty=Certainty.INFERRED,
            data=room_facts(live.room),
        )

    def _inferred_end(self, live: _Live, reason: str) -> Event:
        lost = self._was_away and any(p.is_person for p in live.participants.values())
        if not reason:
            reason = (
                "The room was gone when LiveKit came back."
                if self._was_away
                else "LiveKit no longer lists the room."
            )
        return self._event(
            Kind.ROOM_FINISHED,
            live.room.name,
            live.room.sid,
            session_id=live.session.id if live.session is not None else None,
            source=Source.POLL,
            certainty=Certainty.INFERRED,
            data={"reason": reason, "lost": lost},
        )

    async def _verify_doubtful(self) -> None:
        patience = 2 if self.webhooks.received and self._polled_before else 1
        looked_at = {topic.removeprefix("room:") for topic in self._hub.topics_read("room:")}
        waiting = [
            live for name, live in self._live.items() if live.doubt >= patience or name in looked_at
        ][:_VERIFY_A_POLL]
        gate = asyncio.Semaphore(_VERIFY_AT_ONCE)

        async def verify(live: _Live) -> None:
            async with gate:
                await self._verify(live, with_dispatches=live.room.name in looked_at)

        async with asyncio.TaskGroup() as tasks:
            for live in waiting:
                tasks.create_task(verify(live))

    async def _verify(self, live: _Live, *, with_dispatches: bool) -> None:
        """`_read_into`, for a room that may have ended or a LiveKit that may be away."""
        try:
            await self._read_into(live, with_dispatches=with_dispatches)
        except NotFoundError:
            return  # it ended; the next poll or its webhook says so
        except SwitchboardError as exc:
            log.info("participants were not read", extra={"error": exc.code})

    async def _read_into(self, live: _Live, *, with_dispatches: bool) -> None:
        """Read who is in the room; what no webhook told is written as inferred."""
        name, before = live.room.name, set(live.participants)
        found = await self._livekit.list_participants(name)
        if with_dispatches:
            live.dispatches = await self._livekit.list_dispatches(name)
        present = {
            p.sid: p
            for p in found
            if p.state is not ConnectionState.DISCONNECTED and p.sid not in live.left
        }
        joined = [p for sid, p in present.items() if sid not in live.participants]
        # who joined while the question was under way is not in the answer
        gone = [p for sid, p in live.participants.items() if sid in before and sid not in present]
        newer = {sid: p for sid, p in live.participants.items() if sid not in before}
        live.participants = {**newer, **present}
        live.known = True
        live.doubt = 0
        live.accepted = live.counts()
        events = [self._about(live, Kind.PARTICIPANT_JOINED, p, at=p.joined_at) for p in joined]
        events += [self._about(live, Kind.PARTICIPANT_LEFT, p) for p in gone]
        if events:
            await self.write_down(*events)
        self._hub.touch(room_topic(name))

    def _about(
        self, live: _Live, kind: Kind, participant: Participant, at: datetime | None = None
    ) -> Event:
        return self._event(
            kind,
            live.room.name,
            live.room.sid,
            session_id=live.session.id if live.session is not None else None,
            at=at,
            source=Source.POLL,
            certainty=Certainty.INFERRED,
            identity=participant.identity,
            data=participant_facts(participant),
        )

    async def write_down(self, *events: Event) -> None:
        """Write, and go on when the database is away: the writer keeps what it was given."""
        try:
            await self.take(*events)
        except StoreUnavailableError as exc:
            log.warning("an event waits for the database", extra={"error": exc.code})

    def _lost(self, exc: SwitchboardError) -> None:
        self._was_away = True
        if self.snapshot.error is None:
            log.warning("LiveKit cannot be asked", extra={"error": exc.code})
            self._hub.touch("system")
            self._hub.touch("overview")
        since = self.snapshot.error_since or self._now()
        if self.snapshot.error is None or self.snapshot.error.message != exc.message:
            self.snapshot = replace(self.snapshot, error=exc, error_since=since)
            self._hub.touch(TOPIC, **self.snapshot.status())

    # -- inside: the live picture

    def _apply(self, event: Event) -> None:
        """Change the live picture by one event, in whatever order they come."""
        name, sid = event.room_name, event.room_sid
        if not name or sid in self._gone:
            if event.kind is not Kind.ROOM_STARTED or not name:
                return
            self._gone.pop(sid, None)
        if event.kind is Kind.ROOM_FINISHED:
            self._finish(name, sid)
            return
        live = self._live.get(name)
        if live is None or (sid and live.room.sid != sid):
            if not sid or event.kind not in _SHOWS_A_ROOM:
                return
            room = Room(name=name, sid=sid, created_at=event.at)
            live = self._live[name] = _Live(room, event.received_at, time.monotonic())
            live.known = event.kind in _BEGINS_A_ROOM
            live.announced = True
        live.announced |= event.kind is Kind.ROOM_STARTED
        participant_sid = str(event.data.get("participant_sid", ""))
        match event.kind:
            case Kind.PARTICIPANT_JOINED if participant_sid not in live.left:
                if participant_sid not in live.participants:
                    live.participants[participant_sid] = _participant(event)
            case Kind.PARTICIPANT_LEFT | Kind.PARTICIPANT_ABORTED:
                live.left.add(participant_sid)
                live.participants.pop(participant_sid, None)
            case Kind.TRACK_PUBLISHED | Kind.TRACK_UNPUBLISHED:
                _change_track(live, participant_sid, event)
            case _:
                pass

    def _finish(self, name: str, sid: str) -> None:
        live = self._live.get(name)
        if live is not None and live.room.sid == sid:
            del self._live[name]
        self._gone[sid] = time.monotonic()
        while len(self._gone) > _GONE_LIMIT:
            self._gone.popitem(last=False)

    def _attach(self, session: SessionRecord) -> None:
        live = self._live.get(session.room_name)
        if live is not None and live.room.sid == session.room_sid:
            live.session = session

    def _publish(self, names: Iterable[str]) -> None:
        """Make the snapshot anew and tell what differs."""
        now = self._now()
        upsert: dict[str, dict[str, Any]] = {}
        remove: list[str] = []
        for name in dict.fromkeys(names):
            live = self._live.get(name)
            if live is None:
                remove.append(name)
                self._hub.touch(room_topic(name))
                continue
            live.shown = live.view()
            if (row := live.shown.row(now)) != live.row:
                live.row = upsert[name] = row
                self._hub.touch(room_topic(name))
        every = self._live.values()
        self._rows = tuple(live.row for live in every if live.row is not None)
        self.snapshot = replace(
            self.snapshot, rooms=tuple(live.shown or live.view() for live in every)
        )
        if upsert or remove:
            self._hub.publish(TOPIC, upsert=upsert, remove=tuple(remove))
            self._hub.touch("overview")

    def _table(self) -> dict[str, Any]:
        """For each viewer who comes; so the rows are those that were told last."""
        return {"rows": self._rows, **self.snapshot.status()}

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

    def _event(self, kind: Kind, room_name: str, room_sid: str, **rest: Any) -> Event:
        now = self._now()
        at = rest.pop("at", None) or now
        return Event(
            kind=kind, at=at, received_at=now, room_name=room_name, room_sid=room_sid, **rest
        )


_BEGINS_A_ROOM: Final = {Kind.ROOM_STARTED, Kind.SESSION_CREATED}
_SHOWS_A_ROOM: Final = _BEGINS_A_ROOM | {
    Kind.PARTICIPANT_JOINED,
    Kind.PARTICIPANT_LEFT,  # it may be told before the join
    Kind.PARTICIPANT_ABORTED,
    Kind.TRACK_PUBLISHED,
}


def _portions(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """So many at a time that the loop is not held for long; once () when there are none."""
    every = tuple(names)
    yield every[:_PORTION]
    for start in range(_PORTION, len(every), _PORTION):
        yield every[start : start + _PORTION]


def _fresh_ids(writing: asyncio.Future[tuple[Written, ...]]) -> set[str] | None:
    """The ids that were new, or None while the database has not answered."""
    if not writing.done() or writing.cancelled() or writing.exception() is not None:
        return None
    return {one.event.id for one in writing.result() if one.fresh}


def _counts(participant: Participant) -> bool:
    """Whether LiveKit's num_participants counts it (pkg/rtc/room.go@v1.13.5 updateProto)."""
    return participant.kind.value not in {"agent", "egress"}


def _participant(event: Event) -> Participant:
    hidden = bool(event.data.get("hidden"))
    return Participant(
        identity=event.identity,
        sid=str(event.data.get("participant_sid", "")),
        name=str(event.data.get("name", "")),
        kind=ParticipantKind(event.data.get("kind", "standard")),
        joined_at=event.at,
        attributes={"lk.agent.name": name} if (name := event.data.get("agent_name")) else {},
        permissions=(
            Permissions(can_subscribe=True, can_publish=False, can_publish_data=False, hidden=True)
            if hidden
            else None
        ),
    )


def _change_track(live: _Live, participant_sid: str, event: Event) -> None:
    participant = live.participants.get(participant_sid)
    facts = event.data.get("track")
    if participant is None or not isinstance(facts, dict):
        return
    track = Track(**facts)
    others = tuple(known for known in participant.tracks if known.sid != track.sid)
    tracks = (*others, track) if event.kind is Kind.TRACK_PUBLISHED else others
    live.participants[participant_sid] = replace(participant, tracks=tracks)
