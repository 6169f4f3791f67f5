"""Commands to agents, and answers to what their graphs ask: a row first, then down the socket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Final

from services.access.audit_log import AuditLog
from services.access.authorization import guarded, note
from services.access.permissions import Caller, Permission
from services.agents.ingest import plain
from services.agents.interrupts import Interrupts
from services.agents.stream import TOPIC, Stream, Streams
from services.clock import Now
from services.errors import ConflictError, InvalidInputError, StoreUnavailableError
from services.events import Event, Kind, Source
from services.ids import new_command_id
from services.live.hub import Hub
from services.store.agent_records import CommandRecord, InterruptStatus
from services.store.batch import CommittedEvent
from services.store.records import SessionRecord
from services.store.rows import clean
from services.store.store import Store
from switchboard_recorder.protocol import Action, Command

log = logging.getLogger(__name__)

PATIENCE: Final = timedelta(seconds=20)
"""How long a command may wait for an agent that is away, and for its answer."""
ARGS_BYTES: Final = 32_000
_TICK_S: Final = 0.5


class Commands:
    """Use cases of commands; on the runtime's loop."""

    def __init__(
        self,
        store: Store,
        streams: Streams,
        questions: Interrupts,
        hub: Hub,
        audit: AuditLog,
        *,
        now: Now,
    ) -> None:
        self.audit = audit
        self._store = store
        self._streams = streams
        self._questions = questions
        self._hub = hub
        self._now = now
        self._answered: dict[str, asyncio.Event] = {}  # commands that somebody waits for
        streams.on_connected(self._deliver_waiting)

    @guarded(Permission.COMMAND, target="session_id")
    async def send(
        self,
        session_id: str,
        action: Action,
        args: Mapping[str, Any],
        *,
        actor: Caller,
        wait_s: float = 5.0,
    ) -> CommandRecord:
        """Ask a session's agent for something; gives the command as it stands after `wait_s`.

        Raises:
            NotFoundError: no such session.
            InvalidInputError: the arguments are too long.
            ConflictError: the session is over, or its agent cannot do that.
        """
        session = await self._open_session(session_id)
        stream = self._streams.of_session(session.id)
        if stream is not None and action.value not in stream.hello.actions:
            raise ConflictError(
                f"This agent cannot {action.value.replace('_', ' ')}.",
                hint="Its recorder has no handler for this command.",
            )
        command = self._command(session, action, args, actor)
        await self._store.agents.add_command(command)
        with self._awaited(command.id):
            return await self._dispatch(session, command, wait_s)

    @guarded(Permission.ANSWER, target="session_id")
    async def answer(
        self,
        session_id: str,
        interrupt_id: str,
        decision: Mapping[str, Any],
        *,
        actor: Caller,
        wait_s: float = 5.0,
    ) -> CommandRecord:
        """Answer what a graph asks. Of several who answer at once the first one wins.

        Raises:
            NotFoundError: no such session, or its graph did not ask that.
            ConflictError: another user has answered; it says who and when.
        """
        session = await self._open_session(session_id)
        args = {"interrupt_id": interrupt_id, "decision": dict(decision)}
        command = self._command(session, Action.ANSWER_INTERRUPT, args, actor, interrupt_id)
        decided = command.args["decision"]
        found = await self._store.agents.claim_interrupt(interrupt_id, decided, command)
        if found.command_id != command.id:
            if found.status is InterruptStatus.GONE:
                raise ConflictError("This interrupt is no longer pending.")
            at = f"{found.answered_at:%H:%M:%S} UTC" if found.answered_at else "a moment ago"
            by = found.answered_by or "another user"
            raise ConflictError(f"Already answered by {by} at {at}.")
        with self._awaited(command.id):
            return await self._dispatch(session, command, wait_s)

    def take(self, committed: CommittedEvent) -> None:
        """Wake whoever waits for the answer that this event is."""
        if committed.event.kind is Kind.COMMAND_COMPLETED:
            self._wake(str(committed.event.data.get("command_id", "")))

    async def run(self) -> None:
        """Give up what no agent answered in its time, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                expired = await self._store.agents.expire_commands(self._now())
            except StoreUnavailableError as exc:
                log.warning("commands were not looked through", extra={"error": exc.code})
                continue
            for command in expired:
                self._wake(command.id)
            if expired:
                self._questions.look()
                self._hub.touch(TOPIC)
                self._hub.touch("overview")

    # -- inside

    async def _open_session(self, session_id: str) -> SessionRecord:
        session = await self._store.session(session_id)
        if not session.status.is_open:
            raise ConflictError(f"The session has ended ({session.status.value}).")
        return session

    def _command(
        self,
        session: SessionRecord,
        action: Action,
        args: Mapping[str, Any],
        actor: Caller,
        interrupt_id: str | None = None,
    ) -> CommandRecord:
        told: dict[str, Any] = clean(plain(dict(args)))
        if len(json.dumps(told, default=str).encode()) > ARGS_BYTES:
            raise InvalidInputError(
                "The command is too long.", hint=f"Use at most {ARGS_BYTES:,} bytes.", field="args"
            )
        note(command=action.value, args=told)
        now = self._now()
        return CommandRecord(
            id=new_command_id(),
            session_id=session.id,
            action=action.value,
            args=told,
            actor=actor.name,
            interrupt_id=interrupt_id,
            issued_at=now,
            expires_at=now + PATIENCE,
        )

    async def _dispatch(
        self, session: SessionRecord, command: CommandRecord, wait_s: float
    ) -> CommandRecord:
        now = self._now()
        told = Event(
            kind=Kind.COMMAND_SENT,
            at=now,
            received_at=now,
            source=Source.OPERATOR,
            session_id=session.id,
            room_name=session.room_name,
            room_sid=session.room_sid,
            actor=command.actor,
            data={"command_id": command.id, "action": command.action, "args": command.args},
        )
        await self._store.log.append(told)
        if (stream := self._streams.of_session(session.id)) is not None:
            await self._deliver(stream, command)
        return await self._outcome(command.id, wait_s)

    async def _deliver_waiting(self, stream: Stream) -> None:
        """What was asked while no job was connected, and what an earlier one did not answer."""
        now = self._now()
        for command in await self._store.agents.open_commands(stream.session_id):
            if command.expires_at > now:
                await self._deliver(stream, command)

    async def _deliver(self, stream: Stream, command: CommandRecord) -> None:
        sent = stream.outbox.push(
            Command(
                command_id=command.id,
                action=command.action,
                args=command.args,
                actor=command.actor,
                issued_at=command.issued_at,
                expires_at=command.expires_at,
            )
        )
        if sent:
            await self._store.agents.mark_sent(command.id, self._now())

    async def _outcome(self, command_id: str, wait_s: float) -> CommandRecord:
        """The command once it is answered, or as it stands when the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._answered[command_id].wait()
        return await self._store.agents.command(command_id)

    @contextmanager
    def _awaited(self, command_id: str) -> Iterator[None]:
        self._answered[command_id] = asyncio.Event()
        try:
            yield
        finally:
            del self._answered[command_id]

    def _wake(self, command_id: str) -> None:
        if (answered := self._answered.get(command_id)) is not None:
            answered.set()
