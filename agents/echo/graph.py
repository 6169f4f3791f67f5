"""echo: says back what it heard. One file, and one line in langgraph.json."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages


class EchoState(TypedDict, total=False):
    """`messages` is what both said; `over` ends the call."""

    messages: Annotated[list[AnyMessage], add_messages]
    over: bool


async def answer(state: EchoState) -> dict[str, Any]:
    """Greet an empty thread, say back what was heard, and take a good-bye for the end."""
    messages = state.get("messages") or []
    if not messages:
        return {"messages": [AIMessage("Hello, this is echo. Say something.")]}
    heard = messages[-1].text
    if "bye" in heard.lower():
        return {"messages": [AIMessage("Good-bye.")], "over": True}
    return {"messages": [AIMessage(f"You said: {heard}")]}


builder = StateGraph(EchoState)
builder.add_node("answer", answer)
builder.add_edge(START, "answer")
builder.add_edge("answer", END)
graph = builder.compile()
