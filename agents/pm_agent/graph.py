"""The smallest graph of pm-agent that compiles: it answers with what it heard.

The voice agent itself is not built yet, and no worker runs this graph.
"""

from __future__ import annotations

from typing import TypedDict

from langgraph.graph import END, START, StateGraph


class PMState(TypedDict, total=False):
    """Graph state of pm-agent."""

    heard: str
    answer: str


async def respond(state: PMState) -> PMState:
    """Answer with what was heard."""
    return {"answer": state.get("heard", "")}


_builder = StateGraph(PMState)
_builder.add_node("respond", respond)
_builder.add_edge(START, "respond")
_builder.add_edge("respond", END)
graph = _builder.compile(name="pm-agent")
