"""The graph of pm-agent: stand-up by phone, risks and questions at once, tickets by approval.

hear -> greet | ask | explain | repeat | recall | hold | part
hear -> risks + questions -> propose -> approve (a human) -> create -> tools -> summarise
"""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode

from agents.pm_agent.llm import Mind, mind_of
from agents.pm_agent.nodes import (
    Nodes,
    after_hearing,
    after_proposing,
    after_summing_up,
    ticket_tool,
)
from agents.pm_agent.state import PMState
from agents.pm_agent.tickets import FILE, TicketStore
from agents.pm_agent.words import waiting
from services.settings import load_settings

__all__ = ["build", "graph", "waiting"]


def build(mind: Mind, store: TicketStore) -> StateGraph[PMState, Any, PMState, PMState]:
    """The graph over a mind and a ticket store, not compiled yet."""
    nodes = Nodes(mind, lambda: store)
    builder = StateGraph(PMState)
    for node in (
        nodes.hear, nodes.greet, nodes.ask, nodes.explain, nodes.repeat, nodes.recall, nodes.hold,
        nodes.risks, nodes.questions, nodes.propose, nodes.approve, nodes.create, nodes.summarise,
        nodes.part,
    ):  # fmt: skip
        builder.add_node(node.__name__, node)
    tools = ToolNode([ticket_tool(lambda: store)], messages_key="orders", handle_tool_errors=True)
    builder.add_node("tools", tools)
    builder.add_edge(START, "hear")
    ways = ["greet", "ask", "explain", "repeat", "recall", "hold", "part", "risks", "questions"]
    ways += ["propose", "create", "summarise", END]
    builder.add_conditional_edges("hear", after_hearing, ways)
    for speaks in ("greet", "ask", "explain", "repeat", "recall", "part"):
        builder.add_edge(speaks, END)
    builder.add_edge("hold", "approve")
    builder.add_edge("risks", "propose")
    builder.add_edge("questions", "propose")
    builder.add_conditional_edges("propose", after_proposing, ["approve", "summarise"])
    builder.add_edge("create", "tools")
    builder.add_edge("tools", "summarise")
    builder.add_conditional_edges("summarise", after_summing_up, ["part", END])
    return builder


def graph() -> StateGraph[PMState, Any, PMState, PMState]:
    """What langgraph.json names: by the settings' model, tickets in the data folder."""
    settings = load_settings()
    return build(
        mind_of(settings.pm_agent_model), TicketStore(settings.switchboard_data_dir / FILE)
    )
