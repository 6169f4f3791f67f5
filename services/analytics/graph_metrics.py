"""The ways that a session took through its graph, counted: nodes, edges, paths, what was asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from services.analytics.tally import Tally, ms_between, part
from services.events import Event, Kind

START: Final = "__start__"
END: Final = "__end__"
COUNTED: Final = (
    Kind.GRAPH_DESCRIBED, Kind.RUN_STARTED, Kind.RUN_FINISHED, Kind.RUN_FAILED, Kind.NODE_STARTED,
    Kind.NODE_FINISHED, Kind.INTERRUPT_RAISED, Kind.INTERRUPT_RESUMED, Kind.AGENT_ERROR,
    Kind.REDISPATCH_EXHAUSTED,
)  # fmt: skip
"""Kinds of events that are read for it."""
OF_EVENTS: Final = frozenset({"node", "edge", "path", "waited", "unanswered", "cause"})
"""First parts of the names that are counted of them."""
_PATH: Final = 12  # nodes of one path

Edges = set[tuple[str, str]]


@dataclass(slots=True)
class _Visit:
    node: str
    ns: str
    step: int
    run: str
    began: datetime
    ended: datetime | None = None


@dataclass(slots=True)
class _Run:
    resumed: bool = False
    visits: list[_Visit] = field(default_factory=list)


def count_ways(tally: Tally, events: Sequence[Event]) -> None:
    """Count what a session's events tell of its graph; `events` in the order of happening."""
    ways = _Ways(tally, _edges(events))  # an agent may describe its graph later than it runs
    for event in events:
        ways.take(event)
    ways.finish()


class _Ways:
    def __init__(self, tally: Tally, edges: Edges) -> None:
        self._tally = tally
        self._edges = edges
        self._runs: defaultdict[str, _Run] = defaultdict(_Run)
        self._under_way: dict[tuple[str, str], _Visit] = {}
        self._asked: dict[str, tuple[str, datetime]] = {}
        self._takes: Mapping[Kind, Callable[[Event], None]] = {
            Kind.RUN_STARTED: self._run_started,
            Kind.RUN_FINISHED: self._run_finished,
            Kind.RUN_FAILED: self._run_failed,
            Kind.NODE_STARTED: self._node_started,
            Kind.NODE_FINISHED: self._node_finished,
            Kind.INTERRUPT_RAISED: self._raised,
            Kind.INTERRUPT_RESUMED: self._resumed,
            Kind.AGENT_ERROR: self._error,
            Kind.REDISPATCH_EXHAUSTED: self._given_up,
        }

    def take(self, event: Event) -> None:
        """Count one event; those of other kinds pass."""
        if (take := self._takes.get(event.kind)) is not None:
            take(event)

    def finish(self) -> None:
        """There are no more events."""
        for node, _ in self._asked.values():
            self._tally.mark(f"unanswered|{node}")

    # -- runs and nodes

    def _run_started(self, event: Event) -> None:
        self._run(event).resumed = event.data.get("cause") == "resume"

    def _run_finished(self, event: Event) -> None:
        run = self._run(event)
        if not event.data.get("interrupts") and not event.data.get("next"):
            self._way_out(run, event.at)
        nodes = list(dict.fromkeys(visit.node for visit in run.visits))
        if nodes:
            more = "-…" if len(nodes) > _PATH else ""
            name = f"path|{'-'.join(nodes[:_PATH])}{more}"
            if self._tally.has_room(name):
                self._tally.mark(name)

    def _run_failed(self, event: Event) -> None:
        if not event.data.get("cancelled"):  # by a caller who broke in
            self._tally.mark(f"cause|graph: {part(_class(event.data.get('error')))}")

    def _node_started(self, event: Event) -> None:
        visit = _visit(event)
        self._under_way[(visit.run, _text(event.data, "task"))] = visit
        self._run(event).visits.append(visit)

    def _node_finished(self, event: Event) -> None:
        data, tally = event.data, self._tally
        key = (_text(data, "run"), _text(data, "task"))
        visit = self._under_way.pop(key, None) or _visit(event)
        name = f"node|{visit.node}"
        if not tally.has_room(name):
            return
        failed = False
        if data.get("interrupted"):  # it runs again when the answer comes
            tally.mark(f"{name}|asked")
        elif data.get("cancelled"):
            tally.mark(f"{name}|cancelled")
        else:
            visit.ended = event.at
            ms = data.get("ms")
            tally.time(name, ms if isinstance(ms, int | float) else 0.0)
            if failed := bool(data.get("error")):
                tally.mark(f"{name}|errors")
        for source, since in self._sources(visit):
            waited_ms = ms_between(since, visit.began) if since else 0.0
            self._edge(source, visit.node, waited_ms, failed=failed)

    def _sources(self, visit: _Visit) -> list[tuple[str, datetime | None]]:
        """What led to a visit: of the nodes with an edge to it, those that ended last before it."""
        run = self._runs[visit.run]
        leads = {source for source, target in self._edges if target == visit.node}
        before = [
            (one.ended, one)
            for one in run.visits
            if one.ended is not None
            and one.ended <= visit.began
            and one is not visit
            and (one.node in leads if leads else one.ns == visit.ns and one.step < visit.step)
        ]
        if before:
            _, last = max(before, key=lambda pair: pair[0])
            beside = ((one.node, ended) for ended, one in before if _together(one, last))
            return list(dict(beside).items())
        enters = START in leads or not self._edges
        return [(START, None)] if enters and not run.resumed else []

    def _way_out(self, run: _Run, at: datetime) -> None:
        """From what ended last, as far as the graph has an edge there."""
        over = [(visit.ended, visit) for visit in run.visits if visit.ended is not None]
        if not over:
            return
        _, last = max(over, key=lambda pair: pair[0])
        for ended, visit in over:
            if (visit.node, END) in self._edges and _together(visit, last):
                self._edge(visit.node, END, ms_between(ended, at), failed=False)

    def _edge(self, source: str, target: str, ms: float, *, failed: bool) -> None:
        name = f"edge|{source}|{target}"
        if self._tally.has_room(name):
            self._tally.time(name, ms)
            if failed:
                self._tally.mark(f"{name}|errors")

    def _run(self, event: Event) -> _Run:
        return self._runs[_text(event.data, "run")]

    # -- questions and failures

    def _raised(self, event: Event) -> None:
        asked = (part(event.data.get("node")) or "graph", event.at)
        self._asked.setdefault(_text(event.data, "interrupt_id"), asked)

    def _resumed(self, event: Event) -> None:
        asked = self._asked.pop(_text(event.data, "interrupt_id"), None)
        if asked is not None:
            node, since = asked
            self._tally.time(f"waited|{node}", ms_between(since, event.at))

    def _error(self, event: Event) -> None:
        went_on = ", went on" if event.data.get("recoverable") else ""
        self._tally.mark(f"cause|{part(event.data.get('source')) or 'agent'}{went_on}")

    def _given_up(self, _: Event) -> None:
        self._tally.mark("cause|agent lost")


def _edges(events: Sequence[Event]) -> Edges:
    described = (event.data.get("edges") for event in events if event.kind is Kind.GRAPH_DESCRIBED)
    return {
        (part(edge.get("source")), part(edge.get("target")))
        for edges in described
        if isinstance(edges, list)
        for edge in edges
        if isinstance(edge, dict)
    }


def _together(one: _Visit, other: _Visit) -> bool:
    """In the same super-step of the same graph."""
    return (one.ns, one.step) == (other.ns, other.step)


def _visit(event: Event) -> _Visit:
    """A subgraph's nodes have the names of the graphs around them before their own."""
    data = event.data
    step = data.get("step")
    ns = _text(data, "ns")
    outer = [name for one in ns.split("|") if (name := one.partition(":")[0])]
    return _Visit(
        node=part(":".join([*outer, _text(data, "node")])),
        ns=ns,
        step=step if isinstance(step, int) else 0,
        run=_text(data, "run"),
        began=event.at,
    )


def _class(error: object) -> str:
    """`ValueError: …` without what it says, which may be anything."""
    name = str(error or "").partition(":")[0].strip()
    return name if name.replace("_", "").replace(".", "").isalnum() else "error"


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""
