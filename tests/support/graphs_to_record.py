"""Graphs with everything that a recorder must get right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt

Graph = Any  # CompiledStateGraph has four parameters that say nothing here


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    plan: str
    left: str
    right: str


@tool
def add(x: int, y: int) -> int:
    """The sum."""
    return x + y


@tool
def fall() -> str:
    """Always fails."""
    raise ValueError("no such ticket")


def _call(name: str, args: dict[str, Any]) -> dict[str, list[AnyMessage]]:
    call = {"name": name, "args": args, "id": f"call_{name}", "type": "tool_call"}
    return {"messages": [AIMessage("", tool_calls=[call])]}


def line(*nodes: tuple[str, Any], checkpointer: Any = None, name: str = "line") -> Graph:
    """Nodes one after the other."""
    graph = StateGraph(State)
    before = START
    for node, action in nodes:
        graph.add_node(node, action)
        graph.add_edge(before, node)
        before = node
    graph.add_edge(before, END)
    return graph.compile(checkpointer=checkpointer, name=name)


async def understand(state: State) -> dict[str, str]:
    return {"plan": "a plan"}


def sync_answer(state: State) -> dict[str, list[AnyMessage]]:
    return {"messages": [AIMessage("done")]}


async def approve(state: State) -> dict[str, str]:
    return {"plan": str(interrupt({"action_request": {"action": "create", "args": {}}}))}


async def writes(state: State) -> None:
    get_stream_writer()({"progress": 0.5})


def fails(state: State) -> None:
    raise ValueError("a node fails")


def simple(checkpointer: Any = None) -> Graph:
    """understand -> answer (a function that is not async)."""
    return line(("understand", understand), ("answer", sync_answer), checkpointer=checkpointer)


def approving(checkpointer: Any) -> Graph:
    """understand -> approve (asks a human) -> answer."""
    nodes = (("understand", understand), ("approve", approve), ("answer", sync_answer))
    return line(*nodes, checkpointer=checkpointer, name="approving")


def with_tools() -> Graph:
    """A node calls a tool, a tool node runs it, another one fails and is handled."""
    return line(
        ("call", lambda state: _call("add", {"x": 1, "y": 2})),
        ("tools", ToolNode([add, fall])),
        ("again", lambda state: _call("fall", {})),
        ("more", ToolNode([add, fall], handle_tool_errors=True)),
    )


class Speaker(BaseChatModel):
    """A model that streams three words and counts its tokens."""

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        said = AIMessage("hello from me", usage_metadata=USAGE)
        return ChatResult(generations=[ChatGeneration(message=said)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for text in ("hello ", "from ", "me"):
            usage = USAGE if text == "me" else None
            yield ChatGenerationChunk(message=AIMessageChunk(content=text, usage_metadata=usage))


USAGE = UsageMetadata(input_tokens=11, output_tokens=5, total_tokens=16)


def with_model() -> Graph:
    """A node asks a model."""

    async def think(state: State) -> dict[str, list[AnyMessage]]:
        return {"messages": [await Speaker().ainvoke(state.get("messages") or "hi")]}

    return line(("think", think))


def parallel() -> Graph:
    """Two branches at once, then one node."""
    meet = asyncio.Barrier(2)

    def branch(side: str) -> Any:
        async def run(state: State) -> dict[str, str]:
            await meet.wait()  # each waits for the other: they do run at once
            return {side: side}

        return run

    graph = StateGraph(State)
    graph.add_node("left_branch", branch("left"))
    graph.add_node("right_branch", branch("right"))
    graph.add_node("join", understand)
    graph.add_edge(START, "left_branch")
    graph.add_edge(START, "right_branch")
    graph.add_edge(["left_branch", "right_branch"], "join")
    graph.add_edge("join", END)
    return graph.compile()


def nested(checkpointer: Any = None) -> Graph:
    """A graph as a node of another; the inner one asks a human."""
    inner = StateGraph(State)
    inner.add_node("inner_ask", approve)
    inner.add_edge(START, "inner_ask")
    inner.add_edge("inner_ask", END)
    nodes = (("understand", understand), ("inside", inner.compile()), ("answer", sync_answer))
    return line(*nodes, checkpointer=checkpointer, name="nested")


def slow(entered: asyncio.Event) -> Graph:
    """A node that sets `entered` and never ends by itself."""

    async def wait(state: State) -> None:
        entered.set()
        await asyncio.Event().wait()

    return line(("understand", understand), ("wait", wait))


def jumping() -> Graph:
    """A node that goes on by a Command."""

    async def jump(state: State) -> Command[Any]:
        return Command(goto="answer", update={"plan": "jumped"})

    graph = StateGraph(State)
    graph.add_node("jump", jump, destinations=("answer",))
    graph.add_node("answer", sync_answer)
    graph.add_edge(START, "jump")
    graph.add_edge("answer", END)
    return graph.compile()
