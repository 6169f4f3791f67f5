"""Live updates: one WebSocket for each browser tab, over which its parts subscribe.

A part subscribes with a ticket of its page, so that many share one connection, and none of them
takes one of the six that a browser opens to a host over HTTP/1.1. Frames are JSON texts:

    to us    {"type": "subscribe", "id", "ticket", "last_event_id", "rows"}
             {"type": "unsubscribe", "id"}
             {"type": "pong"}
    from us  {"type": "subscribed", "id"}
             {"type": "snapshot" | "change", "id", "event_id", "data"}
             {"type": "refused", "id", "code", "message"}
             {"type": "ping"}

`id` is the tab's name for a subscription. `last_event_id` resumes after that event. `rows` false
asks only whether something changed. A refusal ends that subscription alone; a fresh ticket helps.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import MutableMapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Response, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnected

from services.agents.session_feed import is_session_topic
from services.errors import BadSignatureError
from services.live import hub
from services.live.hub import Message
from services.runtime import Runtime, held_runtime

log = logging.getLogger(__name__)

router = APIRouter(tags=["Live"])

PING_S: Final = 15.0
SILENCE_S: Final = 45.0  # a tab that answers no ping for so long is gone
FRAME_LIMIT: Final = 8_192  # characters; a ticket has at most half of it
SUBSCRIPTIONS_LIMIT: Final = 32
_IDLE_PINGS: Final = 4  # a socket without a subscription is closed after so many
_LONGEST_S: Final = 3600.0  # then a subscription needs a fresh ticket
_CLOSE_S: Final = 5.0
_GONE: Final = (WebSocketDisconnect, WebSocketDisconnected)

UNSUPPORTED: Final = 1003
RUBBISH: Final = 1007
POLICY: Final = 1008
TOO_LARGE: Final = 1009
STOPPING: Final = 1012

_Id = Annotated[str, Field(min_length=1, max_length=64)]


class _Subscribe(BaseModel):
    type: Literal["subscribe"]
    id: _Id
    ticket: Annotated[str, Field(max_length=4096)]
    last_event_id: Annotated[str, Field(max_length=200)] = ""
    rows: bool = True


class _Unsubscribe(BaseModel):
    type: Literal["unsubscribe"]
    id: _Id


class _Pong(BaseModel):
    type: Literal["pong"]


_Frame = _Subscribe | _Unsubscribe | _Pong
_FRAME: Final[TypeAdapter[_Frame]] = TypeAdapter(Annotated[_Frame, Field(discriminator="type")])


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """One tab's live updates. Each subscription brings a ticket of its own."""
    runtime = held_runtime()
    if runtime is None or not runtime.alive:
        await socket.send_denial_response(Response(status_code=503))
        return
    await socket.accept()
    await _Tab(runtime, socket).serve()


@dataclass(frozen=True, slots=True)
class _End:
    """Why we close the socket."""

    code: int
    reason: str


class _Tab:
    """An accepted socket and its subscriptions; each follows the hub in a task of its own."""

    def __init__(self, runtime: Runtime, socket: WebSocket) -> None:
        self._runtime = runtime
        self._socket = socket
        self._followers: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Until the tab leaves, or gives a reason to be closed."""
        async with asyncio.TaskGroup() as tasks:
            pings = tasks.create_task(self._ping())
            try:
                end = await self._read(tasks)
            finally:
                for task in (pings, *self._followers.values()):
                    task.cancel()
        if end is not None:
            await self._close(end)

    async def _read(self, tasks: asyncio.TaskGroup) -> _End | None:
        """Nothing is sent in here: a tab that reads nothing must not keep us from noticing it."""
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    message = await self._socket.receive()
            except TimeoutError:
                return _End(POLICY, "no ping was answered")
            if message["type"] == "websocket.disconnect":
                return None
            frame = _frame_in(message)
            end = frame if isinstance(frame, _End) else self._take(tasks, frame)
            if end is not None:
                return end

    def _take(self, tasks: asyncio.TaskGroup, frame: _Frame) -> _End | None:
        match frame:
            case _Subscribe():
                if frame.id in self._followers:
                    return _End(POLICY, "a subscription of that id is there")
                if len(self._followers) >= SUBSCRIPTIONS_LIMIT:
                    return _End(POLICY, f"at most {SUBSCRIPTIONS_LIMIT} subscriptions")
                self._followers[frame.id] = tasks.create_task(self._follow(frame))
            case _Unsubscribe():
                if (follower := self._followers.pop(frame.id, None)) is not None:
                    follower.cancel()
            case _Pong():
                pass  # that it came is all it says
        return None

    async def _follow(self, wanted: _Subscribe) -> None:
        try:
            topics = self._runtime.tickets.topics(wanted.ticket)
            await self._tell(wanted, topics)
        except BadSignatureError as error:
            await self._send(
                json.dumps(
                    {
                        "type": "refused",
                        "id": wanted.id,
                        "code": error.code,
                        "message": error.message,
                    }
                )
            )
        finally:
            # Unsubscribing took it out already, and another may have the id since.
            if self._followers.get(wanted.id) is asyncio.current_task():
                del self._followers[wanted.id]

    async def _tell(self, wanted: _Subscribe, topics: tuple[str, ...]) -> None:
        """Everything about the topics, until the hub is closed.

        Raises:
            BadSignatureError: the ticket was good for an hour and not for longer.
        """
        told = hub.read(
            self._runtime.hub,
            topics,
            last_event_id=wanted.last_event_id,
            rows=wanted.rows,
            viewer=self,
        )
        try:
            async with asyncio.timeout(_LONGEST_S), aclosing(told):
                async for event_id, message in told:
                    await self._send(_frame_out(wanted, event_id, message))
                    if message is None:
                        self._tell_watched(topics)
            await self._close(_End(STOPPING, "the dashboard stops"))
        except TimeoutError:
            raise BadSignatureError("The ticket for live updates is out of date.") from None
        finally:
            self._tell_watched(topics)

    def _tell_watched(self, topics: tuple[str, ...]) -> None:
        """Pages of a session say how many look at it."""
        for topic in topics:
            if is_session_topic(topic):
                self._runtime.hub.touch_soon(topic)

    async def _ping(self) -> None:
        idle = 0
        while idle < _IDLE_PINGS:
            await asyncio.sleep(PING_S)
            await self._send('{"type":"ping"}')
            idle = 0 if self._followers else idle + 1
        await self._close(_End(POLICY, "nothing is subscribed"))

    async def _send(self, text: str) -> None:
        try:
            await self._socket.send_text(text)
        except _GONE:
            return  # who reads hears of it, and ends us

    async def _close(self, end: _End) -> None:
        """The reading ends by it, too."""
        log.info("a live connection is closed", extra={"reason": end.reason})
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close(end.code, end.reason)
        except (*_GONE, TimeoutError):
            return  # it is closed already, or reads nothing


def _frame_in(message: MutableMapping[str, Any]) -> _Frame | _End:
    text = message.get("text")
    if text is None:
        return _End(UNSUPPORTED, "a frame is text")
    if len(text) > FRAME_LIMIT:
        return _End(TOO_LARGE, f"a frame has at most {FRAME_LIMIT:,} characters")
    try:
        return _FRAME.validate_json(text)
    except ValidationError:
        return _End(RUBBISH, "this is no frame of ours")


def _frame_out(wanted: _Subscribe, event_id: str, message: Message | None) -> str:
    """Around the body, which was written out once for all."""
    if message is None:
        return json.dumps({"type": "subscribed", "id": wanted.id})
    head = f'{{"type":"{message.event}","id":{json.dumps(wanted.id)},"event_id":"{event_id}"'
    body = message.body if wanted.rows else json.dumps({"topic": message.topic})
    return f'{head},"data":{body}}}'
