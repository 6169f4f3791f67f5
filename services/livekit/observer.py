"""A hidden participant that listens to what an agent's own session tells, without its code changed.

Every `AgentSession` hosts `lk.agent.session` unless told otherwise (livekit-agents 1.8): who asks
gets the conversation so far and each event after. Where it does not, the texts that it writes into
the room (`lk.transcription`) and the agent's state in its attributes are what there is.

Whoever is hidden keeps a room open and takes a place in it, so it leaves with the last other one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from importlib.util import find_spec
from typing import Any, Final

from livekit import rtc

from services.clock import utc_now
from services.errors import LiveKitUnavailableError

log = logging.getLogger(__name__)

_JOIN_S: Final = 10.0
_READY_S: Final = 3.0
_HISTORY_S: Final = 5.0
_READ_S: Final = 60.0
_TEXT: Final = 16_000  # characters of one message that are kept
_TRANSCRIPTION: Final = "lk.transcription"
_STATE: Final = "lk.agent.state"

Told = Callable[[str, datetime, dict[str, Any]], None]
"""`told(kind, at, data)`: kinds and data as a recorder tells them; data["id"] is a message's own."""


class Way(StrEnum):
    """What an observer hears by."""

    SESSION = "session"  # the agent's own session: messages with metrics, states, tools
    TEXT = "text"  # the texts in the room: words and the agent's state alone


class Observer:
    """One hidden participant in one room; on the loop that it was made on."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._room = rtc.Room()
        self._remote: Any = None
        self._agent = ""
        self._aio_tasks: set[asyncio.Task[None]] = set()
        self.over = asyncio.Event()
        """The room has ended, or nobody else is in it any more."""

    async def open(self, url: str, token: str, agent_identity: str) -> Way:
        """Join and begin to tell; the conversation so far comes first.

        Raises:
            LiveKitUnavailableError: refused, or not reached in time.
        """
        self._agent = agent_identity
        room = self._room
        room.on("disconnected", lambda *_: self.over.set())
        room.on("participant_disconnected", self._left)
        room.register_text_stream_handler(_TRANSCRIPTION, self._on_text)
        try:
            async with asyncio.timeout(_JOIN_S):
                await room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
        except (rtc.ConnectError, TimeoutError) as exc:
            raise LiveKitUnavailableError(
                "The observer could not join the room.",
                hint="The dashboard must be able to reach LiveKit's media ports. See the System page.",
            ) from exc
        if await self._ask_session():
            return Way.SESSION
        room.on("participant_attributes_changed", self._on_attributes)
        return Way.TEXT

    async def close(self) -> None:
        """Leave the room; may be called again."""
        if self._remote is not None:
            await self._remote.aclose()
            self._remote = None
        await self._room.disconnect()
        for aio_task in self._aio_tasks:
            aio_task.cancel()
        await asyncio.gather(*self._aio_tasks, return_exceptions=True)

    # -- by the agent's own session

    async def _ask_session(self) -> bool:
        if find_spec("livekit.agents") is None:
            log.warning("LiveKit Agents is not installed: an agent is heard by its texts alone")
            return False
        # 0.8 s and 65 MB, and most dashboards never need it
        module = await asyncio.to_thread(_remote_session)
        remote = module.from_room(self._room, self._agent)
        for kind, take in (
            ("agent_state_changed", self._agent_state),
            ("user_state_changed", self._user_state),
            ("user_input_transcribed", self._transcribed),
            ("conversation_item_added", self._item),
            ("function_tools_executed", self._tools),
            ("error", self._error),
        ):
            remote.on(kind, take)
        await remote.start()
        try:
            await remote.wait_for_ready(timeout=_READY_S)
            async with asyncio.timeout(_HISTORY_S):
                history = await remote.get_chat_history()
        except (TimeoutError, RuntimeError):  # it hosts none, or is not answering
            await remote.aclose()
            return False
        self._remote = remote
        for item in history.items:
            self._message(item, utc_now())
        return True

    def _agent_state(self, event: Any) -> None:
        told = event.agent_state_changed
        names = {"old": _word(told, "old_state"), "new": _word(told, "new_state")}
        self._told("agent_state_changed", _at(event), names)

    def _user_state(self, event: Any) -> None:
        told = event.user_state_changed
        names = {"old": _word(told, "old_state"), "new": _word(told, "new_state")}
        self._told("user_state_changed", _at(event), names)

    def _transcribed(self, event: Any) -> None:
        told = event.user_input_transcribed
        data = {"text": told.transcript[:_TEXT], "final": told.is_final, "language": told.language}
        self._told("user_input_transcribed", _at(event), data)

    def _item(self, event: Any) -> None:
        self._message(event.conversation_item_added.item, _at(event))

    def _message(self, item: Any, at: datetime) -> None:
        if not item.HasField("message"):
            return
        message = item.message
        role = type(message).DESCRIPTOR.fields_by_name["role"].enum_type.values_by_number
        word = role[message.role].name.lower()
        if message.HasField("created_at"):
            at = _moment(message.created_at)
        data = {
            "id": message.id,
            "role": word,
            "text": "\n".join(part.text for part in message.content if part.text)[:_TEXT],
            "interrupted": message.interrupted,
            "metrics": _metrics(message.metrics),
        }
        self._told("conversation_item_added", at, data)

    def _tools(self, event: Any) -> None:
        told = event.function_tools_executed
        names = {call.call_id: call for call in told.function_calls}
        for output in told.function_call_outputs:
            call = names.get(output.call_id)
            data = {
                "call": output.call_id,
                "tool": call.name if call is not None else "",
                "args": call.arguments[:_TEXT] if call is not None else "",
                "output": output.output[:_TEXT],
                "error": output.output[:_TEXT] if output.is_error else None,
            }
            self._told("tool_finished", _at(event), data)

    def _error(self, event: Any) -> None:
        data = {"source": "", "message": event.error.message[:_TEXT], "recoverable": True}
        self._told("error", _at(event), data)

    # -- by what is written into the room

    def _on_text(self, reader: rtc.TextStreamReader, identity: str) -> None:
        aio_task = asyncio.get_running_loop().create_task(self._read(reader, identity))
        self._aio_tasks.add(aio_task)
        aio_task.add_done_callback(self._aio_tasks.discard)

    async def _read(self, reader: rtc.TextStreamReader, identity: str) -> None:
        attributes = reader.info.attributes or {}
        segment = attributes.get("lk.segment_id") or reader.info.stream_id
        at, text = utc_now(), ""
        try:
            async with asyncio.timeout(_READ_S):
                async for piece in reader:
                    text = (text + piece)[:_TEXT]
        except (TimeoutError, rtc.StreamError):  # the room may end in the middle of it
            log.warning("an observed text did not end")
        if self._remote is not None or attributes.get("lk.transcription_final") == "false":
            return  # the session tells it better, or a better one follows
        role = "assistant" if identity == self._agent else "user"
        data = {"id": segment, "role": role, "text": text, "interrupted": False, "metrics": {}}
        if text:
            self._told("conversation_item_added", at, data)

    def _on_attributes(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        if participant.identity == self._agent and (word := changed.get(_STATE)):
            self._told("agent_state_changed", utc_now(), {"old": "", "new": word})

    def _left(self, _: rtc.RemoteParticipant) -> None:
        if not self._room.remote_participants:
            self.over.set()


def _remote_session() -> Any:
    from livekit.agents.voice.remote_session import RemoteSession

    return RemoteSession


def _word(message: Any, field: str) -> str:
    """An enum's value as LiveKit's word: `AS_SPEAKING` is "speaking"."""
    names = type(message).DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    return str(names[getattr(message, field)].name.partition("_")[2].lower())


def _at(event: Any) -> datetime:
    return _moment(event.created_at) if event.HasField("created_at") else utc_now()


def _moment(stamp: Any) -> datetime:
    moment: datetime = stamp.ToDatetime(tzinfo=UTC)
    return moment


def _metrics(report: Any) -> dict[str, Any]:
    """LiveKit's names; durations in ms, moments as text, as a recorder has them."""
    found: dict[str, Any] = {}
    for field, value in report.ListFields():
        if field.message_type is not None:
            if hasattr(value, "ToDatetime"):
                found[field.name] = _moment(value).isoformat().replace("+00:00", "Z")
        elif isinstance(value, float):
            is_rate = field.name.endswith("_tps")
            found[field.name] = value if is_rate else round(value * 1e3, 3)
    return found
