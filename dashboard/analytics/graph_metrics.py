"""Drawing what happened on an agent's graph: how often, how long and how well each part ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import streamlit as st

from dashboard.analytics import time_range
from dashboard.analytics.latency import QUANTILES, quantile_cells
from dashboard.components.path_map import Fact, Traffic, path_map
from dashboard.ui import bridge, drill_down, nav
from dashboard.ui import format as fmt
from dashboard.ui.drill_down import COUNT, MS, Seen
from services.analytics.comparison import runs_failed
from services.analytics.metrics import Figures
from services.analytics.service import Report
from services.graphs import Drawing
from services.store.session_fields import NONE

_DRAWING_S: Final = 40.0  # a cold start imports every graph in a process of its own
_PATHS: Final = 50
_ENDS: Final = {"__start__": "start", "__end__": "end"}


def panel(report: Report) -> None:
    """The graph of one agent with its figures, then the same as tables."""
    agents = list(
        dict.fromkeys(agent for (agent, _), figures in report.versions.items() if figures.nodes())
    )
    if not agents:
        st.caption("No graph runs recorded in this period.")
        return
    agent = agents[0]
    if len(agents) > 1:
        agent = st.selectbox(
            "Agent", agents, format_func=fmt.plain, key=f"{time_range.KEY}.paths.agent", width=260
        )
    whose = report.scope.agent_name or agent
    of_agent = _of_agent(report, whose)
    whole = st.toggle("Show unused nodes", key=f"{time_range.KEY}.paths.whole")
    nodes, edges = _shape(of_agent.whole, _drawing(whose), whole=whole)
    chosen = path_map(
        nodes,
        edges,
        on_nodes=_on_nodes(of_agent),
        on_edges=_on_edges(of_agent),
        href=nav.link_url("sessions"),
        key=f"{time_range.KEY}.map",
    )
    if chosen:
        nav.go("sessions", **chosen)
    st.caption("Line width = frequency, red = failures. Click a node or an edge for details.")
    _node_table(of_agent)
    _edge_table(of_agent)
    _path_table(of_agent)


class _OfAgent:
    """The part of a report that one agent has."""

    def __init__(self, report: Report, agent: str, whole: Figures) -> None:
        self.report = report
        self.agent = agent
        self.whole = whole

    def find(self, **more: str) -> dict[str, str]:
        return time_range.find(self.report.scope, agent_name=self.agent or NONE, **more)

    def query(self, **more: str) -> str:
        return urlencode(self.find(**more), quote_via=quote)


def _of_agent(report: Report, agent: str) -> _OfAgent:
    mine = [figures for (name, _), figures in report.versions.items() if name == agent]
    counts: dict[str, int] = {}
    for figures in mine:
        for name, count in figures.counts.items():
            counts[name] = counts.get(name, 0) + count
    return _OfAgent(report, agent, Figures(counts))


def _drawing(agent: str) -> Drawing | None:
    """As LangGraph has it; None: it is not one of ours, or cannot be drawn."""
    runtime = bridge.runtime()
    if agent not in {entry.name for entry in runtime.graphs.all()}:
        return None
    with st.spinner("Loading the graph…"):
        return bridge.read(runtime.graphs.drawings, timeout_s=_DRAWING_S).get(agent)


def _shape(
    figures: Figures, drawing: Drawing | None, *, whole: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The graph as it is drawn, with what else was seen to run; or only what ran (not `whole`)."""
    drawn = drawing or Drawing()
    nodes = {
        str(one["id"]): _node(str(one["id"]), str(one.get("kind") or "")) for one in drawn.nodes
    }
    edges = {
        (str(one["source"]), str(one["target"])): {
            "source": str(one["source"]),
            "target": str(one["target"]),
            "label": "",
            "conditional": bool(one.get("conditional")),
        }
        for one in drawn.edges
    }
    for name in figures.nodes():
        nodes.setdefault(name, _node(name, ""))
    for source, target in figures.edges():
        for name in (source, target):
            nodes.setdefault(name, _node(name, ""))
        bare = {"source": source, "target": target, "label": "", "conditional": False}
        edges.setdefault((source, target), bare)
    if not whole:
        ran = {*figures.nodes(), *(name for edge in figures.edges() for name in edge)}
        nodes = {name: node for name, node in nodes.items() if name in ran}
        edges = {edge: one for edge, one in edges.items() if edge in set(figures.edges())}
    return list(nodes.values()), list(edges.values())


def _node(name: str, kind: str) -> dict[str, Any]:
    parent, _, last = name.rpartition(":")
    return {"id": name, "name": last, "kind": _ENDS.get(name, kind or "node"), "parent": parent}


def _on_nodes(mine: _OfAgent) -> Mapping[str, Traffic]:
    whole = mine.whole
    runs = {name: whole.spread(f"node|{name}").n for name in whole.nodes()}
    most = max(runs.values(), default=1) or 1
    found = {}
    for name, count in runs.items():
        mark = f"node|{name}"
        spread = whole.spread(mark)
        p95 = spread.quantile(0.95)
        failed, _ = runs_failed(whole, name)
        facts = [
            Fact(
                text=f"{fmt.count_text(count, 'run')} in {fmt.count_text(spread.sessions, 'session')}",
                query=mine.query(mark=mark),
            )
        ]
        if p95 is not None:
            facts.append(
                Fact(
                    text=f"p95 {fmt.latency(p95 / 1000)}: view slower sessions",
                    query=mine.query(mark=mark, mark_over_ms=f"{p95:.4g}"),
                )
            )
        for what, words in (
            ("errors", "failed"),
            ("asked", "interrupted"),
            ("cancelled", "cancelled"),
        ):
            if times := whole.counts.get(f"{mark}|{what}", 0):
                text = f"{times:,} {words}"
                facts.append(Fact(text=text, query=mine.query(mark=f"{mark}|{what}")))
        found[name] = Traffic(
            count=fmt.count_text(count, "run"),
            time=_times(spread.quantile(0.5), p95),
            share=count / most,
            failed=failed / count if count else 0.0,
            facts=tuple(facts),
        )
    return found


def _on_edges(mine: _OfAgent) -> Mapping[tuple[str, str], Traffic]:
    whole = mine.whole
    taken = {edge: whole.spread(f"edge|{edge[0]}|{edge[1]}") for edge in whole.edges()}
    most = max((spread.n for spread in taken.values()), default=1) or 1
    found = {}
    for edge, spread in taken.items():
        mark = f"edge|{edge[0]}|{edge[1]}"
        p95 = spread.quantile(0.95)
        failed = whole.counts.get(f"{mark}|errors", 0)
        facts = [
            Fact(
                text=f"taken {fmt.count_text(spread.n, 'time')} in "
                f"{fmt.count_text(spread.sessions, 'session')}",
                query=mine.query(mark=mark),
            ),
            Fact(text=f"between the nodes: {_times(spread.quantile(0.5), p95)}"),
        ]
        if failed:
            facts.append(
                Fact(text=f"{failed:,} failed after it", query=mine.query(mark=f"{mark}|errors"))
            )
        found[edge] = Traffic(
            count=fmt.number(spread.n),
            time=_times(spread.quantile(0.5), p95),
            share=spread.n / most,
            failed=failed / spread.n if spread.n else 0.0,
            facts=tuple(facts),
        )
    return found


def _times(median: float | None, p95: float | None) -> str:
    if median is None or p95 is None:
        return "not measured"
    return f"p50 {fmt.latency(median / 1000)} · p95 {fmt.latency(p95 / 1000)}"


def _counted(mine: _OfAgent, mark: str) -> Seen:
    count = mine.whole.counts.get(mark, 0)
    return Seen(count, mine.find(mark=mark) if count else None)


def _node_table(mine: _OfAgent) -> None:
    whole = mine.whole
    rows: list[Sequence[object]] = []
    for name in whole.nodes():
        mark = f"node|{name}"
        spread = whole.spread(mark)
        others = [_counted(mine, f"{mark}|{what}") for what in ("errors", "asked", "cancelled")]
        rows.append([fmt.plain(name), *quantile_cells(mine.find, mark, spread), *others])
    st.markdown("**Nodes**")
    drill_down.table(
        {
            "Node": None,
            "Runs": COUNT,
            **dict.fromkeys(QUANTILES, MS),
            "Failed": COUNT,
            "Interrupts": COUNT,
            "Cancelled": COUNT,
        },
        rows,
        key=f"{time_range.KEY}.nodes",
        alt="Runs, latency and failures of each node",
    )


def _edge_table(mine: _OfAgent) -> None:
    rows: list[Sequence[object]] = []
    for source, target in mine.whole.edges():
        mark = f"edge|{source}|{target}"
        cells = quantile_cells(mine.find, mark, mine.whole.spread(mark))
        named = [fmt.plain(one.strip("_")) for one in (source, target)]
        rows.append([*named, *cells, _counted(mine, f"{mark}|errors")])
    st.markdown("**Edges**")
    drill_down.table(
        {
            "From": None,
            "To": None,
            "Taken": COUNT,
            **dict.fromkeys(QUANTILES, MS),
            "Failed after": COUNT,
        },
        rows,
        key=f"{time_range.KEY}.edges",
        alt="How often each edge was taken, and the time between its nodes",
    )


def _path_table(mine: _OfAgent) -> None:
    paths = list(mine.whole.named("path").items())
    total = sum(count for _, count in paths)
    rows = [
        [
            fmt.plain(name.replace("-", " → ")),
            Seen(count, mine.find(mark=f"path|{name}")),
            count / total,
        ]
        for name, count in paths[:_PATHS]
    ]
    st.markdown("**Paths**")
    drill_down.table(
        {
            "Path (nodes in order of their first run)": None,
            "Graph runs": COUNT,
            "Share": drill_down.SHARE,
        },
        rows,
        key=f"{time_range.KEY}.paths",
        alt="Paths of graph runs, the most frequent first",
    )
