"""A caller of our own that writes instead of speaking: joins a room as a visible participant."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Final

from livekit import rtc

from services.errors import LiveKitUnavailableError

log = logging.getLogger(__name__)

_CHAT: Final = "lk.chat"  # what AgentSession reads (docs.livekit.io, text and transcriptions)
_TRANSCRIPTION: Final = "lk.transcription"
_STATE: Final = "lk.agent.state"
_JOIN_S: Final = 10.0
_SEND_S: Final = 5.0
_READ_S: Final = 30.0
TEXT_LIMIT: Final = 4_000  # characters of one message


class TextCaller:
    """One participant. Its callbacks run on the loop that it was made on.

    `heard(segment, text)`: what the agent wrote so far in that segment; `understood(segment,
    text)`: what it took us to say; `state(word)`: LiveKit's word for the agent's state;
    `left(reason)`: the room is over for us.
    """

    def __init__(
        self,
        *,
        heard: Callable[[str, str], None],
        state: Callable[[str], None],
        left: Callable[[str], None],
        understood: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._room = rtc.Room()
        self._understood = understood
        self._heard = heard
        self._state = state
        self._left = left
        self._aio_tasks: set[asyncio.Task[None]] = set()

    async def join(self, url: str, token: str) -> None:
        """Join without any track.

        Raises:
            LiveKitUnavailableError: refused, or not reached in time.
        """
        self._room.register_text_stream_handler(_TRANSCRIPTION, self._on_text)
        self._room.on("participant_attributes_changed", self._on_attributes)
        self._room.on("participant_connected", self._on_participant)
        self._room.on("disconnected", self._on_disconnected)
        try:
            async with asyncio.timeout(_JOIN_S):
                options = rtc.RoomOptions(auto_subscribe=self._auto_subscribe())
                await self._room.connect(url, token, options)
        except (rtc.ConnectError, TimeoutError) as exc:
            raise LiveKitUnavailableError(
                "The text chat could not join the room.",
                hint="The dashboard must be able to reach LiveKit's media ports. See the System page.",
            ) from exc
        for participant in self._room.remote_participants.values():
            self._on_participant(participant)

    async def write(self, text: str) -> None:
        """Send a message to the agent.

        Raises:
            LiveKitUnavailableError: it could not be sent.
        """
        try:
            async with asyncio.timeout(_SEND_S):
                await self._room.local_participant.send_text(text, topic=_CHAT)
        except (rtc.StreamError, TimeoutError) as exc:
            raise LiveKitUnavailableError("The message could not be sent.") from exc

    async def leave(self) -> None:
        """Leave the room; may be called again."""
        await self._room.disconnect()
        for aio_task in self._aio_tasks:
            aio_task.cancel()
        await asyncio.gather(*self._aio_tasks, return_exceptions=True)

    # -- inside

    def _auto_subscribe(self) -> bool:
        """Whether tracks of others are of use."""
        return False

    def _on_text(self, reader: rtc.TextStreamReader, identity: str) -> None:
        mine = identity == self._room.local_participant.identity
        self._start(self._read(reader, self._understood if mine else self._heard))

    async def _read(self, reader: rtc.TextStreamReader, heard: Callable[[str, str], None]) -> None:
        attributes = reader.info.attributes or {}
        segment = attributes.get("lk.segment_id") or reader.info.stream_id
        text = ""
        try:
            async with asyncio.timeout(_READ_S):
                async for piece in reader:
                    text = (text + piece)[:TEXT_LIMIT]
                    heard(segment, text)
        except (TimeoutError, rtc.StreamError):  # the room may end in the middle of it
            log.warning("an agent's text did not end")

    def _on_participant(self, participant: rtc.RemoteParticipant) -> None:
        if word := participant.attributes.get(_STATE):
            self._state(word)

    def _on_attributes(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        if word := changed.get(_STATE):
            self._state(word)

    def _on_disconnected(self, reason: int) -> None:
        self._left(rtc.DisconnectReason.Name(reason) if reason else "")  # type: ignore[arg-type]

    def _start(self, work: Coroutine[None, None, None]) -> None:
        aio_task = asyncio.get_running_loop().create_task(work)
        self._aio_tasks.add(aio_task)
        aio_task.add_done_callback(self._aio_tasks.discard)
