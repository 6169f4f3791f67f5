"""A recorded call, said again to a graph: does it go the same way, and answer the same?

What the tests call that the dashboard makes of sessions ("Make this a test"). Needs no LiveKit and
no network of its own; the graph has a data folder that is gone afterwards.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from langgraph.checkpoint.memory import InMemorySaver

from agents.registry import load_graph
from agents.thread import Graph, GraphThread

_MODES: Final = ("tasks", "checkpoints", "messages", "custom")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """What is looked at after a turn. None, empty: not looked at."""

    path: str | None = None
    """The nodes in the order of their super-steps: `hear > questions + risks > propose`."""
    answer: str | None = None
    """All that the agent says in this turn, to the letter."""
    contains: Sequence[str] = ()
    """Words that its answer has, in whatever case."""
    cut_off_after: int | None = None
    """The caller spoke on: the run ends after so many saved states, and nothing is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begins(_Checked):
    """The call begins; most agents greet."""


@dataclass(frozen=True, slots=True)
class Says(_Checked):
    """The caller says `text`; `coaching` is what the agent was told beside it."""

    text: str
    coaching: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Decides(_Checked):
    """A human answers what the graph asks. `asked`: what it must ask; None: anything."""

    decision: Any
    asked: Any = None


Turn: TypeAlias = Begins | Says | Decides


class PlainRuns:
    """Runs a graph as a recorder does, and writes nothing down."""

    async def run(
        self,
        graph: Graph,
        input: Any,  # noqa: A002 - LangGraph's own word
        config: Any = None,
        *,
        cause: str = "message",
    ) -> AsyncGenerator[Any, None]:
        """The graph's stream parts."""
        stream = graph.astream(input, config, stream_mode=list(_MODES), version="v2")
        async with aclosing(stream) as parts:
            async for part in parts:
                yield part


class _Watched(PlainRuns):
    """Notes the path, and ends a run that the caller cut off where it was cut off."""

    def __init__(self) -> None:
        self.steps: list[list[str]] = []
        self.stop_after: int | None = None

    async def run(
        self,
        graph: Graph,
        input: Any,  # noqa: A002 - LangGraph's own word
        config: Any = None,
        *,
        cause: str = "message",
    ) -> AsyncGenerator[Any, None]:
        """The same parts, up to where the run is to end."""
        self.steps, saved, seen = [[]], 0, set[str]()
        async with aclosing(super().run(graph, input, config, cause=cause)) as parts:
            async for part in parts:
                if part["type"] == "tasks" and not part.get("ns"):
                    task = part["data"]
                    if task["id"] not in seen:  # it comes twice: when it begins and with a result
                        seen.add(task["id"])
                        self.steps[-1].append(str(task["name"]))
                elif part["type"] == "checkpoints" and not part.get("ns"):
                    self.steps.append([])
                    saved += 1
                yield part
                if self.stop_after is not None and saved >= self.stop_after:
                    return

    @property
    def path(self) -> str:
        """The nodes of the last run, super-step by super-step."""
        return " > ".join(" + ".join(sorted(step)) for step in self.steps if step)


async def replay(agent: str, turns: Sequence[Turn], *, user_id: str = "") -> None:
    """Say the turns to the graph of that name in langgraph.json.

    Raises:
        AssertionError: a turn went another way or was answered otherwise; it says which.
        ConfigError: there is no such graph, or it cannot be loaded.
    """
    with _own_data_dir():
        loaded = await load_graph(agent, InMemorySaver())
        runs = _Watched()
        thread = GraphThread(
            loaded.graph,
            runs,
            thread_id="replay",
            configurable={"session_id": "replay", "user_id": user_id},
            waiting=loaded.waiting,
        )
        await thread.open()
        for number, turn in enumerate(turns, start=1):
            where = f"Turn {number} of {len(turns)}, {_named(turn)}"
            runs.steps, runs.stop_after = [], turn.cut_off_after
            answer = "".join([piece async for piece in _spoken(thread, turn, where)])
            if turn.cut_off_after is None:
                _check(turn, where, path=runs.path, answer=answer)


@contextmanager
def _own_data_dir() -> Iterator[None]:
    """What a graph keeps in the data folder (tickets, say) must be there for this replay alone."""
    name = "SWITCHBOARD_DATA_DIR"
    before = os.environ.get(name)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ[name] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before


def _spoken(thread: GraphThread, turn: Turn, where: str) -> AsyncIterator[str]:
    match turn:
        case Begins():
            return thread.begin()
        case Says():
            for remark in turn.coaching:
                thread.whisper(remark)
            return thread.reply(turn.text)
        case Decides():
            waiting = [one.id for one in thread.pending if turn.asked in (None, one.value)]
            asks = [one.value for one in thread.pending]
            _expect(bool(waiting), f"{where}: was asked {turn.asked!r}, now it asks {asks!r}")
            thread.claim(waiting[0])
            return thread.resume(waiting[0], turn.decision)


def _check(turn: Turn, where: str, *, path: str, answer: str) -> None:
    if turn.path is not None:
        _expect(path == turn.path, f"{where}: its path was {turn.path!r}, now it is {path!r}")
    if turn.answer is not None:
        told = f"{where}: the answer was {turn.answer!r}, now it is {answer!r}"
        _expect(answer == turn.answer, told)
    for words in turn.contains:
        _expect(words.lower() in answer.lower(), f"{where}: {words!r} is not in {answer!r}")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _named(turn: Turn) -> str:
    match turn:
        case Begins():
            return "the beginning"
        case Says():
            return f"{turn.text!r}"
        case Decides():
            return f"the decision {turn.decision!r}"
