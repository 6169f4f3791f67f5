"""Voice sessions: created whole or not at all, ended for certain, and kept ended."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from services.access.audit_log import AuditLog
from services.access.authorization import guarded, note
from services.access.permissions import SYSTEM_PRINCIPAL, Caller, Permission
from services.clock import Now, rfc3339
from services.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    StoreUnavailableError,
    SwitchboardError,
)
from services.events import Event, Kind, Source
from services.graphs import Graphs
from services.ids import SessionId, new_identity, new_session_id, room_name_for, session_id_in
from services.livekit.limits import check_attributes, check_metadata, check_name
from services.livekit.service import LiveKitService, RoomOptions, VoiceSessionOptions
from services.livekit.tokens import Grants, MintedToken, TokenRequest
from services.rooms.operations import RoomActions
from services.rooms.watcher import Rooms
from services.settings import Settings
from services.store.batch import CommittedEvent
from services.store.projections import fold
from services.store.records import Origin, SessionRecord
from services.store.store import Store

log = logging.getLogger(__name__)

_TICK_S: Final = 1.0
_RETRY_S: Final = 5.0
_HOUSEKEEPING_S: Final = 3600.0
_AFTER_ANSWER_S: Final = 0.05  # what need not be in the answer must not hold it up
_CONFIRM_TRIES: Final = 3
_JOINS: Final = {Kind.PARTICIPANT_JOINED, Kind.ROOM_STARTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """What a caller asks for. `agent_name` None: a room without an agent."""

    user_id: str
    agent_name: str | None
    duration: timedelta | None  # None: no end of its own
    identity: str | None = None  # None: made from the user id
    participant_name: str = ""
    participant_metadata: str = ""
    participant_attributes: Mapping[str, str] = field(default_factory=dict)
    agent_metadata: str = ""  # a JSON object gets `session_id`, `user_id` and `mode` added
    mode: Literal["voice", "text"] = "voice"
    room_name: str | None = None  # None: a new one that is never used again
    room_metadata: str = ""  # a JSON object or nothing; we add `switchboard` to it
    empty_timeout: timedelta | None = None
    departure_timeout: timedelta | None = None
    max_participants: int = 0

    def digest(self) -> str:
        """The same for the same wishes: two requests with one Idempotency-Key must match."""
        values = [self.user_id, self.agent_name, str(self.duration), self.identity]
        values += [self.participant_name, self.participant_metadata, self.agent_metadata]
        values += [self.room_name, self.room_metadata, str(self.max_participants)]
        values += [str(self.empty_timeout), str(self.departure_timeout)]
        values += [json.dumps(dict(self.participant_attributes), sort_keys=True)]
        values += [self.mode] if self.mode != "voice" else []  # keys from before there was a mode
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedSession:
    """A session and a token for its caller. `repr` does not show the token."""

    session: SessionRecord
    token: MintedToken


class Sessions:
    """Use cases of sessions; on the runtime's loop."""

    def __init__(
        self,
        settings: Settings,
        livekit: LiveKitService,
        rooms: Rooms,
        actions: RoomActions,
        store: Store,
        graphs: Graphs,
        audit: AuditLog,
        *,
        now: Now,
    ) -> None:
        self.audit = audit
        self._settings = settings
        self._livekit = livekit
        self._rooms = rooms
        self._actions = actions
        self._store = store
        self._graphs = graphs
        self._now = now
        self._ends: dict[SessionId, tuple[str, datetime | None]] = {}  # open ones of ours
        self._wanted_ends: dict[SessionId, tuple[str, Caller]] = {}  # room, actor
        self._retry_at_s: dict[SessionId, float] = {}
        self._creating: dict[str, asyncio.Lock] = {}
        self._aio_tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.farewell: Callable[[SessionRecord], Awaitable[None]] | None = None
        """Lets an agent say good-bye before its session is ended because its time is over."""
        store.log.subscribe(self._committed)

    # -- use cases

    @guarded(Permission.TEST)
    async def create(
        self,
        wanted: NewSession,
        *,
        origin: Origin,
        actor: Caller,
        idempotency_key: str | None = None,
    ) -> CreatedSession:
        """A new session: room open, agent asked for, row written, token minted.

        With `idempotency_key`, the same request gives the same session again, also after a
        restart, with a fresh token.

        Raises:
            InvalidInputError: a value cannot be used; `field` names it.
            ConflictError: the key was used for another request, or the room's name is taken.
            LiveKitUnavailableError, StoreUnavailableError: nothing was created.
        """
        note(agent=wanted.agent_name, user=wanted.user_id)
        self._check(wanted)
        if self._store.log.last_error:
            raise StoreUnavailableError(
                "The database takes no writes now, so no session can be kept.",
                hint=f"Last error: {self._store.log.last_error}",
            )
        if idempotency_key is None:
            return await self._create(new_session_id(), wanted, origin, actor)
        if actor.via == "key":  # one program does not meet another's sessions by its key
            idempotency_key = hashlib.sha256(
                json.dumps([actor.name, idempotency_key]).encode()
            ).hexdigest()
        async with self._lock(idempotency_key):
            mine, fresh_id = wanted.digest(), new_session_id()
            claimed, session_id = await self._store.claim_key(
                idempotency_key, mine, fresh_id, self._now()
            )
            if claimed != mine:
                raise ConflictError(
                    "This Idempotency-Key was used for a different request.",
                    hint="Send the same body again, or use a new key.",
                    field="Idempotency-Key",
                )
            try:
                session = await self._store.session(session_id)
            except NotFoundError:
                if session_id != fresh_id:  # that creation failed, or we died in it
                    await self._store.renew_key(idempotency_key, session_id, fresh_id)
                return await self._create(fresh_id, wanted, origin, actor)
            token = self._token_for(
                session,
                name=wanted.participant_name,
                metadata=wanted.participant_metadata,
                attributes=wanted.participant_attributes,
            )
            return CreatedSession(session=session, token=token)

    async def get(self, session_id: str) -> SessionRecord:
        """The session. Raises NotFoundError."""
        return await self._store.session(session_id)

    @guarded(Permission.TEST, target="session_id")
    async def end(
        self, session_id: str, *, actor: Caller, reason: str, expired: bool = False
    ) -> SessionRecord:
        """End the session for certain; one that has ended is given back as it is.

        Raises:
            NotFoundError: no such session.
            LiveKitUnavailableError: it goes on for now and is ended as soon as LiveKit answers.
        """
        session = await self._store.session(session_id)
        await self._check_theirs(session, actor)
        if not session.status.is_open:
            return session
        note(reason=reason)
        try:
            await self._actions.end(
                session.room_name, session=session, actor=actor, reason=reason, expired=expired
            )
        except SwitchboardError:
            self._wanted_ends[session.id] = (session.room_name, actor)
            raise
        return await self._store.session(session_id)

    @guarded(Permission.END, target="session_id")
    async def extend(self, session_id: str, by: timedelta, *, actor: Caller) -> SessionRecord:
        """Give an open session more time, counted from its present end.

        Raises:
            ConflictError: it is over, is being ended, or has no end of its own.
            InvalidInputError: more than a session may last from now on.
        """
        session = await self._store.session(session_id)
        if not session.status.is_open or session.data.get("ending") or not session.expires_at:
            raise ConflictError(
                f"Session {session.id} has no time that could be extended.",
                hint="It is over or being ended, or it has no end of its own.",
            )
        now, expires_at = self._now(), session.expires_at + by
        most = self._settings.switchboard_session_max_hours
        if not timedelta(0) < by or expires_at - now > timedelta(hours=most):
            raise InvalidInputError(
                f"A session may go on for at most {most:g} hours from now.",
                hint="SWITCHBOARD_SESSION_MAX_HOURS sets the most.",
                field="by",
            )
        extended = Event(
            kind=Kind.SESSION_EXTENDED,
            at=now,
            received_at=now,
            source=Source.OPERATOR,
            session_id=session.id,
            room_name=session.room_name,
            room_sid=session.room_sid,
            actor=actor.name,
            data={"expires_at": rfc3339(expires_at), "by_s": by.total_seconds()},
        )
        note(before=rfc3339(session.expires_at), after=rfc3339(expires_at))
        await self._rooms.take(extended)
        return await self._store.session(session_id)

    @guarded(Permission.TEST, target="session_id")
    async def token(
        self, session_id: str, *, identity: str | None = None, actor: Caller
    ) -> CreatedSession:
        """A fresh join token for an open session.

        Raises:
            ConflictError: the session is over.
        """
        session = await self._store.session(session_id)
        await self._check_theirs(session, actor)
        note(identity=identity or session.identity)
        return CreatedSession(session=session, token=self._token_for(session, identity=identity))

    # -- background

    async def run(self) -> None:
        """End what is over, try again what could not be ended, tidy up once an hour."""
        tidy_at_s, resumed = 0.0, False
        while True:
            resumed = resumed or await self._resume()
            await self.reap()
            if time.monotonic() >= tidy_at_s:
                tidy_at_s = time.monotonic() + _HOUSEKEEPING_S
                await self._tidy()
            await asyncio.sleep(_TICK_S)

    async def close(self) -> None:
        """Stop what is under way; events that are committed from now on start nothing."""
        self._closing = True
        for aio_task in self._aio_tasks:
            aio_task.cancel()
        await asyncio.gather(*self._aio_tasks, return_exceptions=True)

    async def _resume(self) -> bool:
        """Take up the sessions that were open when we last stopped; False: not readable yet."""
        try:
            found = await self._store.open_sessions()
        except StoreUnavailableError as exc:
            log.warning("open sessions were not read yet", extra={"error": exc.code})
            return False
        for session in found:
            if session.ours:
                self._ends[session.id] = (session.room_name, session.expires_at)
            if session.data.get("ending"):
                self._wanted_ends[session.id] = (session.room_name, SYSTEM_PRINCIPAL)
        return True

    async def reap(self) -> None:
        """End every session whose time is over, and those whose end was asked for and failed."""
        now, now_s = self._now(), time.monotonic()
        due = {
            session_id: (SYSTEM_PRINCIPAL, "Its time was over.", True)
            for session_id, (_, expires_at) in self._ends.items()
            if expires_at is not None and expires_at <= now
        }
        for session_id, (_, actor) in self._wanted_ends.items():
            due.setdefault(session_id, (actor, "", False))
        await self._farewells(
            [
                session_id
                for session_id, (_, _, expired) in due.items()
                if expired and session_id not in self._retry_at_s
            ]
        )
        for session_id, (actor, reason, expired) in due.items():
            if self._retry_at_s.get(session_id, 0.0) > now_s:
                continue
            try:
                await self.end(session_id, actor=actor, reason=reason, expired=expired)
            except NotFoundError:
                log.warning("a session to be ended is unknown", extra={"session": session_id})
            except SwitchboardError as exc:
                self._retry_at_s[session_id] = now_s + _RETRY_S
                log.warning(
                    "a session could not be ended yet",
                    extra={"session": session_id, "error": exc.code},
                )
                if exc.retryable:
                    return  # the others would wait for the same
                continue
            self._ends.pop(session_id, None)
            self._wanted_ends.pop(session_id, None)
            self._retry_at_s.pop(session_id, None)

    # -- inside

    async def _farewells(self, session_ids: list[SessionId]) -> None:
        """Let the agents of sessions whose time is over say good-bye, all of them at once."""
        farewell = self.farewell
        if farewell is None or not session_ids:
            return

        async def say(session_id: SessionId) -> None:
            try:
                session = await self._store.session(session_id)
                if session.status.is_open:
                    await farewell(session)
            except SwitchboardError as exc:
                log.warning("an agent could not say good-bye", extra={"error": exc.code})

        async with asyncio.TaskGroup() as tasks:
            for session_id in session_ids:
                tasks.create_task(say(session_id))

    async def _check_theirs(self, session: SessionRecord, actor: Caller) -> None:
        """Testers handle what they began; what others began takes more. Raises PermissionDeniedError."""
        if actor.may(Permission.END):
            return
        created = await self._store.latest_of(session.id, (Kind.SESSION_CREATED,))
        if (begun := created.get(Kind.SESSION_CREATED)) and begun.event.actor == actor.name:
            return
        actor.check(Permission.END)

    def _check(self, wanted: NewSession) -> None:
        check_name(wanted.user_id, field="user_id")
        if wanted.agent_name is not None:
            self._graphs.known(wanted.agent_name)
        if wanted.identity is not None:
            check_name(wanted.identity, field="participant_identity")
        if wanted.room_name is not None:
            check_name(wanted.room_name, field="room_name")
        most = self._settings.switchboard_session_max_hours
        if wanted.duration is not None and not (
            timedelta(0) < wanted.duration <= timedelta(hours=most)
        ):
            raise InvalidInputError(
                f"A session may last more than 0 and at most {most:g} hours.",
                hint="SWITCHBOARD_SESSION_MAX_HOURS sets the most.",
                field="session_duration_hours",
            )
        check_metadata(wanted.participant_metadata, field="participant_metadata")
        check_attributes(wanted.participant_attributes, field="participant_attributes")
        check_metadata(wanted.agent_metadata, field="agent_metadata")
        check_metadata(wanted.room_metadata, as_json=True, field="metadata")
        if wanted.room_metadata and not isinstance(json.loads(wanted.room_metadata), dict):
            raise InvalidInputError(
                "The room's metadata is not a JSON object.",
                hint='Write it like {"key": "value"}.',
                field="metadata",
            )

    async def _create(
        self, session_id: SessionId, wanted: NewSession, origin: Origin, actor: Caller
    ) -> CreatedSession:
        now = self._now()
        expires_at = now + wanted.duration if wanted.duration is not None else None
        room_name = wanted.room_name or room_name_for(session_id, wanted.agent_name or "room")
        identity = wanted.identity or new_identity(wanted.user_id)
        options = self._options(session_id, wanted, room_name, identity, expires_at)
        if wanted.room_name is not None:
            await self._refuse_taken(wanted.room_name)
        try:
            made = await self._livekit.create_voice_session(options)
        except SwitchboardError as exc:
            if exc.retryable:  # LiveKit may carry out later what it did not answer
                await self._actions.keep_closed(room_name, "Its session was not created.")
            await self._note_failure(wanted, room_name, actor, exc)
            raise
        event = Event(
            kind=Kind.SESSION_CREATED,
            at=now,
            received_at=self._now(),
            source=Source.API if origin is Origin.API else Source.OPERATOR,
            session_id=session_id,
            room_name=room_name,
            room_sid=made.room.sid,
            identity=identity,
            actor=actor.name,
            data={
                "agent_name": wanted.agent_name or "",
                "user_id": wanted.user_id,
                "identity": identity,
                "origin": origin.value,
                "expires_at": rfc3339(expires_at) if expires_at is not None else None,
            },
        )
        session = fold(None, None, event).session
        if session is None:
            raise AssertionError("a session_created event always has its session")
        # should we die now: the room's metadata says whose it is
        self._rooms.take_soon(event, session)
        if wanted.agent_name is not None:
            self._in_background(
                self._confirm_agent(session, wanted.agent_name, options.agent_metadata)
            )
        note(target=session_id)
        return CreatedSession(session=session, token=made.token)

    async def _confirm_agent(self, session: SessionRecord, agent_name: str, metadata: str) -> None:
        """See that LiveKit holds the request for the agent, and write down its id."""
        pause_s = _AFTER_ANSWER_S
        for _ in range(_CONFIRM_TRIES):
            await asyncio.sleep(pause_s)
            pause_s = _RETRY_S
            try:
                dispatch = await self._livekit.dispatch_of(session.room_name, agent_name, metadata)
            except NotFoundError:
                return  # the room has ended
            except SwitchboardError as exc:
                log.warning(
                    "the agent's dispatch was not read back",
                    extra={"session": session.id, "error": exc.code},
                )
                continue
            now = self._now()
            await self._rooms.write_down(
                Event(
                    kind=Kind.AGENT_DISPATCHED,
                    at=now,
                    received_at=now,
                    source=Source.SYSTEM,
                    session_id=session.id,
                    room_name=session.room_name,
                    room_sid=session.room_sid,
                    data={"agent_name": agent_name, "dispatch_id": dispatch.id},
                )
            )
            return

    def _options(
        self,
        session_id: SessionId,
        wanted: NewSession,
        room_name: str,
        identity: str,
        expires_at: datetime | None,
    ) -> VoiceSessionOptions:
        mark: dict[str, Any] = {"session_id": session_id, "agent_id": wanted.agent_name or ""}
        if expires_at is not None:
            mark["expires_at"] = rfc3339(expires_at)
        own = json.loads(wanted.room_metadata) if wanted.room_metadata else {}
        ttl = self._token_ttl(wanted.duration)
        empty_timeout = wanted.empty_timeout or max(ttl, timedelta(minutes=5))
        return VoiceSessionOptions(
            room=RoomOptions(
                name=room_name,
                empty_timeout_s=int(empty_timeout.total_seconds()),
                departure_timeout_s=int((wanted.departure_timeout or timedelta()).total_seconds()),
                max_participants=wanted.max_participants,
                metadata=json.dumps({**own, "switchboard": mark}),
            ),
            agent_name=wanted.agent_name,
            agent_metadata=_told_to_agent(session_id, wanted),
            identity=identity,
            participant_name=wanted.participant_name or wanted.user_id,
            participant_metadata=wanted.participant_metadata,
            participant_attributes=dict(wanted.participant_attributes),
            grants=Grants(room_join=True),
            token_ttl=ttl,
        )

    async def _refuse_taken(self, room_name: str) -> None:
        """CreateRoom is an upsert: a name that is open would have its settings overwritten."""
        try:
            await self._livekit.get_room_info(room_name)
        except NotFoundError:
            await self._store.allow(room_name, "")  # an ended room's name is wanted again
            return
        raise ConflictError(
            f"A room named {room_name!r} is open already.",
            hint="Choose another name, or leave it empty to get a new one.",
            field="room_name",
        )

    def _token_ttl(self, duration: timedelta | None) -> timedelta:
        usual = timedelta(minutes=self._settings.switchboard_token_ttl_minutes)
        return usual if duration is None else max(min(usual, duration), timedelta(seconds=10))

    def _token_for(
        self,
        session: SessionRecord,
        *,
        identity: str | None = None,
        name: str = "",
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
    ) -> MintedToken:
        if not session.status.is_open:
            raise ConflictError(
                f"Session {session.id} is over ({session.status.value}).",
                hint="Create a new session, with a new Idempotency-Key if you use one.",
            )
        left = session.expires_at - self._now() if session.expires_at is not None else None
        return self._livekit.generate_token(
            TokenRequest(
                identity=identity or session.identity or new_identity(session.user_id or "guest"),
                room=session.room_name,
                name=name or session.user_id,
                metadata=metadata,
                attributes=dict(attributes or {}),
                ttl=self._token_ttl(left),
                grants=Grants(room_join=True),
            )
        )

    async def _note_failure(
        self, wanted: NewSession, room_name: str, actor: Caller, exc: SwitchboardError
    ) -> None:
        """Write down that somebody wanted a session and did not get one."""
        now = self._now()
        failed = Event(
            kind=Kind.SESSION_FAILED,
            at=now,
            received_at=now,
            source=Source.SYSTEM,
            actor=actor.name,
            data={
                "agent_name": wanted.agent_name or "",
                "user_id": wanted.user_id,
                "room_name": room_name,
                "error": exc.code,
                "message": exc.message,
            },
        )
        await self._rooms.write_down(failed)

    def _committed(self, committed: CommittedEvent) -> None:
        """Know what must end, and put out who may not be there."""
        session, event = committed.session, committed.event
        if session is not None and session.ours:
            if session.status.is_open:
                self._ends[session.id] = (session.room_name, session.expires_at)
            else:
                self._ends.pop(session.id, None)
                self._wanted_ends.pop(session.id, None)
        if (
            not self._closing
            and event.kind in _JOINS
            and event.source in {Source.WEBHOOK, Source.POLL}
        ):
            self._in_background(self._keep_out(event, session))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        aio_task = asyncio.get_running_loop().create_task(work)
        self._aio_tasks.add(aio_task)
        aio_task.add_done_callback(self._aio_tasks.discard)

    async def _keep_out(self, event: Event, session: SessionRecord | None) -> None:
        over = (
            session is not None
            and not session.status.is_open
            and session_id_in(event.room_name) == session.id
        )
        try:
            denied = [
                denial
                for denial in await self._store.denials(self._now(), room_name=event.room_name)
                if denial.identity in {"", event.identity}
            ]
            if over or any(denial.identity == "" for denial in denied):
                if not await self._livekit.end_room(event.room_name):
                    return  # a late word about a room that is gone
            elif denied:
                await self._livekit.remove_participant(event.room_name, event.identity)
            else:
                return
        except SwitchboardError as exc:
            log.warning("a participant could not be blocked", extra={"error": exc.code})
            return
        now = self._now()
        await self._rooms.write_down(
            Event(
                kind=Kind.JOIN_DENIED,
                at=now,
                received_at=now,
                source=Source.SYSTEM,
                session_id=session.id if session is not None else None,
                room_name=event.room_name,
                room_sid=event.room_sid,
                identity=event.identity,
                data={"reason": "The session is over." if over else denied[0].reason},
            )
        )
        self._rooms.look_again()

    async def _tidy(self) -> None:
        now = self._now()
        try:
            await self._store.prune_events(
                now - timedelta(days=self._settings.switchboard_event_retention_days)
            )
            await self._store.forget_keys(
                now - timedelta(hours=self._settings.switchboard_idempotency_hours)
            )
            await self._store.forget_denials(now)
        except StoreUnavailableError as exc:
            log.warning("tidying up is put off", extra={"error": exc.code})

    def _lock(self, key: str) -> asyncio.Lock:
        if len(self._creating) > 10_000:
            self._creating = {k: lock for k, lock in self._creating.items() if lock.locked()}
        return self._creating.setdefault(key, asyncio.Lock())


def _told_to_agent(session_id: SessionId, wanted: NewSession) -> str:
    """The dispatch's metadata. What is not a JSON object is the agent's own matter: untouched."""
    ours = {"session_id": session_id, "user_id": wanted.user_id, "mode": wanted.mode}
    try:
        own = json.loads(wanted.agent_metadata or "{}")
    except ValueError:
        return wanted.agent_metadata
    return json.dumps({**own, **ours}) if isinstance(own, dict) else wanted.agent_metadata
