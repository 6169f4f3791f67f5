"""Agents at work as the others see them: jobs, interrupts, commands, turns.

Made by `Store`, as its `agents`. Every read ends within the store's timeout; lists are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.errors import NotFoundError
from services.events import Kind
from services.loop.batches import one_by_one
from services.store import tables as t
from services.store.agent_projections import reopen_interrupt
from services.store.agent_records import (
    AgentJob,
    AgentJobStatus,
    CommandRecord,
    CommandStatus,
    InterruptRecord,
    InterruptStatus,
    Turn,
)
from services.store.agent_rows import (
    command_record,
    command_row,
    interrupt_record,
    job_record,
    turn_record,
)
from services.store.records import OPEN, StoredEvent
from services.store.rows import stored_event, without_values

Connect = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
LIMIT: Final = 500
_PORTION: Final = 200  # rows made in one go: some milliseconds of the loop
_UNDER_WAY: Final = (CommandStatus.WAITING, CommandStatus.SENT)


class AgentStore:
    """The tables of agents at work. Raises StoreUnavailableError where the database is away."""

    def __init__(self, reading: Connect, writing: Connect) -> None:
        self._reading = reading
        self._writing = writing

    # -- jobs

    async def last_seq(self, stream_id: str) -> int:
        """The number of the last event of a stream that is committed; 0: none."""
        async with self._reading() as db:
            found = await db.execute(
                select(t.jobs.c.last_seq).where(t.jobs.c.stream_id == stream_id)
            )
            return int(found.scalar() or 0)

    async def jobs_of(self, session_id: str, *, limit: int = 50) -> tuple[AgentJob, ...]:
        """A session's jobs, the newest first."""
        return await self._jobs(t.jobs.c.session_id == session_id, limit=limit)

    async def connected_jobs(self, *, limit: int = LIMIT) -> tuple[AgentJob, ...]:
        """Jobs that are connected, or were when we last stopped; the newest first."""
        return await self._jobs(t.jobs.c.status == AgentJobStatus.CONNECTED, limit=limit)

    async def _jobs(self, *where: Any, limit: int) -> tuple[AgentJob, ...]:
        query = select(t.jobs).where(*where).order_by(t.jobs.c.connected_at.desc()).limit(limit)
        async with self._reading() as db:
            return tuple(job_record(row) for row in (await db.execute(query)).mappings())

    # -- interrupts

    async def interrupts_of(self, session_id: str) -> tuple[InterruptRecord, ...]:
        """What a session's graph has asked so far, in that order."""
        query = (
            select(t.interrupts)
            .where(t.interrupts.c.session_id == session_id)
            .order_by(t.interrupts.c.asked_at)
            .limit(LIMIT)
        )
        async with self._reading() as db:
            return tuple(interrupt_record(row) for row in (await db.execute(query)).mappings())

    async def pending_interrupts(self, *, limit: int = 100) -> tuple[InterruptRecord, ...]:
        """What the graphs of open sessions wait for, the oldest first."""
        query = (
            select(t.interrupts, t.sessions.c.user_id)
            .join(t.sessions, t.sessions.c.id == t.interrupts.c.session_id)
            .where(t.interrupts.c.status == InterruptStatus.PENDING, t.sessions.c.status.in_(OPEN))
            .order_by(t.interrupts.c.asked_at)
            .limit(limit)
        )
        async with self._reading() as db:
            return tuple(interrupt_record(row) for row in (await db.execute(query)).mappings())

    async def claim_interrupt(
        self, interrupt_id: str, decision: Any, command: CommandRecord
    ) -> InterruptRecord:
        """Let `command` be the answer, if nobody else's is: gives the interrupt as it is then.

        It is this command's if its `command_id` says so. One statement decides, so that of two
        who answer in the same moment one wins.

        Raises:
            NotFoundError: the session's graph never asked that.
        """
        columns = t.interrupts.c
        this = (columns.session_id == command.session_id, columns.interrupt_id == interrupt_id)
        async with self._writing() as db:
            won = await db.execute(
                update(t.interrupts)
                .where(*this, columns.status == InterruptStatus.PENDING)
                .values(
                    status=InterruptStatus.ANSWERED,
                    command_id=command.id,
                    answered_by=command.actor,
                    answered_at=command.issued_at,
                    decision=decision,
                )
            )
            if won.rowcount:
                await db.execute(insert(t.commands).values(command_row(command)))
            row = (await db.execute(select(t.interrupts).where(*this))).mappings().first()
        if row is None:
            raise NotFoundError(
                "The agent did not ask this.", hint="Look at what the session waits for now."
            )
        return interrupt_record(row)

    # -- commands

    async def add_command(self, command: CommandRecord) -> None:
        """Write a command down before it is sent."""
        async with self._writing() as db:
            await db.execute(insert(t.commands).values(command_row(command)))

    async def command(self, command_id: str) -> CommandRecord:
        """The command of that id. Raises NotFoundError."""
        async with self._reading() as db:
            found = await db.execute(select(t.commands).where(t.commands.c.id == command_id))
            row = found.mappings().first()
        if row is None:
            raise NotFoundError(f"There is no command {command_id!r}.")
        return command_record(row)

    async def commands_of(
        self, session_id: str, *, limit: int = LIMIT
    ) -> tuple[CommandRecord, ...]:
        """A session's commands, the newest first."""
        return await self._commands(
            t.commands.c.session_id == session_id, limit=limit, newest_first=True
        )

    async def open_commands(self, session_id: str) -> tuple[CommandRecord, ...]:
        """What a session's agent has not answered yet, in the order of issue."""
        return await self._commands(
            t.commands.c.session_id == session_id,
            t.commands.c.status.in_(_UNDER_WAY),
            limit=LIMIT,
        )

    async def mark_sent(self, command_id: str, now: datetime) -> None:
        """A command went down a job's socket."""
        columns = t.commands.c
        async with self._writing() as db:
            await db.execute(
                update(t.commands)
                .where(columns.id == command_id, columns.status == CommandStatus.WAITING)
                .values(status=CommandStatus.SENT, sent_at=now)
            )

    async def expire_commands(self, now: datetime) -> tuple[CommandRecord, ...]:
        """Give up the commands whose time is over; interrupts that they answered wait again."""
        columns = t.commands.c
        late = (columns.status.in_(_UNDER_WAY), columns.expires_at <= now)
        query = select(t.commands).where(*late).limit(LIMIT)
        async with self._writing() as db:
            found = [command_record(row) for row in (await db.execute(query)).mappings()]
            detail = "The agent did not answer in time."
            for command in found:
                done = await db.execute(
                    update(t.commands)
                    .where(columns.id == command.id, *late)
                    .values(status=CommandStatus.EXPIRED, detail=detail, done_at=now)
                )
                if done.rowcount:
                    await db.run_sync(reopen_interrupt, command.id)
        return tuple(
            replace(one, status=CommandStatus.EXPIRED, detail=detail, done_at=now) for one in found
        )

    async def _commands(
        self, *where: Any, limit: int, newest_first: bool = False
    ) -> tuple[CommandRecord, ...]:
        issued_at = t.commands.c.issued_at
        order = issued_at.desc() if newest_first else issued_at
        query = select(t.commands).where(*where).order_by(order).limit(limit)
        async with self._reading() as db:
            return tuple(command_record(row) for row in (await db.execute(query)).mappings())

    # -- turns

    async def trace(
        self, session_id: str, *, after_seq: int = 0, limit: int = LIMIT
    ) -> tuple[StoredEvent, ...]:
        """A session's events in the order of writing, without the values of saved states.

        Those are most of a session's bytes; `event` gives them when somebody looks at one.
        """
        columns = [column for column in t.events.c if column.name != "data"]
        async with self._reading() as db:
            lean = without_values(db.dialect.name).label("data")
            found = await db.execute(
                select(*columns, lean)
                .where(t.events.c.session_id == session_id, t.events.c.seq > after_seq)
                .order_by(t.events.c.seq)
                .limit(limit)
            )
            rows = found.mappings().all()
        return tuple([stored_event(row) async for row in one_by_one(rows, portion=_PORTION)])

    async def saved_states(self, session_id: str, *, limit: int = 40) -> tuple[StoredEvent, ...]:
        """A session's newest saved states, the newest first, without their values."""
        columns = [column for column in t.events.c if column.name != "data"]
        async with self._reading() as db:
            lean = without_values(db.dialect.name).label("data")
            found = await db.execute(
                select(*columns, lean)
                .where(
                    t.events.c.session_id == session_id, t.events.c.kind == Kind.CHECKPOINT_SAVED
                )
                .order_by(t.events.c.seq.desc())
                .limit(limit)
            )
            return tuple(stored_event(row) for row in found.mappings())

    async def event(self, session_id: str, event_id: str) -> StoredEvent:
        """One event of a session. Raises NotFoundError."""
        query = select(t.events).where(
            t.events.c.id == event_id, t.events.c.session_id == session_id
        )
        async with self._reading() as db:
            row = (await db.execute(query)).mappings().first()
        if row is None:
            raise NotFoundError(
                "The session has no such event.", hint="It may have been removed by its age."
            )
        return stored_event(row)

    async def turns_of(
        self, session_id: str, *, after: int = 0, limit: int = LIMIT
    ) -> tuple[Turn, ...]:
        """A session's turns in their order, after that number."""
        query = (
            select(t.turns)
            .where(t.turns.c.session_id == session_id, t.turns.c.number > after)
            .order_by(t.turns.c.number)
            .limit(limit)
        )
        async with self._reading() as db:
            return tuple(turn_record(row) for row in (await db.execute(query)).mappings())

    async def answers_since(
        self, since: datetime, *, agent_names: Sequence[str] = (), limit: int = 2_000
    ) -> tuple[Turn, ...]:
        """Turns that began from `since` on and were answered in a measured time, newest first."""
        query = select(t.turns).where(
            t.turns.c.started_at >= since, t.turns.c.answer_ms.is_not(None)
        )
        if agent_names:
            query = query.where(t.turns.c.agent_name.in_(agent_names))
        query = query.order_by(t.turns.c.started_at.desc()).limit(limit)
        async with self._reading() as db:
            return tuple(turn_record(row) for row in (await db.execute(query)).mappings())
