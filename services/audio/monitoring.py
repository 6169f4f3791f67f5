"""Hearing rooms through the dashboard, for browsers that do not reach LiveKit's media ports.

One hidden participant a room, however many listen; each listener has a bounded buffer of its own.
Whoever is hidden keeps a room open and takes a place in it, so it leaves with the last person.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from livekit import rtc

from services.access.audit_log import AuditLog
from services.access.authorization import guarded
from services.access.permissions import Caller, Permission
from services.errors import ConflictError, LiveKitUnavailableError
from services.livekit.target import LiveKitTarget
from services.rooms.operations import RoomActions

log = logging.getLogger(__name__)

HZ: Final = 48_000
"""What is handed out: signed 16 bit, one channel."""
MOST: Final = 20
"""Rooms heard at once; each costs a connection to LiveKit."""
MOST_IN_A_ROOM: Final = 20

_FRAME_MS: Final = 20
_FRAME: Final = HZ * _FRAME_MS // 1000
_BEGIN: Final = 3  # frames that are there before a track is played: its jitter
_MOST_FRAMES: Final = 10  # then what is heard is late: the oldest go
_JOIN_S: Final = 10.0
_LEAVE_S: Final = 5.0
_ALONE_S: Final = 2.0
_FIRST_S: Final = 30.0  # for the player to begin
_IDLE_S: Final = 5.0  # a player that is made anew takes less
_LOOK_S: Final = 1.0
_PEOPLE: Final = {
    rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
    rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
}

_NOBODY: Final = "The room is empty. You were disconnected."
_ENDED: Final = "The room has ended."
_LOST: Final = "The connection to the room was lost."
_UNWANTED: Final = "The player was closed. You were disconnected."

Pcm = npt.NDArray[np.int16]


class Listening:
    """One who listens. `pull` may be called from any thread; so may `Listeners.leave`."""

    def __init__(self, room_name: str) -> None:
        self.room_name = room_name
        self.said = ""
        """Why it is over; "" while it is not."""
        self._lock = threading.Lock()
        self._wanted_until_s = time.monotonic() + _FIRST_S
        self._tracks: dict[str, deque[Pcm]] = {}
        self._playing: set[str] = set()

    @property
    def wanted(self) -> bool:
        """Whether somebody still takes what is heard: a player that goes away only stops."""
        return time.monotonic() < self._wanted_until_s

    def pull(self) -> Pcm:
        """The next 20 ms of all tracks together, silence where nothing came."""
        self._wanted_until_s = time.monotonic() + _IDLE_S
        mixed = np.zeros(_FRAME, np.int32)
        with self._lock:
            for track, frames in self._tracks.items():
                if len(frames) >= _BEGIN:
                    self._playing.add(track)
                if not frames:
                    self._playing.discard(track)
                elif track in self._playing:
                    mixed += frames.popleft()
        return np.clip(mixed, -32_768, 32_767).astype(np.int16)

    def push(self, track: str, frame: Pcm) -> None:
        """Take 20 ms of one track."""
        with self._lock:
            frames = self._tracks.setdefault(track, deque())
            frames.append(frame)
            if len(frames) > _MOST_FRAMES:
                while len(frames) > _BEGIN:
                    frames.popleft()

    def drop(self, track: str) -> None:
        """That track is over."""
        with self._lock:
            self._tracks.pop(track, None)
            self._playing.discard(track)


class Listeners:
    """Who hears rooms through this process; on the runtime's loop."""

    def __init__(self, actions: RoomActions, target: LiveKitTarget, audit: AuditLog) -> None:
        self.audit = audit
        self._actions = actions
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._ears: dict[str, _Ear] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @guarded(Permission.LISTEN, target="room_name")
    async def listen(self, room_name: str, *, actor: Caller) -> Listening:
        """Begin to hear the room, unheard and unseen; written down with who does it.

        Raises:
            NotFoundError: no such room is open.
            ConflictError: it is full, or too many are heard by this dashboard.
            LiveKitUnavailableError: its media ports are not reached from here.
        """
        minted = await self._actions.listen_in(room_name, actor=actor, through_dashboard=True)
        ear = self._ears.get(room_name)
        if ear is None:
            if len(self._ears) >= MOST:
                raise ConflictError(
                    f"The dashboard already relays {MOST} rooms, which is the limit.",
                    hint="Stop listening to another room, or listen without the relay.",
                )
            ear = self._ears[room_name] = _Ear(partial(self._stopped, room_name))
            ear.opening = asyncio.create_task(ear.open(self._target.url, minted.token))
        elif len(ear.listeners) >= MOST_IN_A_ROOM:
            raise ConflictError(
                f"The relay for this room already has {MOST_IN_A_ROOM} listeners, which is the limit.",
                hint="Listen without the relay.",
            )
        listening = Listening(room_name)
        ear.listeners.add(listening)
        try:
            await asyncio.shield(ear.opening)
        except BaseException:
            self._leave(listening)
            raise
        return listening

    async def run(self) -> None:
        """Let those leave whose player has gone, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for ear in list(self._ears.values()):
                for listening in [one for one in ear.listeners if not one.wanted]:
                    listening.said = _UNWANTED
                    self._leave(listening)

    def leave(self, listening: Listening) -> None:
        """Stop; the last one leaves the room. From any thread, and again."""
        self._loop.call_soon_threadsafe(self._leave, listening)

    async def close(self) -> None:
        """Leave every room."""
        for ear in list(self._ears.values()):
            self._end(ear, "The dashboard has stopped.")
        self._ears.clear()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _leave(self, listening: Listening) -> None:
        ear = self._ears.get(listening.room_name)
        if ear is None or listening not in ear.listeners:
            return
        ear.listeners.discard(listening)
        if not ear.listeners:
            del self._ears[listening.room_name]
            self._end(ear, "")

    def _stopped(self, room_name: str, ear: _Ear, said: str) -> None:
        """The room, or who was in it, has gone."""
        if self._ears.get(room_name) is ear:
            del self._ears[room_name]
        self._end(ear, said)

    def _end(self, ear: _Ear, said: str) -> None:
        ending = asyncio.create_task(ear.close(said))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


class _Ear:
    """The hidden participant in one room."""

    def __init__(self, stopped: Callable[[_Ear, str], None]) -> None:
        self.listeners: set[Listening] = set()
        self.opening: asyncio.Task[None]
        self._stopped = stopped
        self._room = rtc.Room()
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._closed = False
        self._alone: asyncio.TimerHandle | None = None

    async def open(self, url: str, token: str) -> None:
        room = self._room
        room.on("track_subscribed", self._heard)
        room.on("track_unsubscribed", lambda track, *_: self._unheard(track.sid))
        room.on("participant_disconnected", lambda _: self._look())
        room.on("participant_connected", lambda _: self._look())
        room.on("disconnected", self._disconnected)
        try:
            async with asyncio.timeout(_JOIN_S):
                await room.connect(url, token, rtc.RoomOptions(auto_subscribe=True))
        except (rtc.ConnectError, TimeoutError) as exc:
            raise LiveKitUnavailableError(
                "The dashboard could not join the room to relay its audio.",
                hint="The dashboard's machine must be able to reach LiveKit's media ports.",
            ) from exc
        self._look()

    async def close(self, said: str) -> None:
        """Leave the room, or stop joining it; may be called again."""
        if self._closed:
            return
        self._closed = True
        if self._alone is not None:
            self._alone.cancel()
        self.opening.cancel()
        for listening in self.listeners:
            listening.said = listening.said or said
        for reader in self._readers.values():
            reader.cancel()
        await asyncio.gather(*self._readers.values(), return_exceptions=True)
        async with asyncio.timeout(_LEAVE_S):
            await self._room.disconnect()

    def _heard(
        self, track: rtc.Track, _: rtc.RemoteTrackPublication, __: rtc.RemoteParticipant
    ) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._readers[track.sid] = reader = asyncio.create_task(self._read(track))
            reader.add_done_callback(_tell)

    def _unheard(self, sid: str) -> None:
        if (reader := self._readers.pop(sid, None)) is not None:
            reader.cancel()

    async def _read(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(
            track, capacity=_MOST_FRAMES, sample_rate=HZ, num_channels=1, frame_size_ms=_FRAME_MS
        )
        try:
            async for event in stream:
                frame = np.frombuffer(event.frame.data, np.int16)
                for listening in self.listeners:
                    listening.push(track.sid, frame)
        finally:
            for listening in self.listeners:
                listening.drop(track.sid)
            await stream.aclose()

    def _look(self) -> None:
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None
        if not self._people():
            loop = asyncio.get_running_loop()
            self._alone = loop.call_later(_ALONE_S, self._stop, _NOBODY)

    def _people(self) -> bool:
        return any(one.kind in _PEOPLE for one in self._room.remote_participants.values())

    def _disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        over = {rtc.DisconnectReason.ROOM_DELETED, rtc.DisconnectReason.ROOM_CLOSED}
        self._stop(_ENDED if reason in over else _LOST)

    def _stop(self, said: str) -> None:
        if not self._closed:
            self._stopped(self, said)


def _tell(reader: asyncio.Task[None]) -> None:
    if not reader.cancelled() and (error := reader.exception()) is not None:
        log.warning("a track is heard no more", exc_info=error)
