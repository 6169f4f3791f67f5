"""What the dashboard may ask of an agent in a call: each command done, refused or failed.

Commands come down the recorder's own socket alone. Nothing that arrives through the room is
one: a data packet or an RPC does not say who sent it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, Final

from livekit.agents import AgentSession
from livekit.agents.voice import SpeechHandle

from agents.thread import FAILED, GraphThread, NotPendingError
from switchboard_recorder import Reply
from switchboard_recorder.protocol import Action, Command, Outcome

log = logging.getLogger(__name__)

GOOD_BYE: Final = "Our time is over. Thank you, and good-bye."
TAKES_OVER: Final = "One moment please, {to} takes over."
GOES_ON: Final = "I am back. Where were we?"
OVER: Final = "the conversation is over"
SPOKEN_WITHIN_S: Final = 6.0  # a good-bye is not waited for longer


class Control:
    """Carries out commands. `silent`: the agent listens and does not answer."""

    def __init__(
        self,
        session: AgentSession[None],
        thread: GraphThread,
        *,
        end: Callable[[str], Awaitable[None]],
        end_when_said: Callable[[str], None],
    ) -> None:
        self._session = session
        self._thread = thread
        self._end = end
        self._end_when_said = end_when_said
        self._aio_tasks: set[asyncio.Task[None]] = set()
        self.silent = False

    async def __call__(self, command: Command) -> Reply:
        """Do what `command` says. A value of a wrong shape is refused."""
        try:
            action = Action(command.action)
            match action:
                case Action.RESUME:
                    return await self._resume(
                        _text_arg(command, "interrupt_id"), command.args.get("decision")
                    )
                case Action.SAY:
                    _ = self._say(_text_arg(command, "text"))
                case Action.COACH:
                    self._thread.coach(_text_arg(command, "text"))
                case Action.PAUSE:
                    await self._fall_silent(hears=False)
                case Action.GO_ON:
                    return self._go_on()
                case Action.HAND_OVER:
                    to = str(command.args.get("to") or "a colleague")
                    _ = self._say(TAKES_OVER.format(to=to), interruptible=False)
                    await self._fall_silent(hears=True, at_once=False)
                case Action.END:
                    text = str(command.args.get("text") or GOOD_BYE)
                    self._start(self._say_good_bye(text, str(command.args.get("reason", ""))))
        except _WrongArgsError as exc:
            return Reply(outcome=Outcome.REFUSED, detail=str(exc))
        except RuntimeError as exc:  # AgentSession's word for "not running"
            return Reply(outcome=Outcome.REFUSED, detail=f"The session does not run: {exc}")
        return Reply(outcome=Outcome.DONE)

    async def _resume(self, interrupt_id: str, decision: Any) -> Reply:
        try:
            self._thread.claim(interrupt_id)
        except NotPendingError:
            detail = "The graph does not wait for this answer: it was answered already."
            return Reply(outcome=Outcome.REFUSED, detail=detail)
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        started = asyncio.get_running_loop().create_future()
        self._start(self._run(interrupt_id, decision, pieces, started))
        _ = self._say(_drain(pieces))
        if (error := await started) is not None:
            return Reply(outcome=Outcome.FAILED, detail=error)
        return Reply(outcome=Outcome.DONE)

    async def _run(
        self,
        interrupt_id: str,
        decision: Any,
        pieces: asyncio.Queue[str | None],
        started: asyncio.Future[str | None],
    ) -> None:
        """Run the graph to its end even when the caller talks over the answer."""
        error: str | None = None
        try:
            async with aclosing(self._thread.resume(interrupt_id, decision)) as spoken:  # type: ignore[type-var]
                async for piece in spoken:
                    pieces.put_nowait(piece)
                    if not started.done():
                        started.set_result(None)
        except Exception as exc:
            log.exception("an answered interrupt failed")
            self._thread.release(interrupt_id)
            error = f"The graph failed on this answer: {type(exc).__name__}."
            pieces.put_nowait(FAILED)
        finally:
            pieces.put_nowait(None)
            if self._thread.over:
                self._end_when_said(OVER)
            if not started.done():
                started.set_result(error)

    async def _fall_silent(self, *, hears: bool, at_once: bool = True) -> None:
        self.silent = True
        if at_once:
            with suppress(RuntimeError):  # nothing is being said
                await self._session.interrupt(force=True)
        if not hears:
            self._session.input.set_audio_enabled(False)

    def _go_on(self) -> Reply:
        if not self.silent:
            return Reply(outcome=Outcome.REFUSED, detail="The agent is not paused.")
        self.silent = False
        self._session.input.set_audio_enabled(True)
        _ = self._say(GOES_ON)
        return Reply(outcome=Outcome.DONE)

    async def _say_good_bye(self, text: str, reason: str) -> None:
        with suppress(RuntimeError):
            await self._session.interrupt(force=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(SPOKEN_WITHIN_S):
                await self._say(text, interruptible=False).wait_for_playout()
        await self._end(reason or "ended by an operator")

    def _say(self, text: str | AsyncIterator[str], *, interruptible: bool = True) -> SpeechHandle:
        return self._session.say(text, allow_interruptions=interruptible)

    def _start(self, work: Any) -> None:
        aio_task = asyncio.get_running_loop().create_task(work)
        self._aio_tasks.add(aio_task)
        aio_task.add_done_callback(self._aio_tasks.discard)


class _WrongArgsError(Exception):
    pass


def _text_arg(command: Command, name: str) -> str:
    value = command.args.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _WrongArgsError(f"{command.action} needs {name}, a text.")
    return value


async def _drain(pieces: asyncio.Queue[str | None]) -> AsyncIterator[str]:
    while (piece := await pieces.get()) is not None:
        yield piece
