"""One LangGraph thread, talked to turn by turn: what goes in is text, what comes out is speech.

Knows no LiveKit: a call, a test and a text chat use it alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, Protocol

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.types import Command, Interrupt, StateSnapshot

Graph = Any
"""A compiled LangGraph graph; its generic parameters are of no use here."""

WAITING: Final = "One moment please, I am still waiting for an answer from a colleague."
CUT_OFF: Final = "Sorry, I was cut off for a moment."
FAILED: Final = "Sorry, something went wrong on my side. Could you say that again?"


class Runs(Protocol):
    """What runs a graph and writes down what it does: a `switchboard_recorder.Recorder`."""

    def run(
        self,
        graph: Graph,
        input: Any,  # noqa: A002 - LangGraph's own word
        config: Any = None,
        *,
        cause: str = "message",
    ) -> AsyncGenerator[Any, None]:
        """The graph's stream parts: `{"type", "ns", "data"}`."""
        ...


class NotAtRestError(Exception):
    """A run is under way, or would be in the middle: the state cannot be changed now."""


class NotPendingError(Exception):
    """The interrupt is not one that the graph waits for: it was answered, or never asked."""


class GraphThread:
    """The thread of one session. One run at a time; a cancelled run leaves the last checkpoint."""

    def __init__(
        self,
        graph: Graph,
        runs: Runs,
        *,
        thread_id: str,
        configurable: Mapping[str, str],
        waiting: Callable[[dict[str, Any]], str] | None = None,
    ) -> None:
        self._graph = graph
        self._runs = runs
        self._config = {"configurable": {**configurable, "thread_id": thread_id}}
        self._waiting = waiting
        self._turn = asyncio.Lock()
        self._values: dict[str, Any] = {}
        self._said: set[str] = set()  # ids of messages that were spoken, or are from before
        self._claimed: set[str] = set()  # interrupts that somebody's answer is for
        self._coaching: list[str] = []
        self.pending: tuple[Interrupt, ...] = ()

    async def open(self) -> None:
        """Read where the thread stands; a new one is empty."""
        await self._look()
        self._said = {m.id for m in self._messages() if m.id}

    @property
    def fresh(self) -> bool:
        """Whether nothing has happened in it yet."""
        return not self._values

    @property
    def over(self) -> bool:
        """Whether the graph has said good-bye (`over` in its state)."""
        return self._values.get("over") is True

    async def begin(self) -> AsyncIterator[str]:
        """The greeting of a new thread; else where the conversation stood."""
        if self.fresh:
            async with aclosing(self._run({"messages": []}, "other")) as spoken:
                async for text in spoken:
                    yield text
            return
        yield f"{CUT_OFF} "
        if self.pending:
            yield self._waiting_text()
        elif last := next((m for m in reversed(self._messages()) if _speech(m)), None):
            yield _speech(last)

    async def reply(self, text: str) -> AsyncIterator[str]:
        """What the graph answers to what the caller said."""
        if self.pending:  # a new run would leave the question behind
            yield self._waiting_text()
            return
        graph_input: dict[str, Any] = {"messages": [HumanMessage(text)]}
        if self._coaching:
            graph_input["coaching"], self._coaching = self._coaching, []
        async with aclosing(self._run(graph_input, "message")) as spoken:
            async for piece in spoken:
                yield piece

    def claim(self, interrupt_id: str) -> None:
        """Take an interrupt for one answer: no await stands between looking and taking.

        Raises:
            NotPendingError: the graph does not wait for it, or it is taken.
        """
        if interrupt_id in self._claimed or interrupt_id not in {i.id for i in self.pending}:
            raise NotPendingError(interrupt_id)
        self._claimed.add(interrupt_id)

    def release(self, interrupt_id: str) -> None:
        """Give a claimed interrupt back, when its answer could not be used."""
        self._claimed.discard(interrupt_id)

    async def resume(self, interrupt_id: str, decision: Any) -> AsyncIterator[str]:
        """What the graph says after a claimed interrupt is answered."""
        resume: Command[Any] = Command(resume={interrupt_id: decision})
        async with aclosing(self._run(resume, "resume")) as spoken:
            async for piece in spoken:
                yield piece

    async def edit(
        self, values: Mapping[str, Any], checkpoint_id: str = ""
    ) -> tuple[StateSnapshot, bool]:
        """Change channels of the state, from its newest checkpoint or from an earlier one on.

        LangGraph merges what it merges (messages, say). Gives the state after it, and whether the
        graph asked a human before: then `rerun` has it ask again.

        Raises:
            NotAtRestError: a run is under way, or that checkpoint lies in the middle of one.
            KeyError: the graph has no such channel, or no such checkpoint.
        """
        if self._turn.locked() or self._claimed:
            raise NotAtRestError
        async with self._turn:
            if unknown := sorted(set(values) - set(self._graph.stream_channels_list)):
                raise KeyError(unknown[0])
            asked = bool(self.pending)
            config: dict[str, Any] = {"configurable": dict(self._config["configurable"])}
            if checkpoint_id:
                config["configurable"] |= {"checkpoint_id": checkpoint_id, "checkpoint_ns": ""}
            before = await self._graph.aget_state(config)
            if checkpoint_id and not before.created_at:
                raise KeyError(checkpoint_id)
            if before.next and not before.interrupts:
                raise NotAtRestError
            await self._graph.aupdate_state(config, dict(values) or None)
            await self._look()
            self._said |= {m.id for m in self._messages() if m.id}
            state: StateSnapshot = await self._graph.aget_state(self._config)
            return state, asked and bool(state.next)

    async def rerun(self) -> AsyncIterator[str]:
        """Run on from where the state stands, after an edit."""
        async with aclosing(self._run(None, "other")) as spoken:
            async for piece in spoken:
                yield piece

    def whisper(self, text: str) -> None:
        """Keep a remark for the graph's next run; the caller does not hear it."""
        self._coaching.append(text)

    # -- inside

    async def _run(self, graph_input: Any, cause: str) -> AsyncGenerator[str, None]:
        async with self._turn:
            streamed: set[str] = set()
            began = False
            try:
                parts = self._runs.run(self._graph, graph_input, self._config, cause=cause)
                async with aclosing(parts) as running:
                    async for part in running:
                        for text, begins in self._spoken(part, streamed):
                            yield f" {text}" if begins and began else text
                            began = True
            finally:
                await asyncio.shield(self._look())  # a barge-in cancels us in here

    def _spoken(self, part: Mapping[str, Any], streamed: set[str]) -> list[tuple[str, bool]]:
        """What of this part is to be spoken, and whether it begins a message.

        Each message once, a streamed one as it comes.
        """
        if part["type"] == "messages":
            message, about = part["data"]
            if not isinstance(message, AIMessage) or "nostream" in (about.get("tags") or ()):
                return []
            is_chunk = type(message).__name__ == "AIMessageChunk"
            if is_chunk:
                text, begins = _text(message), message.id not in streamed
                if text:
                    streamed.add(message.id or "")
                return [(text, begins)] if text else []
            return self._say_once([message], streamed)
        if part["type"] == "checkpoints" and not part.get("ns"):  # a subgraph's state is its own
            self._values = dict(part["data"]["values"])
            return self._say_once(self._messages(), streamed)
        return []

    def _say_once(self, messages: list[BaseMessage], streamed: set[str]) -> list[tuple[str, bool]]:
        texts: list[tuple[str, bool]] = []
        for message in messages:
            if message.id is None or message.id in self._said:
                continue
            self._said.add(message.id)
            if message.id not in streamed and (text := _speech(message)):
                texts.append((text, True))
        return texts

    async def _look(self) -> None:
        state = await self._graph.aget_state(self._config)
        self._values = dict(state.values)
        self.pending = tuple(state.interrupts)
        self._claimed &= {interrupt.id for interrupt in self.pending}

    def _messages(self) -> list[BaseMessage]:
        return list(self._values.get("messages") or ())

    def _waiting_text(self) -> str:
        return self._waiting(self._values) if self._waiting is not None else WAITING


def _speech(message: BaseMessage) -> str:
    """The text of an answer; "" for what is not one: a person's words, a call of a tool."""
    return _text(message) if isinstance(message, AIMessage) else ""


def _text(message: BaseMessage) -> str:
    return str(message.text)
