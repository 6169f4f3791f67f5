"""The picture of all open rooms, in memory: changed by events, shown as views and rows.

It asks nobody and writes nothing down; `Rooms` does.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from services.clock import Now
from services.errors import SwitchboardError
from services.events import Event, Kind
from services.live.hub import Hub
from services.livekit.models import (
    Dispatch,
    Participant,
    ParticipantKind,
    Permissions,
    Room,
    Track,
)
from services.rooms.views import RoomsSnapshot, RoomView
from services.store.records import SessionRecord

TOPIC: Final = "rooms"
_GONE_LIMIT: Final = 10_000
_GONE_FOR_S: Final = 1.0  # a poll that began before a room was gone may still list it

_Tally = tuple[int, int]


def room_topic(name: str) -> str:
    """The hub's topic for one room's details."""
    return f"room:{name}"


@dataclass(slots=True)
class LiveRoom:
    """One open room: what LiveKit listed, what webhooks told, and how far both agree."""

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
        """The room as a viewer sees it."""
        return RoomView(
            room=self.room,
            seen_at=self.seen_at,
            session=self.session,
            participants=tuple(self.participants.values()),
            participants_known=self.known,
            dispatches=self.dispatches,
            ending=self.ending,
        )


class RoomsState:
    """Every open room by its name. On the runtime's loop; `snapshot` on any thread."""

    def __init__(self, hub: Hub, *, now: Now) -> None:
        self._hub = hub
        self._now = now
        self.live: dict[str, LiveRoom] = {}
        self._gone: OrderedDict[str, float] = OrderedDict()
        self._status = RoomsSnapshot()  # without rooms: when LiveKit answered, and its error
        self._rooms: tuple[RoomView, ...] = ()
        self._changed = False
        self._shown: RoomsSnapshot | None = None
        self._making = threading.Lock()
        hub.provide(TOPIC, self._table)

    @property
    def snapshot(self) -> RoomsSnapshot:
        """Every open room as last published; immutable, for any thread.

        Made when it is asked for: with thousands of rooms open, not for each change.
        """
        with self._making:
            if self._changed:
                self._changed = False  # first: what is published meanwhile changes it again
                every = list(self.live.values())  # in one step, whatever the loop's thread does
                self._rooms = tuple(live.shown or live.view() for live in every)
                self._shown = None
            if self._shown is None:
                self._shown = replace(self._status, rooms=self._rooms)
            return self._shown

    # -- changing it

    def add(self, room: Room) -> LiveRoom:
        """A room that was not known, or that took the place of another of its name."""
        live = self.live[room.name] = LiveRoom(room, self._now(), time.monotonic())
        return live

    def apply(self, event: Event) -> None:
        """Change the live picture by one event, in whatever order they come."""
        name, sid = event.room_name, event.room_sid
        if not name or sid in self._gone:
            if event.kind is not Kind.ROOM_STARTED or not name:
                return
            self._gone.pop(sid, None)
        if event.kind is Kind.ROOM_FINISHED:
            self._finish(name, sid)
            return
        live = self.live.get(name)
        if live is None or (sid and live.room.sid != sid):
            if not sid or event.kind not in _SHOWS_A_ROOM:
                return
            room = Room(name=name, sid=sid, created_at=event.at)
            live = self.live[name] = LiveRoom(room, event.received_at, time.monotonic())
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

    def attach(self, session: SessionRecord) -> None:
        """Show the session in its room, if that room is open."""
        live = self.live.get(session.room_name)
        if live is not None and live.room.sid == session.room_sid:
            live.session = session

    def show_agent_state(self, name: str, identity: str, word: str) -> None:
        """Show LiveKit's word for an agent's state, as its own recorder tells it at once."""
        live = self.live.get(name)
        if live is None:
            return
        for sid, participant in live.participants.items():
            if participant.identity == identity and participant.agent_state != word:
                attributes = {**participant.attributes, "lk.agent.state": word}
                live.participants[sid] = replace(participant, attributes=attributes)
                self.publish([name])
                return

    def still_listed(self, sid: str, began_s: float) -> bool:
        """Whether a list that was asked for at `began_s` names a room that is known to be gone."""
        gone_s = self._gone.get(sid)
        if gone_s is not None and began_s < gone_s + _GONE_FOR_S:
            return True
        self._gone.pop(sid, None)  # it is back: LiveKit reused its id
        return False

    def _finish(self, name: str, sid: str) -> None:
        live = self.live.get(name)
        if live is not None and live.room.sid == sid:
            del self.live[name]
        self._gone[sid] = time.monotonic()
        while len(self._gone) > _GONE_LIMIT:
            self._gone.popitem(last=False)

    # -- showing it

    def publish(self, names: Iterable[str]) -> None:
        """Make the snapshot anew and tell what differs."""
        now = self._now()
        upsert: dict[str, dict[str, Any]] = {}
        remove: list[str] = []
        for name in dict.fromkeys(names):
            live = self.live.get(name)
            if live is None:
                remove.append(name)
                self._hub.touch(room_topic(name))
                continue
            live.shown = live.view()
            if (row := live.shown.row(now)) != live.row:
                live.row = upsert[name] = row
                self._hub.touch(room_topic(name))
        self._changed = True
        if upsert or remove:
            self._hub.publish(TOPIC, upsert=upsert, remove=tuple(remove))
            self._hub.touch("overview")

    def checked(self) -> bool:
        """LiveKit has answered: what is shown is as of now. True when it had been away."""
        back = self._status.error is not None
        self._say(replace(self._status, taken_at=self._now(), error=None, error_since=None))
        if back:
            self._hub.touch("system")
            self._hub.touch("overview")
            self._hub.touch(TOPIC, **self._status.status())
        return back

    def lost(self, exc: SwitchboardError) -> bool:
        """LiveKit cannot be asked: say so above the last known rows. True for the first time."""
        first = self._status.error is None
        if first:
            self._hub.touch("system")
            self._hub.touch("overview")
        since = self._status.error_since or self._now()
        if self._status.error is None or self._status.error.message != exc.message:
            self._say(replace(self._status, error=exc, error_since=since))
            self._hub.touch(TOPIC, **self._status.status())
        return first

    def _say(self, status: RoomsSnapshot) -> None:
        with self._making:
            self._status, self._shown = status, None

    def _table(self) -> dict[str, Any]:
        """For each viewer who comes; so the rows are those that were told last."""
        rows = [live.row for live in list(self.live.values()) if live.row is not None]
        return {"rows": rows, **self._status.status()}


_BEGINS_A_ROOM: Final = {Kind.ROOM_STARTED, Kind.SESSION_CREATED}
_SHOWS_A_ROOM: Final = _BEGINS_A_ROOM | {
    Kind.PARTICIPANT_JOINED,
    Kind.PARTICIPANT_LEFT,  # it may be told before the join
    Kind.PARTICIPANT_ABORTED,
    Kind.TRACK_PUBLISHED,
}


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


def _change_track(live: LiveRoom, participant_sid: str, event: Event) -> None:
    participant = live.participants.get(participant_sid)
    facts = event.data.get("track")
    if participant is None or not isinstance(facts, dict):
        return
    track = Track(**facts)
    others = tuple(known for known in participant.tracks if known.sid != track.sid)
    tracks = (*others, track) if event.kind is Kind.TRACK_PUBLISHED else others
    live.participants[participant_sid] = replace(participant, tracks=tracks)
