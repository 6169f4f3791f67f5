"""What agents' events make of jobs, interrupts, commands and turns: in the events' transaction.

A stream's events come in their own order and each once (`services.agents.stream` sees to it), so
each is applied as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, case, func, insert, or_, select, update

from services.events import Event, Kind, Source
from services.ids import SessionId
from services.store import tables as t
from services.store.agent_records import (
    AgentJobStatus,
    CommandStatus,
    InterruptStatus,
    Turn,
)
from services.store.agent_rows import turn_record, turn_row
from services.store.rows import insert_pair_new, upsert

_HELLO_TEXT: Final = (
    "job_id", "dispatch_id", "worker_id", "agent_name", "host", "recorder",
)  # fmt: skip
_OUTCOMES: Final = {status.value: status for status in CommandStatus if not status.is_open}
_UNANSWERED: Final[dict[str, Any]] = {
    "status": InterruptStatus.PENDING,
    "command_id": None,
    "answered_by": "",
    "answered_at": None,
    "decision": None,
}
_MS_MOST: Final = 86_400_000
_JOIN_WITHIN: Final = timedelta(seconds=60)  # a later answer begins a turn of its own


def apply_agent_events(connection: Connection, events: Iterable[Event]) -> None:
    """Bring the agents' tables up to these events, which are new and in their order."""
    folding = _AgentFolding(connection)
    for event in events:
        folding.take(event)
    folding.save()


class _AgentFolding:
    """One batch. Turns are gathered and written at the end, the rest at once."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self._dialect = connection.dialect.name
        self._last_seq: dict[str, int] = {}
        self._turns: dict[str, dict[int, Turn]] = {}
        self._changed: set[tuple[str, int]] = set()
        self._applies: dict[Kind, Callable[[Event], None]] = {
            Kind.JOB_CONNECTED: self._job_connected,
            Kind.JOB_DISCONNECTED: self._job_left,
            Kind.INTERRUPT_RAISED: self._interrupt_raised,
            Kind.INTERRUPT_RESUMED: self._interrupt_resumed,
            Kind.RUN_FINISHED: self._run_finished,
            Kind.COMMAND_COMPLETED: self._command_done,
            Kind.MESSAGE: self._message,
            Kind.ROOM_FINISHED: self._all_gone,
        }

    def take(self, event: Event) -> None:
        """Apply one event; those of other sources pass."""
        if event.session_id is None:
            return
        if event.source is Source.AGENT:
            stream_id, _, seq = event.id.rpartition(":")
            if stream_id and seq.isdigit():
                self._last_seq[stream_id] = max(self._last_seq.get(stream_id, 0), int(seq))
        apply = self._applies.get(event.kind)
        if apply is not None:
            apply(event)

    def save(self) -> None:
        """Write what was gathered."""
        for stream_id, seq in self._last_seq.items():
            self._db.execute(
                update(t.jobs)
                .where(t.jobs.c.stream_id == stream_id, t.jobs.c.last_seq < seq)
                .values(last_seq=seq)
            )
        rows = [turn_row(self._turns[session][number]) for session, number in self._changed]
        if rows:
            self._db.execute(upsert(self._dialect, t.turns), rows)

    # -- jobs

    def _job_connected(self, event: Event) -> None:
        hello = event.data
        late = bool(hello.get("late"))  # the job is over: somebody else delivers what it left
        row = {
            "stream_id": _text(event, "stream_id"),
            "session_id": event.session_id,
            "room_name": event.room_name,
            "identity": event.identity,
            **{name: _text(event, name) for name in _HELLO_TEXT},
            "pid": int(hello.get("pid") or 0),
            "actions": list(hello.get("actions") or ()),
            "status": AgentJobStatus.CONNECTED,
            "connected_at": event.at,
            "left_at": None,
            "left_reason": "",
        }
        if late:
            over = {"status": AgentJobStatus.LOST, "left_at": event.at, "left_reason": "seen late"}
            new = [row | over | {"last_seq": 0}]
            self._db.execute(insert_pair_new(self._dialect, t.jobs), new)
            return
        known = self._db.execute(
            update(t.jobs).where(t.jobs.c.stream_id == row["stream_id"]).values(**row)
        )
        if not known.rowcount:
            self._db.execute(insert(t.jobs).values(**row, last_seq=0))

    def _job_left(self, event: Event) -> None:
        clean = bool(event.data.get("clean"))
        self._db.execute(
            update(t.jobs)
            .where(
                t.jobs.c.stream_id == _text(event, "stream_id"),
                t.jobs.c.connected_at <= event.at,
            )
            .values(
                status=AgentJobStatus.LEFT if clean else AgentJobStatus.LOST,
                left_at=event.at,
                left_reason=_text(event, "reason"),
            )
        )

    # -- interrupts and commands

    def _interrupt_raised(self, event: Event) -> None:
        row = {
            "session_id": event.session_id,
            "interrupt_id": _interrupt_id(event),
            "node": _text(event, "node"),
            "value": event.data.get("value"),
            "status": InterruptStatus.PENDING,
            "asked_at": event.at,
            "answered_by": "",
        }
        # told again after a crash: the graph still asks the same
        self._db.execute(insert_pair_new(self._dialect, t.interrupts), [row])
        columns = t.interrupts.c  # asked anew: what was done with the answer failed
        self._db.execute(
            update(t.interrupts)
            .where(
                columns.session_id == event.session_id,
                columns.interrupt_id == row["interrupt_id"],
                columns.status.in_((InterruptStatus.RESUMED, InterruptStatus.GONE)),
                func.coalesce(columns.answered_at, columns.asked_at) < event.at,
            )
            .values(**row | _UNANSWERED)
        )

    def _interrupt_resumed(self, event: Event) -> None:
        self._interrupts(event, InterruptStatus.RESUMED, _interrupt_id(event))

    def _interrupts(
        self, event: Event, status: InterruptStatus, interrupt_id: str | None = None
    ) -> None:
        where = [t.interrupts.c.session_id == event.session_id]
        if interrupt_id is not None:
            where.append(t.interrupts.c.interrupt_id == interrupt_id)
        open_ones = (InterruptStatus.PENDING, InterruptStatus.ANSWERED)
        where.append(t.interrupts.c.status.in_(open_ones))
        self._db.execute(update(t.interrupts).where(*where).values(status=status))

    def _run_finished(self, event: Event) -> None:
        """What the graph no longer asks after a run need not be answered any more."""
        asked = event.data.get("interrupts")
        if not isinstance(asked, list):
            return
        ids = [str(one.get("id") if isinstance(one, dict) else one)[:80] for one in asked]
        self._db.execute(
            update(t.interrupts)
            .where(
                t.interrupts.c.session_id == event.session_id,
                t.interrupts.c.status == InterruptStatus.PENDING,
                t.interrupts.c.interrupt_id.not_in(ids),
                t.interrupts.c.asked_at <= event.at,
            )
            .values(status=InterruptStatus.GONE)
        )

    def _command_done(self, event: Event) -> None:
        command_id = _text(event, "command_id")
        status = _OUTCOMES.get(_text(event, "outcome"), CommandStatus.FAILED)
        columns = t.commands.c
        self._db.execute(
            update(t.commands)
            .where(
                columns.id == command_id,
                columns.session_id == event.session_id,
                or_(columns.done_at.is_(None), columns.status == CommandStatus.EXPIRED),
            )
            .values(status=status, detail=_text(event, "detail"), done_at=event.at)
        )
        if status is not CommandStatus.DONE:
            reopen_interrupt(self._db, command_id)

    def _all_gone(self, event: Event) -> None:
        """The session is over: nobody waits for an answer, no command will be carried out."""
        self._interrupts(event, InterruptStatus.GONE)
        columns = t.commands.c
        self._db.execute(
            update(t.commands)
            .where(columns.session_id == event.session_id, columns.done_at.is_(None))
            .values(
                status=case(
                    (
                        columns.status.in_((CommandStatus.WAITING, CommandStatus.SENT)),
                        CommandStatus.EXPIRED,
                    ),
                    else_=columns.status,
                ),
                detail="The session ended before.",
                done_at=event.at,
            )
        )

    # -- turns

    def _message(self, event: Event) -> None:
        role, text = _text(event, "role"), _text(event, "text")
        if role not in {"user", "assistant"}:
            return
        turns = self._turns_of(event.session_id or "")
        last = turns[max(turns)] if turns else None
        metrics = event.data.get("metrics")
        metrics = metrics if isinstance(metrics, dict) else {}
        if role == "user":
            self._put(
                Turn(
                    session_id=SessionId(event.session_id or ""),
                    number=last.number + 1 if last is not None else 1,
                    agent_name=_text(event, "agent_name"),
                    started_at=event.at,
                    user_text=text,
                    transcription_ms=_number(metrics, "transcription_delay"),
                    end_of_turn_ms=_number(metrics, "end_of_turn_delay"),
                )
            )
            return
        if last is None or last.agent_text or event.at - last.started_at > _JOIN_WITHIN:
            last = Turn(
                session_id=SessionId(event.session_id or ""),
                number=last.number + 1 if last is not None else 1,
                agent_name=_text(event, "agent_name"),
                started_at=event.at,
            )
        self._put(
            replace(
                last,
                agent_text=text,
                answered_at=event.at,
                interrupted=bool(event.data.get("interrupted")),
                graph_ms=_number(metrics, "llm_node_ttft"),
                speech_ms=_number(metrics, "tts_node_ttfb"),
                answer_ms=_number(metrics, "e2e_latency"),
            )
        )

    def _turns_of(self, session_id: str) -> dict[int, Turn]:
        if session_id not in self._turns:
            newest = select(func.max(t.turns.c.number)).where(t.turns.c.session_id == session_id)
            found = self._db.execute(
                select(t.turns).where(
                    t.turns.c.session_id == session_id,
                    t.turns.c.number == newest.scalar_subquery(),
                )
            )
            records = [turn_record(row) for row in found.mappings()]
            self._turns[session_id] = {turn.number: turn for turn in records}
        return self._turns[session_id]

    def _put(self, turn: Turn) -> None:
        self._turns[turn.session_id][turn.number] = turn
        self._changed.add((turn.session_id, turn.number))


def reopen_interrupt(connection: Connection, command_id: str) -> None:
    """Let an interrupt be answered again whose answer did not reach the graph."""
    connection.execute(
        update(t.interrupts)
        .where(
            t.interrupts.c.command_id == command_id,
            t.interrupts.c.status == InterruptStatus.ANSWERED,
        )
        .values(**_UNANSWERED)
    )


def _text(event: Event, name: str) -> str:
    value = event.data.get(name)
    return value if isinstance(value, str) else ""


def _interrupt_id(event: Event) -> str:
    return _text(event, "interrupt_id")[:80]


def _number(values: dict[str, Any], name: str) -> float | None:
    """Milliseconds; None for what is no number or none that could be meant."""
    value = values.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value < _MS_MOST else None
