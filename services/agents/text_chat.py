"""Text chats with an agent, from a page: a session like any other, whose caller is ours.

The agent is really dispatched and joins a real room; only the caller writes instead of speaking.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from services.access.audit_log import AuditLog
from services.access.authorization import guarded
from services.access.permissions import SYSTEM_PRINCIPAL, Caller, Permission
from services.clock import Now
from services.errors import ConflictError, InvalidInputError, NotFoundError, SwitchboardError
from services.live.hub import Hub
from services.livekit.synthetic_participant import TEXT_LIMIT, TextCaller
from services.livekit.target import LiveKitTarget
from services.sessions.service import NewSession, Sessions
from services.store.records import Origin

log = logging.getLogger(__name__)

_LASTS: Final = timedelta(minutes=30)
_IDLE_S: Final = 600.0  # a chat that nobody writes to is ended
_LOOK_S: Final = 5.0
AT_ONCE: Final = 20
_LINES: Final = 500


def chat_topic(session_id: str) -> str:
    """The hub's topic for one chat."""
    return f"chat:{session_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message. `answered_ms`: from the caller's last message to the agent's first word."""

    by: Literal["caller", "agent"]
    text: str
    at: datetime
    segment: str = ""
    answered_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChat:
    """A chat as it stands. `agent_state` is LiveKit's word, "" until the agent is there."""

    session_id: str
    room_name: str
    agent_name: str
    lines: tuple[Line, ...] = ()
    agent_state: str = ""
    over: str = ""  # why it is over


@dataclass(slots=True)
class _Open:
    chat: TextChat
    caller: TextCaller
    used_s: float = field(default_factory=time.monotonic)
    wrote_s: float | None = None  # the caller's last message, until it is answered


class TextChats:
    """Use cases of text chats; on the runtime's loop. `get` is a plain read from any thread."""

    def __init__(
        self,
        sessions: Sessions,
        target: LiveKitTarget,
        hub: Hub,
        audit: AuditLog,
        *,
        now: Now,
    ) -> None:
        self.audit = audit
        self._sessions = sessions
        self._target = target
        self._hub = hub
        self._now = now
        self._open: dict[str, _Open] = {}

    @guarded(Permission.TEST, target="agent_name")
    async def start(self, agent_name: str, *, user_id: str, actor: Caller) -> TextChat:
        """A new session in text, with the agent asked for and our caller in the room.

        Raises:
            InvalidInputError: no such agent.
            ConflictError: too many chats are open.
            LiveKitUnavailableError: nothing was left behind.
        """
        if sum(not one.chat.over for one in self._open.values()) >= AT_ONCE:
            raise ConflictError(
                f"The limit of {AT_ONCE} open text chats is reached.",
                hint="End another chat first.",
            )
        wanted = NewSession(user_id=user_id, agent_name=agent_name, duration=_LASTS, mode="text")
        made = await self._sessions.create(wanted, origin=Origin.PAGE, actor=actor)
        session_id = made.session.id
        caller = TextCaller(
            heard=lambda segment, text: self._heard(session_id, segment, text),
            state=lambda word: self._change(session_id, agent_state=word),
            left=lambda reason: self._change(session_id, over=_over(reason)),
        )
        chat = TextChat(
            session_id=session_id, room_name=made.session.room_name, agent_name=agent_name
        )
        self._open[session_id] = _Open(chat, caller)
        try:
            await caller.join(self._target.public_url, made.token.token)
        except BaseException:
            del self._open[session_id]
            await self._sessions.end(session_id, actor=actor, reason="The chat could not start.")
            raise
        return self._open[session_id].chat

    def get(self, session_id: str) -> TextChat:
        """The chat as it stands.

        Raises:
            NotFoundError: it is over since long, or was not made here.
        """
        if session_id not in self._open:
            raise NotFoundError("This chat is not open.", hint="Start a new chat.")
        return self._open[session_id].chat

    @guarded(Permission.TEST, target="session_id")
    async def write(self, session_id: str, text: str, *, actor: Caller) -> None:
        """Send the agent a message.

        Raises:
            InvalidInputError: empty, or longer than 4,000 characters.
            ConflictError: the chat is over.
            LiveKitUnavailableError: it was not sent.
        """
        text = text.strip()
        if not text or len(text) > TEXT_LIMIT:
            raise InvalidInputError(
                f"A message must have 1 to {TEXT_LIMIT:,} characters.",
                hint="Shorten the message.",
                field="text",
            )
        found = self._open.get(session_id)
        if found is None or found.chat.over:
            raise ConflictError("This chat has ended.", hint="Start a new chat.")
        line = Line(by="caller", text=text, at=self._now())
        found.used_s = found.wrote_s = time.monotonic()
        self._change(session_id, lines=(*found.chat.lines, line)[-_LINES:])
        await found.caller.write(text)

    @guarded(Permission.TEST, target="session_id")
    async def end(self, session_id: str, *, actor: Caller) -> None:
        """Leave, and end the session."""
        found = self._open.get(session_id)
        if found is None or found.chat.over:
            return
        self._change(session_id, over="You ended it.")
        await found.caller.leave()
        await self._sessions.end(session_id, actor=actor, reason="The chat was ended.")

    async def run(self) -> None:
        """End what nobody uses any more, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            now_s = time.monotonic()
            for session_id, found in list(self._open.items()):
                if now_s - found.used_s < _IDLE_S:
                    continue
                try:
                    await self.end(session_id, actor=SYSTEM_PRINCIPAL)
                except SwitchboardError as exc:
                    log.warning("an idle chat was not ended yet", extra={"error": exc.code})
                else:
                    self._open.pop(session_id, None)

    async def close(self) -> None:
        """Leave every room. The sessions go on until their agents have left too."""
        for found in self._open.values():
            await found.caller.leave()
        self._open.clear()

    # -- inside

    def _heard(self, session_id: str, segment: str, text: str) -> None:
        found = self._open.get(session_id)
        if found is None or not text.strip():
            return
        lines = list(found.chat.lines)
        for index in range(len(lines) - 1, -1, -1):
            if lines[index].segment == segment and segment:
                lines[index] = replace(lines[index], text=text)
                break
        else:
            took_ms = None
            if found.wrote_s is not None:
                took_ms = (time.monotonic() - found.wrote_s) * 1000
                found.wrote_s = None
            lines.append(
                Line(by="agent", text=text, at=self._now(), segment=segment, answered_ms=took_ms)
            )
        self._change(session_id, lines=tuple(lines[-_LINES:]))

    def _change(
        self,
        session_id: str,
        *,
        lines: tuple[Line, ...] | None = None,
        agent_state: str | None = None,
        over: str | None = None,
    ) -> None:
        found = self._open.get(session_id)
        if found is None:
            return
        chat = found.chat
        found.chat = replace(
            chat,
            lines=chat.lines if lines is None else lines,
            agent_state=chat.agent_state if agent_state is None else agent_state,
            over=chat.over or over or "",
        )
        self._hub.touch(chat_topic(session_id))


def _over(reason: str) -> str:
    ended = {"ROOM_DELETED", "ROOM_CLOSED", "CLIENT_INITIATED"}
    return "The session has ended." if reason in ended else "The connection to the room was lost."
