"""What the dashboard asks of the agent: each command once, in order, answered always."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from switchboard_recorder.events import EventKind
from switchboard_recorder.protocol import Action, Command, Outcome
from switchboard_recorder.times import now

log = logging.getLogger(__name__)

HANDLER_S: Final = 60.0
"""A command that is not carried out by then has failed."""
_REMEMBERED: Final = 1_000
_WAITING: Final = 100
_GRAPH: Final = frozenset({Action.ANSWER_INTERRUPT, Action.WHISPER, Action.UPDATE_STATE})

current_command: ContextVar[str] = ContextVar("switchboard_command", default="")
"""The id of the command whose handler runs, in it and in every task that it starts."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a command went; `detail` is for the operator."""

    outcome: Outcome
    detail: str = ""


Handler: TypeAlias = Callable[[Command], Awaitable[Reply]]
Emit: TypeAlias = Callable[..., None]


class Commands:
    """Takes commands from the socket and answers each by a `command_completed` event.

    Those that touch the graph run one at a time, the others one at a time beside them.
    """

    def __init__(self, emit: Emit, *, handler_s: float = HANDLER_S) -> None:
        self._emit = emit
        self._handler_s = handler_s
        self._handler: Handler | None = None
        self._answers: OrderedDict[str, Reply | None] = OrderedDict()  # None: not answered yet
        self._lanes: dict[bool, asyncio.Queue[Command]] = {}
        self._aio_tasks: list[asyncio.Task[None]] = []
        self.actions: tuple[str, ...] = ()

    def handle(self, handler: Handler, actions: tuple[str, ...]) -> None:
        """Who carries them out from now on, and which."""
        self._handler, self.actions = handler, actions

    def take(self, command: Command) -> None:
        """A command has come. On the recorder's loop; returns at once."""
        if command.command_id in self._answers:
            if (known := self._answers[command.command_id]) is not None:
                self._tell(command.command_id, known)
            return  # else its answer is on the way
        if (refusal := self._refusal(command)) is not None:
            self._answer(command.command_id, refusal)
            return
        lane = self._lane(command.action in _GRAPH)
        if lane.qsize() >= _WAITING:
            self._answer(command.command_id, _refused("Too many commands are waiting."))
            return
        self._answers[command.command_id] = None
        lane.put_nowait(command)

    async def aclose(self) -> None:
        """Stop; a command in progress is given up."""
        for aio_task in self._aio_tasks:
            aio_task.cancel()
        await asyncio.gather(*self._aio_tasks, return_exceptions=True)

    def _lane(self, graph: bool) -> asyncio.Queue[Command]:
        if graph not in self._lanes:
            lane = self._lanes[graph] = asyncio.Queue()
            self._aio_tasks.append(
                asyncio.create_task(self._work(lane), name="switchboard-commands")
            )
        return self._lanes[graph]

    async def _work(self, lane: asyncio.Queue[Command]) -> None:
        while True:
            command = await lane.get()
            # it may have waited behind another one
            reply = self._refusal(command) or await self._carry_out(command)
            self._answer(command.command_id, reply)

    def _refusal(self, command: Command) -> Reply | None:
        if command.expires_at <= now():
            return _refused("It came after its time was over.")
        if command.action not in {action.value for action in Action}:
            return _refused("This agent's recorder does not know that action.")
        if self._handler is None or command.action not in self.actions:
            return _refused("This agent cannot do that.")
        return None

    async def _carry_out(self, command: Command) -> Reply:
        assert self._handler is not None  # noqa: S101  # _refusal has looked
        token = current_command.set(command.command_id)
        try:
            async with asyncio.timeout(self._handler_s):
                reply: Any = await self._handler(command)
        except TimeoutError:
            return Reply(Outcome.FAILED, f"It was not done within {self._handler_s:g} s.")
        except Exception as exc:  # noqa: BLE001  # the agent's own code; its call goes on
            log.warning("A command failed: %s.", type(exc).__name__)
            return Reply(Outcome.FAILED, f"{type(exc).__name__}: {exc}"[:500])
        finally:
            current_command.reset(token)
        return reply if isinstance(reply, Reply) else Reply(Outcome.DONE)

    def _answer(self, command_id: str, reply: Reply) -> None:
        self._answers[command_id] = reply
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        self._tell(command_id, reply)

    def _tell(self, command_id: str, reply: Reply) -> None:
        self._emit(
            EventKind.COMMAND_COMPLETED,
            command_id=command_id,
            outcome=reply.outcome.value,
            detail=reply.detail,
        )


def _refused(why: str) -> Reply:
    return Reply(Outcome.REFUSED, why)
