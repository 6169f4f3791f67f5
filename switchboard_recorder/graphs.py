"""What a graph looks like, from LangGraph's own `get_graph`."""

from __future__ import annotations

from typing import Any, Final

_MOST: Final = 300


def described(graph: Any) -> dict[str, Any]:
    """`graph_described`: nodes[{id, name, kind}], edges[{source, target, label, conditional}]."""
    drawn = graph.get_graph(xray=True)
    return {
        "graph": str(getattr(graph, "name", "") or "graph"),
        "nodes": [
            {"id": str(node.id), "name": str(node.name), "kind": _kind(node)}
            for node in list(drawn.nodes.values())[:_MOST]
        ],
        "edges": [
            {
                "source": str(edge.source),
                "target": str(edge.target),
                "label": "" if edge.data is None else str(edge.data)[:100],
                "conditional": bool(edge.conditional),
            }
            for edge in list(drawn.edges)[: _MOST * 3]
        ],
    }


def graph_of(session: Any) -> Any | None:
    """The graph inside a session whose LLM is LiveKit's LangChain adapter; None for any other."""
    for holder in (getattr(session, "_agent", None), session):
        graph = getattr(getattr(holder, "llm", None), "_graph", None)
        if callable(getattr(graph, "get_graph", None)):
            return graph
    return None


def _kind(node: Any) -> str:
    match str(node.id).rpartition(":")[2]:
        case "__start__":
            return "start"
        case "__end__":
            return "end"
    name = type(node.data).__name__
    return {"ToolNode": "tools", "CompiledStateGraph": "graph"}.get(name, "node")
