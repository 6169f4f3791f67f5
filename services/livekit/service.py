"""LiveKitService: what we ask of LiveKit, in our words, with our errors and our models."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import aiohttp
from livekit import api

from services.errors import (
    ConflictError,
    InvalidInputError,
    LiveKitTimeoutError,
    LiveKitUnavailableError,
    NotFoundError,
    SwitchboardError,
)
from services.livekit.client import LiveKitClient, Reason
from services.livekit.limits import DATA_LIMIT_BYTES, check_metadata, check_name
from services.livekit.models import Dispatch, Participant, Room, Track
from services.livekit.target import LiveKitTarget
from services.livekit.tokens import Grants, MintedToken, TokenMinter, TokenRequest, check
from services.loop.batches import one_by_one

log = logging.getLogger(__name__)

_UNDONE_AGAIN_S: Final = (0.2, 1.0)
_PORTION: Final = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomOptions:
    """What CreateRoom takes. Zero seconds or people: LiveKit's default."""

    name: str
    empty_timeout_s: int = 0
    departure_timeout_s: int = 0
    max_participants: int = 0
    metadata: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceSessionOptions:
    """The LiveKit side of a voice session: its room, its agent, its first caller."""

    room: RoomOptions
    agent_name: str | None  # None: a room without an agent
    agent_metadata: str = ""
    identity: str
    participant_name: str = ""
    participant_metadata: str = ""
    participant_attributes: dict[str, str] = field(default_factory=dict)
    grants: Grants = field(default_factory=lambda: Grants(room_join=True))
    token_ttl: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKitVoiceSession:
    """A room that is open, its agent asked for, and a token for the caller."""

    room: Room
    token: MintedToken


class LiveKitService(LiveKitClient):
    """One client for the whole process, opened inside the running loop at the first call.

    Every method raises one of:
        LiveKitUnavailableError: not reachable (retryable).
        LiveKitTimeoutError: no answer within `timeout_s`; a write may have happened.
        LiveKitRejectedError: LiveKit said no, for example to our key.
        NotFoundError, ConflictError, InvalidInputError: about the object that was named.
    """

    def __init__(
        self,
        target: LiveKitTarget,
        minter: TokenMinter,
        *,
        timeout_s: float = 5.0,
        unavailable: Reason = lambda: None,
    ) -> None:
        super().__init__(target, timeout_s=timeout_s, unavailable=unavailable)
        self._minter = minter
        self._undoing: set[asyncio.Task[None]] = set()

    # -- sessions

    async def create_voice_session(self, options: VoiceSessionOptions) -> LiveKitVoiceSession:
        """Open the room, ask for the agent and mint the caller's token: all of it or nothing.

        One call does both: livekit-server 1.13.5 has dispatched the agents that CreateRoom
        names before it answers, and starts their jobs at once (measured: as soon as after
        CreateDispatch). `dispatch_of` tells the dispatch's id.

        The room's name must be new (`ids.room_name_for`): it is not looked up first. When no
        answer comes, the room is deleted again.
        """
        wanted = TokenRequest(
            identity=options.identity,
            room=options.room.name,
            name=options.participant_name,
            ttl=options.token_ttl,
            metadata=options.participant_metadata,
            attributes=options.participant_attributes,
            grants=options.grants,
        )
        check(wanted)  # what would be refused is refused before anything is opened
        agents: tuple[api.RoomAgentDispatch, ...] = ()
        if options.agent_name is not None:
            agents = (
                api.RoomAgentDispatch(
                    agent_name=options.agent_name, metadata=options.agent_metadata
                ),
            )
        opening = asyncio.ensure_future(self._create_room(options.room, agents))
        token: MintedToken | None = None
        try:
            await asyncio.sleep(0)  # the request is on its way: sign while LiveKit works
            token = self._minter.mint(wanted)
            room = await opening
        except (SwitchboardError, asyncio.CancelledError) as exc:
            opening.cancel()
            if token is None or _may_have_happened(exc):
                self.undo_room(options.room.name)
            raise
        return LiveKitVoiceSession(room=room, token=token)

    async def dispatch_of(self, room_name: str, agent_name: str, metadata: str) -> Dispatch:
        """LiveKit's record of the agent that `create_voice_session` asked for.

        Asked for anew where LiveKit holds none: an older server ignores the agents of CreateRoom.

        Raises:
            NotFoundError: the room has ended.
        """
        for dispatch in await self._dispatches(room_name):
            if dispatch.agent_name == agent_name:
                return dispatch
        return await self.create_dispatch(room_name, agent_name, metadata=metadata)

    async def get_room_info(self, name: str) -> Room:
        """The open room of that name.

        Raises:
            NotFoundError: no such room is open.
        """
        rooms = await self._read(
            "ListRooms", lambda lk: lk.room.list_rooms(api.ListRoomsRequest(names=[name]))
        )
        if not rooms.rooms:
            raise NotFoundError(
                f"Room {name!r} not found.", hint="It may have ended. See Sessions."
            )
        return Room.from_proto(rooms.rooms[0])

    async def end_session(self, room_name: str) -> bool:
        """End the session's room and see that it is gone; False: it was gone already."""
        return await self.end_room(room_name)

    def undo_room(self, name: str) -> None:
        """Delete in the background what a failed creation may have left open."""

        async def undo() -> None:
            # The request that nobody waits for any more may be carried out after the first.
            for pause_s in (0.0, *_UNDONE_AGAIN_S):
                await asyncio.sleep(pause_s)
                try:
                    await self.end_room(name)
                except SwitchboardError as exc:
                    log.warning(
                        "a half-created room may be left", extra={"room": name, "error": exc.code}
                    )

        aio_task = asyncio.get_running_loop().create_task(undo(), name=f"undo {name}")
        self._undoing.add(aio_task)
        aio_task.add_done_callback(self._undoing.discard)

    # -- rooms

    async def create_room(self, options: RoomOptions) -> Room:
        """Open a room under a name that is free.

        Raises:
            ConflictError: a room of that name is open; CreateRoom would overwrite its settings.
        """
        check_name(options.name, field="name")
        check_metadata(options.metadata)
        taken = await self._read(
            "ListRooms", lambda lk: lk.room.list_rooms(api.ListRoomsRequest(names=[options.name]))
        )
        if taken.rooms:
            raise ConflictError(
                f"Room {options.name!r} already exists.",
                hint="Choose another name, or leave the name empty.",
                field="name",
            )
        return await self._create_room(options)

    async def list_rooms(self) -> tuple[Room, ...]:
        """Every open room, newest first. One call; ListRooms has no paging."""
        reply = await self._read("ListRooms", lambda lk: lk.room.list_rooms(api.ListRoomsRequest()))
        rooms = [
            Room.from_proto(proto) async for proto in one_by_one(reply.rooms, portion=_PORTION)
        ]
        rooms.sort(key=_age, reverse=True)
        return tuple(rooms)

    async def end_room(self, name: str) -> bool:
        """Delete the room, put everybody out, and see that it is gone; False: it was gone.

        Raises:
            ConflictError: it came back at once, because somebody rejoined it.
        """
        existed = True
        try:
            await self._write("DeleteRoom", lambda lk: lk.room.delete_room(_delete(name)))
        except NotFoundError:
            existed = False
        except LiveKitTimeoutError:
            log.warning("no answer to DeleteRoom; reading back", extra={"room": name})
        left = await self._read(
            "ListRooms", lambda lk: lk.room.list_rooms(api.ListRoomsRequest(names=[name]))
        )
        if left.rooms:
            raise ConflictError(
                f"Room {name!r} is open again after you ended it.",
                hint="A participant with a valid token rejoined. End the room again.",
            )
        return existed

    async def update_room_metadata(self, name: str, metadata: str) -> Room:
        """Replace the room's metadata; everybody in the room is told.

        Raises:
            NotFoundError: no such room is open.
        """
        check_metadata(metadata)
        request = api.UpdateRoomMetadataRequest(room=name, metadata=metadata)
        async with self._in_room(name):
            proto = await self._write(
                "UpdateRoomMetadata", lambda lk: lk.room.update_room_metadata(request)
            )
        return Room.from_proto(proto)

    async def send_data(
        self, room_name: str, data: bytes, *, topic: str = "", identities: tuple[str, ...] = ()
    ) -> None:
        """Send a reliable data packet into the room, to all or to the named identities.

        Raises:
            NotFoundError: no such room is open; LiveKit would say nothing.
        """
        if len(data) > DATA_LIMIT_BYTES:
            raise InvalidInputError(
                f"The message has {len(data):,} bytes; {DATA_LIMIT_BYTES:,} is the limit.",
                hint="Send a shorter message.",
                field="data",
            )
        await self.get_room_info(room_name)
        request = api.SendDataRequest(
            room=room_name,
            data=data,
            kind=api.DataPacket.Kind.RELIABLE,
            destination_identities=identities,
            topic=topic,
        )
        await self._write("SendData", lambda lk: lk.room.send_data(request))

    # -- participants

    async def list_participants(self, room_name: str) -> tuple[Participant, ...]:
        """Everyone in the room, hidden ones too, in the order of joining."""
        request = api.ListParticipantsRequest(room=room_name)
        reply = await self._read("ListParticipants", lambda lk: lk.room.list_participants(request))
        found = [Participant.from_proto(participant) for participant in reply.participants]
        found.sort(key=lambda p: (p.joined_at.timestamp() if p.joined_at else 0.0, p.identity))
        return tuple(found)

    async def remove_participant(self, room_name: str, identity: str) -> None:
        """Put a participant out. Open-source LiveKit revokes nothing: its token stays valid."""
        request = api.RoomParticipantIdentity(room=room_name, identity=identity)
        await self._write("RemoveParticipant", lambda lk: lk.room.remove_participant(request))

    async def mute_track(
        self, room_name: str, identity: str, track_sid: str, *, muted: bool = True
    ) -> Track:
        """Mute a published track; unmuting needs `enable_remote_unmute` on the server."""
        request = api.MuteRoomTrackRequest(
            room=room_name, identity=identity, track_sid=track_sid, muted=muted
        )
        await self.get_room_info(room_name)  # else LiveKit thinks about it for three seconds
        async with self._in_room(room_name):
            reply = await self._write(
                "MutePublishedTrack", lambda lk: lk.room.mute_published_track(request)
            )
        return Track.from_proto(reply.track)

    # -- agents

    async def create_dispatch(
        self, room_name: str, agent_name: str, *, metadata: str = ""
    ) -> Dispatch:
        """Ask for an agent in the room. It is an answer even when no worker takes it.

        Raises:
            NotFoundError: no such room is open; LiveKit would open one.
        """
        await self.get_room_info(room_name)
        return await self._create_dispatch(room_name, agent_name, metadata)

    async def delete_dispatch(self, room_name: str, dispatch_id: str) -> None:
        """Take a dispatch back; one that is gone already is no error. Its job, if any, stays."""
        try:
            await self._write(
                "DeleteDispatch",
                lambda lk: lk.agent_dispatch.delete_dispatch(dispatch_id, room_name),
            )
        except NotFoundError:
            return

    async def list_dispatches(self, room_name: str) -> tuple[Dispatch, ...]:
        """Every dispatch of the room with its jobs. No job: no worker took it.

        Raises:
            NotFoundError: no such room is open.
        """
        await self.get_room_info(room_name)  # else LiveKit thinks about it for three seconds
        return await self._dispatches(room_name)

    # -- tokens and life

    def generate_token(self, request: TokenRequest) -> MintedToken:
        """A signed access token. Needs no server."""
        return self._minter.mint(request)

    async def close(self) -> None:
        """Release the connections. May be called again; calls after it raise."""
        if self._undoing:
            await asyncio.wait(self._undoing, timeout=self._timeout_s)
        await super().close()

    # -- inside

    async def _create_room(
        self, options: RoomOptions, agents: tuple[api.RoomAgentDispatch, ...] = ()
    ) -> Room:
        request = api.CreateRoomRequest(
            name=options.name,
            empty_timeout=options.empty_timeout_s,
            departure_timeout=options.departure_timeout_s,
            max_participants=options.max_participants,
            metadata=options.metadata,
            agents=agents,
        )
        return Room.from_proto(
            await self._write("CreateRoom", lambda lk: lk.room.create_room(request))
        )

    async def _create_dispatch(self, room_name: str, agent_name: str, metadata: str) -> Dispatch:
        request = api.CreateAgentDispatchRequest(
            room=room_name, agent_name=agent_name, metadata=metadata
        )
        proto = await self._write(
            "CreateDispatch", lambda lk: lk.agent_dispatch.create_dispatch(request)
        )
        return Dispatch.from_proto(proto)

    async def _dispatches(self, room_name: str) -> tuple[Dispatch, ...]:
        async with self._in_room(room_name):
            found = await self._read(
                "ListDispatch", lambda lk: lk.agent_dispatch.list_dispatch(room_name)
            )
        return tuple(Dispatch.from_proto(dispatch) for dispatch in found)

    @asynccontextmanager
    async def _in_room(self, name: str) -> AsyncIterator[None]:
        """Of a room that is not open LiveKit 1.13.5 says "unavailable": tell the two apart."""
        try:
            yield
        except LiveKitUnavailableError as exc:
            if isinstance(exc.__cause__, api.ServerError):
                await self.get_room_info(name)
            raise


def _may_have_happened(exc: BaseException) -> bool:
    """Whether a write that failed may have been carried out: it was sent, and not refused."""
    if isinstance(exc, LiveKitUnavailableError):
        sent = isinstance(exc.__cause__, aiohttp.ClientError | TimeoutError)
        return sent and not isinstance(exc.__cause__, aiohttp.ClientConnectorError)
    return isinstance(exc, asyncio.CancelledError)


def _age(room: Room) -> tuple[float, str]:
    return (room.created_at.timestamp() if room.created_at else 0.0, room.name)


def _delete(name: str) -> api.DeleteRoomRequest:
    return api.DeleteRoomRequest(room=name)
