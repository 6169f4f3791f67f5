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

from agents.thread import FAILED, GraphThread, NotAtRestError, NotPendingError
from switchboard_recorder import EventKind, Reply
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
        tell: Callable[..., None],
    ) -> None:
        self._session = session
        self._thread = thread
        self._end = end
        self._end_when_said = end_when_said
        self._tell = tell
        self._aio_tasks: set[asyncio.Task[None]] = set()
        self.silent = False

    async def __call__(self, command: Command) -> Reply:
        """Do what `command` says. A value of a wrong shape is refused."""
        try:
            return await self._do(Action(command.action), command)
        except _WrongArgsError as exc:
            return Reply(outcome=Outcome.REFUSED, detail=str(exc))
        except RuntimeError as exc:  # AgentSession's word for "not running"
            return Reply(outcome=Outcome.REFUSED, detail=f"The session does not run: {exc}")

    async def _do(self, action: Action, command: Command) -> Reply:
        args = command.args
        match action:
            case Action.ANSWER_INTERRUPT:
                return await self._resume(_text_arg(command, "interrupt_id"), args.get("decision"))
            case Action.SAY:
                _ = self._say(_text_arg(command, "text"))
            case Action.WHISPER:
                self._thread.whisper(_text_arg(command, "text"))
            case Action.PAUSE:
                await self._fall_silent(hears=False)
            case Action.RESUME:
                return self._go_on()
            case Action.TAKE_OVER:
                to = str(args.get("to") or "a colleague")
                _ = self._say(TAKES_OVER.format(to=to), interruptible=False)
                await self._fall_silent(hears=True, at_once=False)
            case Action.UPDATE_STATE:
                return await self._edit(args.get("values"), args.get("checkpoint_id") or "")
            case Action.END_SESSION:
                text = str(args.get("text") or GOOD_BYE)
                self._start(self._say_good_bye(text, str(args.get("reason", ""))))
        return Reply(outcome=Outcome.DONE)

    async def _resume(self, interrupt_id: str, decision: Any) -> Reply:
        try:
            self._thread.claim(interrupt_id)
        except NotPendingError:
            detail = "The graph does not wait for this answer: it was answered already."
            return Reply(outcome=Outcome.REFUSED, detail=detail)
        error = await self._speak(
            self._thread.resume(interrupt_id, decision),
            failed=lambda: self._thread.release(interrupt_id),
        )
        if error is not None:
            return Reply(outcome=Outcome.FAILED, detail=error)
        return Reply(outcome=Outcome.DONE)

    async def _edit(self, values: Any, checkpoint_id: Any) -> Reply:
        if not isinstance(values, dict) or not isinstance(checkpoint_id, str):
            raise _WrongArgsError("update_state needs values, an object by channel.")
        try:
            state, asks_again = await self._thread.edit(values, checkpoint_id)
        except NotAtRestError:
            detail = "The graph is at work: its state can be changed when it rests."
            return Reply(outcome=Outcome.REFUSED, detail=detail)
        except KeyError as exc:
            detail = f"The graph knows nothing of {exc.args[0]!r}."
            return Reply(outcome=Outcome.REFUSED, detail=detail)
        except Exception as exc:
            log.exception("the state was not changed")
            detail = f"LangGraph took no such state: {type(exc).__name__}: {exc}"[:500]
            return Reply(outcome=Outcome.REFUSED, detail=detail)
        self._tell(
            EventKind.CHECKPOINT_SAVED,
            run="",
            step=(state.metadata or {}).get("step", 0),
            checkpoint_id=state.config["configurable"].get("checkpoint_id", ""),
            next=list(state.next),
            values=state.values,
            changed=list(values),
        )
        if asks_again and (error := await self._speak(self._thread.rerun())) is not None:
            return Reply(outcome=Outcome.FAILED, detail=error)
        return Reply(outcome=Outcome.DONE)

    async def _speak(
        self, running: AsyncIterator[str], *, failed: Callable[[], None] = lambda: None
    ) -> str | None:
        """Let the graph run and say what it says; gives why it failed before its first word."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        started = asyncio.get_running_loop().create_future()
        self._start(self._run(running, pieces, started, failed))
        _ = self._say(_drain(pieces))
        error: str | None = await started
        return error

    async def _run(
        self,
        running: AsyncIterator[str],
        pieces: asyncio.Queue[str | None],
        started: asyncio.Future[str | None],
        failed: Callable[[], None],
    ) -> None:
        """Run the graph to its end even when the caller talks over the answer."""
        error: str | None = None
        try:
            async with aclosing(running) as spoken:  # type: ignore[type-var]
                async for piece in spoken:
                    pieces.put_nowait(piece)
                    if not started.done():
                        started.set_result(None)
        except Exception as exc:
            log.exception("a run that an operator asked for failed")
            failed()
            error = f"The graph failed: {type(exc).__name__}."
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
