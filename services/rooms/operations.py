"""What an operator does to a room: done, verified, and written down with who did it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from services.access.audit_log import AuditLog
from services.access.authorization import guarded, note
from services.access.permissions import SYSTEM_PRINCIPAL, Caller, Permission
from services.clock import Now
from services.errors import ConflictError, StoreUnavailableError, SwitchboardError
from services.events import Event, Kind, Source
from services.ids import OBSERVER_PREFIX, new_identity, session_id_in
from services.live.hub import Hub
from services.livekit.limits import check_metadata
from services.livekit.models import Dispatch, Room, Track
from services.livekit.service import LiveKitService
from services.livekit.tokens import Grants, MintedToken, TokenRequest
from services.rooms.watcher import Rooms, room_topic
from services.store.records import Denial, SessionRecord
from services.store.store import Store

log = logging.getLogger(__name__)

_AT_ONCE: Final = 8
_LISTENING_TTL: Final = timedelta(minutes=2)
KEEP_OUT: Final = timedelta(hours=6)  # livekit-api gives tokens six hours unless told otherwise


class RoomActions:
    """Writes to rooms. Each raises what `LiveKitService` raises, after writing it down."""

    def __init__(
        self,
        livekit: LiveKitService,
        rooms: Rooms,
        store: Store,
        hub: Hub,
        audit: AuditLog,
        *,
        now: Now,
    ) -> None:
        self._livekit = livekit
        self._rooms = rooms
        self._store = store
        self._hub = hub
        self.audit = audit
        self._now = now

    @guarded(Permission.ROOMS, target="name")
    async def end(
        self,
        name: str,
        *,
        actor: Caller,
        reason: str,
        expired: bool = False,
        session: SessionRecord | None = None,
    ) -> bool:
        """End a room, put everybody out and see that it is gone. False: it was gone already.

        `session`: the one in the room, where the caller knows it. A room whose name can come
        back is kept closed for six hours: tokens already handed out stay valid at open-source
        LiveKit, and would open it again.

        Raises:
            NotFoundError: no such room is open. Its name stays free.
        """
        view = self._rooms.snapshot.get(name)
        if view is None and session is None:
            await self._livekit.get_room_info(name)
        if session is None and view is not None:
            session = view.session
        sid = view.room.sid if view is not None else session.room_sid if session is not None else ""
        session_id = session.id if session is not None else None
        self._rooms.mark_ending(name, ending=True)
        note(reason=reason, session=session_id)
        asked = self._event(
            Kind.SESSION_ENDING, name, sid, session_id, actor, reason=reason, expired=expired
        )
        await self._rooms.write_down(asked)
        if session_id_in(name) is None:
            await self.keep_closed(name, "The room was ended.")
        try:
            existed = await self._livekit.end_room(name)
        except SwitchboardError:
            self._rooms.mark_ending(name, ending=False)
            raise
        if sid:
            gone = self._event(
                Kind.ROOM_FINISHED, name, sid, session_id, SYSTEM_PRINCIPAL, reason=reason
            )
            await self._rooms.write_down(gone)
        return existed

    @guarded(Permission.ROOMS, target="names")
    async def end_many(
        self, names: Sequence[str], *, actor: Caller, reason: str
    ) -> tuple[str, ...]:
        """End several rooms, eight at a time; gives those that were ended or gone already.

        Raises:
            SwitchboardError: the first failure, after all were tried; it names those left open.
        """
        gate = asyncio.Semaphore(_AT_ONCE)
        failed: dict[str, SwitchboardError] = {}

        async def end(name: str) -> None:
            async with gate:
                try:
                    await self.end(name, actor=actor, reason=reason)
                except SwitchboardError as exc:
                    failed[name] = exc

        async with asyncio.TaskGroup() as tasks:
            for name in names:
                tasks.create_task(end(name))
        if failed:
            first = next(iter(failed.values()))
            left = ", ".join(list(failed)[:5])
            first.hint = f"Still open: {left}{' and more' if len(failed) > 5 else ''}. {first.hint}"
            raise first
        return tuple(names)

    async def keep_closed(self, name: str, reason: str) -> None:
        """End the room whenever it is opened in the next six hours."""
        await self._deny(name, "", reason)

    @guarded(Permission.ROOMS, target="room_name")
    async def remove_participant(
        self, room_name: str, identity: str, *, actor: Caller, keep_out: bool = True
    ) -> None:
        """Put a participant out; with `keep_out`, again whenever it rejoins in the next 6 hours."""
        async with self._written_down("remove_participant", room_name, actor, identity=identity):
            if keep_out:
                await self._deny(room_name, identity, "Removed by an operator.")
            await self._livekit.remove_participant(room_name, identity)

    @guarded(Permission.ROOMS, target="room_name")
    async def unblock(self, room_name: str, identity: str, *, actor: Caller) -> None:
        """Let a participant, or with "" everybody, join again."""
        async with self._written_down("unblock", room_name, actor, identity=identity):
            await self._store.allow(room_name, identity)

    @guarded(Permission.LISTEN, target="room_name")
    async def listen_in(
        self, room_name: str, *, actor: Caller, through_dashboard: bool = False
    ) -> MintedToken:
        """A token to hear the room without being heard or seen, good for some minutes to join by.

        `through_dashboard`: the sound takes the way through this process; it is written down.

        Raises:
            NotFoundError: no such room is open.
            ConflictError: it is full: even who is hidden takes a place in it.
        """
        identity = new_identity(OBSERVER_PREFIX)
        facts = {"identity": identity, "through_dashboard": through_dashboard}
        async with self._written_down("listen_in", room_name, actor, **facts):
            await self._place_for_one_more(room_name)
            return self._livekit.generate_token(
                TokenRequest(
                    identity=identity,
                    room=room_name,
                    name=actor.name,
                    ttl=_LISTENING_TTL,
                    grants=Grants(
                        room_join=True, hidden=True, can_publish=False, can_publish_data=False
                    ),
                )
            )

    @guarded(Permission.JOIN, target="room_name")
    async def join_as_person(self, room_name: str, *, actor: Caller) -> MintedToken:
        """A token to join as one whom everybody sees and hears, good for some minutes to join by.

        Raises:
            NotFoundError: no such room is open.
            ConflictError: it is full.
        """
        identity = new_identity(actor.name)
        async with self._written_down("join_as_person", room_name, actor, identity=identity):
            await self._place_for_one_more(room_name)
            return self._livekit.generate_token(
                TokenRequest(
                    identity=identity,
                    room=room_name,
                    name=actor.name,
                    ttl=_LISTENING_TTL,
                    grants=Grants(room_join=True, can_publish_sources=("microphone",)),
                )
            )

    @guarded(Permission.ROOMS, target="room_name")
    async def mute_track(
        self, room_name: str, identity: str, track_sid: str, *, muted: bool, actor: Caller
    ) -> Track:
        """Mute a track, or unmute it where the server allows that."""
        facts = {"identity": identity, "track_sid": track_sid, "muted": muted}
        async with self._written_down("mute_track", room_name, actor, **facts):
            return await self._livekit.mute_track(room_name, identity, track_sid, muted=muted)

    @guarded(Permission.ROOMS, target="room_name")
    async def send_message(
        self,
        room_name: str,
        text: str,
        *,
        topic: str = "",
        identities: tuple[str, ...] = (),
        actor: Caller,
    ) -> None:
        """Send a data packet with this text, to all or to some. The text is not kept."""
        facts = {"topic": topic, "to": list(identities), "bytes": len(text.encode())}
        async with self._written_down("send_data", room_name, actor, **facts):
            await self._livekit.send_data(
                room_name, text.encode(), topic=topic, identities=identities
            )

    @guarded(Permission.ROOMS, target="room_name")
    async def update_metadata(self, room_name: str, metadata: str, *, actor: Caller) -> Room:
        """Replace the room's metadata."""
        check_metadata(metadata)
        view = self._rooms.snapshot.get(room_name)
        note(before=view.room.metadata if view is not None else None, after=metadata)
        async with self._written_down("update_room_metadata", room_name, actor):
            return await self._livekit.update_room_metadata(room_name, metadata)

    @guarded(Permission.ROOMS, target="room_name")
    async def create_dispatch(
        self, room_name: str, agent_name: str, *, metadata: str = "", actor: Caller
    ) -> Dispatch:
        """Ask for an agent in the room."""
        facts = {"agent_name": agent_name}
        async with self._written_down("create_dispatch", room_name, actor, **facts):
            return await self._livekit.create_dispatch(room_name, agent_name, metadata=metadata)

    @guarded(Permission.TOKENS)
    async def mint_token(self, request: TokenRequest, *, actor: Caller) -> MintedToken:
        """An access token as asked for. Needs no server.

        Raises:
            InvalidInputError: the request cannot be signed as it is.
        """
        note(target=request.room or request.identity, identity=request.identity)
        return self._livekit.generate_token(request)

    # -- inside

    async def _place_for_one_more(self, room_name: str) -> None:
        room = await self._livekit.get_room_info(room_name)
        there = await self._livekit.list_participants(room_name)
        if room.max_participants and len(there) >= room.max_participants:
            raise ConflictError(
                "The room is full. Hidden participants count, too.",
                hint="Wait until a participant leaves, or create rooms with a higher limit.",
            )

    async def _deny(self, room_name: str, identity: str, reason: str) -> None:
        until = self._now() + KEEP_OUT
        try:
            await self._store.deny(
                Denial(room_name=room_name, identity=identity, until=until, reason=reason)
            )
        except StoreUnavailableError as exc:
            log.warning("the deny list was not written", extra={"error": exc.code})

    @asynccontextmanager
    async def _written_down(
        self, action: str, room_name: str, actor: Caller, **facts: Any
    ) -> AsyncIterator[None]:
        note(**facts)
        outcome = "cancelled"
        try:
            yield
            outcome = "done"
        except SwitchboardError as exc:
            outcome = exc.code
            raise
        finally:
            view = self._rooms.snapshot.get(room_name)
            await self._rooms.write_down(
                self._event(
                    Kind.OPERATOR_ACTION,
                    room_name,
                    view.room.sid if view is not None else "",
                    view.session.id if view is not None and view.session is not None else None,
                    actor,
                    action=action,
                    outcome=outcome,
                    **facts,
                )
            )
        self._rooms.look_again()
        self._hub.touch(room_topic(room_name))

    def _event(
        self,
        kind: Kind,
        room_name: str,
        room_sid: str,
        session_id: str | None,
        actor: Caller,
        **data: Any,
    ) -> Event:
        now = self._now()
        return Event(
            kind=kind,
            at=now,
            received_at=now,
            source=Source.SYSTEM if actor.via == "ours" else Source.OPERATOR,
            session_id=session_id,
            room_name=room_name,
            room_sid=room_sid,
            actor=actor.name,
            data=data,
        )
