"""What LiveKit lists against the picture: what no webhook told becomes an inferred event.

Lists are gone through in portions, so webhooks may change the picture meanwhile. What both tell
is folded into one; what came after the list was asked for is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from services.clock import rfc3339
from services.events import Event, Kind, Provenance, Source
from services.livekit.models import ConnectionState, Participant, Room
from services.livekit.webhooks import participant_facts, room_facts
from services.loop.batches import one_by_one
from services.rooms.state import LiveRoom, RoomsState
from services.store.records import SessionRecord


async def at_start(
    picture: RoomsState, rooms: Iterable[Room], left_open: Iterable[SessionRecord], now: datetime
) -> list[Event]:
    """What ended while we were down; sessions that go on are taken up again."""
    listed = {room.sid: room for room in rooms}
    events: list[Event] = []
    async for session in one_by_one(left_open):
        room = listed.get(session.room_sid)
        if room is not None:
            known = picture.live.get(room.name)
            if known is None or known.room.sid != room.sid:  # else a webhook was faster
                live = picture.add(room)
                live.announced, live.session = True, session
                live.doubt = 2  # who came and went meanwhile is not known
            continue
        events.append(
            _inferred(
                Kind.ROOM_FINISHED,
                now,
                room_name=session.room_name,
                room_sid=session.room_sid,
                session_id=session.id,
                data={
                    "reason": "Ended while Switchboard was not running.",
                    "not_before": rfc3339(session.last_event_at),
                },
            )
        )
    return events


async def compare(
    picture: RoomsState,
    rooms: Iterable[Room],
    now: datetime,
    *,
    began_s: float,
    patience: int,
    was_away: bool,
) -> list[Event]:
    """Which rooms began and ended unseen; the picture learns the rooms and their counts.

    `patience`: polls that a webhook may take longer. `was_away`: LiveKit could not be asked
    the last time.
    """
    events: list[Event] = []
    listed: set[str] = set()
    async for room in one_by_one(rooms):
        if picture.still_listed(room.sid, began_s):
            continue
        listed.add(room.name)
        live = picture.live.get(room.name)
        if live is not None and live.room.sid != room.sid:  # the name came back
            # our names are never used again: whoever was in it came back to a server that lost it
            lost = was_away or (live.session is not None and live.session.ours)
            events.append(
                _end(live, now, "Another room with this name was created.", was_away=lost)
            )
            live = None
        if live is None:
            live = picture.add(room)
        if live.room != room:
            live.room = room
        live.missing = 0
        live.polls += 1
        if not live.announced and live.polls >= patience:
            live.announced = True
            events.append(_start(live, now))
        live.doubt = live.doubt + 1 if live.in_doubt() else 0
    async for name, live in one_by_one(picture.live.items(), portion=1000):
        if name in listed or live.seen_s > began_s or picture.live.get(name) is not live:
            continue
        live.missing += 1
        if live.missing >= patience or was_away:
            events.append(_end(live, now, "", was_away=was_away))
    return events


def take_participants(
    live: LiveRoom, found: Iterable[Participant], before: set[str], now: datetime
) -> list[Event]:
    """Who came and left unseen; the room learns who is in it.

    `found` is LiveKit's answer, `before` the participant sids known when it was asked.
    """
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
    events = [_about(live, Kind.PARTICIPANT_JOINED, p, p.joined_at or now, now) for p in joined]
    return events + [_about(live, Kind.PARTICIPANT_LEFT, p, now, now) for p in gone]


def _start(live: LiveRoom, now: datetime) -> Event:
    return _inferred(
        Kind.ROOM_STARTED,
        now,
        at=live.room.created_at,
        room_name=live.room.name,
        room_sid=live.room.sid,
        data=room_facts(live.room),
    )


def _end(live: LiveRoom, now: datetime, reason: str, *, was_away: bool) -> Event:
    lost = was_away and any(p.is_person for p in live.participants.values())
    if not reason:
        reason = (
            "The room no longer existed when LiveKit was available again."
            if was_away
            else "LiveKit no longer lists the room."
        )
    return _inferred(
        Kind.ROOM_FINISHED,
        now,
        room_name=live.room.name,
        room_sid=live.room.sid,
        session_id=_session_id(live),
        data={"reason": reason, "lost": lost},
    )


def _about(
    live: LiveRoom, kind: Kind, participant: Participant, at: datetime, now: datetime
) -> Event:
    return _inferred(
        kind,
        now,
        at=at,
        room_name=live.room.name,
        room_sid=live.room.sid,
        session_id=_session_id(live),
        identity=participant.identity,
        data=participant_facts(participant),
    )


def _session_id(live: LiveRoom) -> str | None:
    return live.session.id if live.session is not None else None


def _inferred(kind: Kind, now: datetime, *, at: datetime | None = None, **rest: Any) -> Event:
    return Event(
        kind=kind,
        at=at or now,
        received_at=now,
        source=Source.POLL,
        certainty=Provenance.INFERRED,
        **rest,
    )
