"""Agents at work: their jobs' streams, what they told, what they wait for, and commands to them."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response, WebSocket, WebSocketDisconnect, status
from pydantic import BaseModel, ConfigDict, Field
from starlette.websockets import WebSocketDisconnected

from api.deps import MAY_READ, Answerer, Commander, SharedRuntime
from services.agents.outbox import Outbox
from services.agents.stream import Stream
from services.agents.stream_token import StreamClaims
from services.clock import rfc3339
from services.errors import NotFoundError, SwitchboardError
from services.events import Kind
from services.runtime import Runtime, held_runtime
from services.store.agent_records import CommandRecord, InterruptRecord, InterruptStatus
from switchboard_recorder.protocol import (
    PROTOCOL,
    Action,
    Bye,
    Events,
    Hello,
    Live,
    ProtocolError,
    Refusal,
    decode,
    encode,
)

log = logging.getLogger(__name__)

router = APIRouter(tags=["Agents at work"])

_HELLO_S: Final = 10.0
_PATIENCE_S: Final = 3600.0  # a batch waits so long for the database
_REFUSED: Final = 4001
_WE_STOP: Final = 1012  # what uvicorn closes sockets with when it is stopped
_GONE: Final = (WebSocketDisconnect, WebSocketDisconnected)
_SAVED: Final = Kind.CHECKPOINT_SAVED
_SAYS: Final = Kind.AGENT_STATE


# -- the stream


@router.websocket("/agents/stream")
async def stream(socket: WebSocket) -> None:
    """One job's events in, commands out; docs/recorder.md has the protocol."""
    runtime = held_runtime()
    if runtime is None or not runtime.alive:
        await socket.send_denial_response(Response(status_code=503))
        return
    scheme, _, token = socket.headers.get("authorization", "").partition(" ")
    try:
        claims = runtime.jobs.admit(token if scheme.lower() == "bearer" else "")
    except SwitchboardError as exc:
        log.warning("an agent's stream was refused", extra={"reason": exc.message})
        await socket.send_denial_response(Response(status_code=401))
        return
    await socket.accept()
    try:
        await _serve(runtime, socket, claims)
    except _GONE:
        return
    except (ProtocolError, SwitchboardError) as exc:
        await _refuse(socket, exc)


async def _serve(runtime: Runtime, socket: WebSocket, claims: StreamClaims) -> None:
    try:
        async with asyncio.timeout(_HELLO_S):
            hello = decode(await _frame(socket))
    except TimeoutError:
        raise ProtocolError("No hello came.") from None
    if not isinstance(hello, Hello):
        raise ProtocolError("A stream begins with a hello.")
    if hello.protocol > PROTOCOL:
        log.info("a newer recorder connects", extra={"protocol": hello.protocol})
    outbox = Outbox()
    streams = runtime.jobs.streams
    opened = await runtime.acall(lambda: streams.open(claims, hello, outbox))
    writing = asyncio.create_task(_write(socket, outbox), name=f"stream {hello.stream_id}")
    by_us = False
    try:
        await _read(runtime, socket, opened)
    except WebSocketDisconnect as exc:
        by_us = exc.code == _WE_STOP
    except (ProtocolError, SwitchboardError) as exc:
        log.warning("an agent's stream is closed", extra={"reason": str(exc)})
        outbox.push(_refusal(exc))
    finally:
        outbox.close()
        await asyncio.wait({writing}, timeout=1)
        writing.cancel()
        try:
            await runtime.acall(lambda: streams.closed(opened, by_us=by_us))
        except SwitchboardError as exc:  # we are closing ourselves
            log.info("a stream's end was not noted", extra={"error": exc.code})


async def _read(runtime: Runtime, socket: WebSocket, opened: Stream) -> None:
    streams = runtime.jobs.streams
    while True:
        message = decode(await _frame(socket))
        match message:
            case Events():
                batch = message
                await runtime.acall(lambda: streams.take(opened, batch), timeout_s=_PATIENCE_S)  # noqa: B023
            case Live():
                shown = message
                await runtime.acall(lambda: streams.live(opened, shown))  # noqa: B023
            case Bye():
                last = message
                await runtime.acall(lambda: streams.bye(opened, last))  # noqa: B023
            case _:
                continue  # what this version does not know


async def _frame(socket: WebSocket) -> str:
    try:
        return await socket.receive_text()
    except KeyError:
        raise ProtocolError("A frame is text.") from None


async def _write(socket: WebSocket, outbox: Outbox) -> None:
    while (messages := await outbox.next()) is not None:
        for message in messages:
            try:
                await socket.send_text(encode(message))
            except _GONE:
                return
            except ValueError:  # one that cannot be written must not silence those after it
                log.exception("a message to an agent's job was left out")
    await _close(socket)


async def _close(socket: WebSocket) -> None:
    try:
        await socket.close()
    except _GONE:
        return  # it is closed already


def _refusal(exc: ProtocolError | SwitchboardError) -> Refusal:
    if isinstance(exc, SwitchboardError):
        return Refusal(code=exc.code, message=str(exc), again=exc.retryable or _later(exc))
    return Refusal(code="protocol", message=str(exc))


async def _refuse(socket: WebSocket, exc: ProtocolError | SwitchboardError) -> None:
    try:
        await socket.send_text(encode(_refusal(exc)))
        await socket.close(_REFUSED)
    except _GONE:
        return  # it did not wait for that


def _later(exc: SwitchboardError) -> bool:
    """A room that is not known yet may be known in a moment."""
    return isinstance(exc, NotFoundError)


# -- reading and acting


class EventOut(BaseModel):
    """One event. `seq` grows by time of writing; `after` takes it."""

    seq: int
    id: str
    kind: str
    at: str
    source: str
    certainty: str
    identity: str
    actor: str
    data: dict[str, Any]


class EventsOut(BaseModel):
    """Events in the order of writing. `next_after` None: these were the last."""

    events: list[EventOut]
    next_after: int | None


class InterruptOut(BaseModel):
    """What a graph asks. `value` is what it gave to `interrupt()`."""

    interrupt_id: str
    node: str
    value: Any
    status: str
    asked_at: str
    answered_by: str
    answered_at: str | None
    decision: Any


class StateOut(BaseModel):
    """The graph's last saved state. `values` None: none was saved, or it was too long to keep."""

    session_id: str
    connected: bool  # whether the agent's job is connected now
    agent_state: str  # LiveKit's word; "" while it is not connected
    saved_at: str | None
    checkpoint_id: str
    step: Any
    next: Any
    values: Any
    waiting: list[InterruptOut]


class Decision(BaseModel):
    """An answer, as agent-inbox has it: `args` are the edited arguments, or the remark."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: Literal["accept", "edit", "respond", "ignore"]
    args: Any = None


class CommandIn(BaseModel):
    """A command to an agent; docs/recorder.md has the arguments of each action."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    action: Action
    args: dict[str, Any] = Field(default_factory=dict)


class CommandOut(BaseModel):
    """A command and how it went so far."""

    command_id: str
    action: str
    status: str
    detail: str
    issued_at: str
    expires_at: str
    done_at: str | None


@router.get("/voice/session/{session_id}/events", dependencies=[MAY_READ])
async def session_events(
    runtime: SharedRuntime,
    session_id: str,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
    kinds: Annotated[list[Kind] | None, Query()] = None,
) -> EventsOut:
    """What happened in a session, in the order of writing."""
    store = runtime.store
    await runtime.acall(lambda: store.session(session_id))
    found = await runtime.acall(
        lambda: store.events(
            session_id=session_id, after_seq=after, limit=limit, kinds=tuple(kinds or ())
        )
    )
    events = [
        EventOut(
            seq=one.seq,
            id=one.event.id,
            kind=one.event.kind.value,
            at=rfc3339(one.event.at),
            source=one.event.source.value,
            certainty=one.event.certainty.value,
            identity=one.event.identity,
            actor=one.event.actor,
            data=one.event.data,
        )
        for one in found
    ]
    more = len(events) == limit
    return EventsOut(events=events, next_after=events[-1].seq if more else None)


@router.get("/voice/session/{session_id}/state", dependencies=[MAY_READ])
async def session_state(runtime: SharedRuntime, session_id: str) -> StateOut:
    """How far the session's graph is: its last saved state, and what it waits for."""
    store, streams = runtime.store, runtime.jobs.streams
    await runtime.acall(lambda: store.session(session_id))
    newest = await runtime.acall(lambda: store.latest_of(session_id, (_SAVED, _SAYS)))
    asked = await runtime.acall(lambda: store.agents.interrupts_of(session_id))
    saved = newest[_SAVED].event if _SAVED in newest else None
    data = saved.data if saved is not None else {}
    said = newest[_SAYS].event.data.get("new") if _SAYS in newest else ""
    connected = streams.of_session(session_id) is not None
    return StateOut(
        session_id=session_id,
        connected=connected,
        agent_state=str(said) if connected else "",
        saved_at=rfc3339(saved.at) if saved is not None else None,
        checkpoint_id=str(data.get("checkpoint_id") or ""),
        step=data.get("step"),
        next=data.get("next") or [],
        values=data.get("values"),
        waiting=[_interrupt(one) for one in asked if one.status is InterruptStatus.PENDING],
    )


@router.get("/voice/session/{session_id}/interrupts", dependencies=[MAY_READ])
async def interrupts(runtime: SharedRuntime, session_id: str) -> list[InterruptOut]:
    """What the session's graph has asked of a human so far."""
    store = runtime.store
    await runtime.acall(lambda: store.session(session_id))
    return [
        _interrupt(one)
        for one in await runtime.acall(lambda: store.agents.interrupts_of(session_id))
    ]


@router.post("/voice/session/{session_id}/interrupts/{interrupt_id}")
async def answer(
    runtime: SharedRuntime,
    session_id: str,
    interrupt_id: str,
    decision: Decision,
    caller: Answerer,
) -> CommandOut:
    """Answer what the graph asks. 409: somebody else was faster; it says who and when."""
    commands, given = runtime.jobs.commands, decision.model_dump()
    return _command(
        await runtime.acall(lambda: commands.answer(session_id, interrupt_id, given, actor=caller))
    )


@router.post("/voice/session/{session_id}/commands", status_code=status.HTTP_202_ACCEPTED)
async def command(
    runtime: SharedRuntime, session_id: str, body: CommandIn, caller: Commander
) -> CommandOut:
    """Ask the session's agent for something; waits some seconds for its answer."""
    commands = runtime.jobs.commands
    return _command(
        await runtime.acall(lambda: commands.send(session_id, body.action, body.args, actor=caller))
    )


@router.get("/voice/session/{session_id}/commands", dependencies=[MAY_READ])
async def session_commands(runtime: SharedRuntime, session_id: str) -> list[CommandOut]:
    """The session's commands, newest first."""
    store = runtime.store
    await runtime.acall(lambda: store.session(session_id))
    found = await runtime.acall(lambda: store.agents.commands_of(session_id))
    return [_command(one) for one in found]


def _interrupt(one: InterruptRecord) -> InterruptOut:
    return InterruptOut(
        interrupt_id=one.interrupt_id,
        node=one.node,
        value=one.value,
        status=one.status.value,
        asked_at=rfc3339(one.asked_at),
        answered_by=one.answered_by,
        answered_at=_moment(one.answered_at),
        decision=one.decision,
    )


def _command(one: CommandRecord) -> CommandOut:
    return CommandOut(
        command_id=one.id,
        action=one.action,
        status=one.status.value,
        detail=one.detail,
        issued_at=rfc3339(one.issued_at),
        expires_at=rfc3339(one.expires_at),
        done_at=_moment(one.done_at),
    )


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None
