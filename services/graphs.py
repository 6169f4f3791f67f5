"""Which agents there are: the graphs that `langgraph.json` names. Nothing of theirs is imported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from services.errors import BadInputError, ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEntry:
    """An agent: its name is the graph's name, and LiveKit's agent name."""

    name: str
    path: str  # "./agents/pm_agent/graph.py:graph"


class Graphs:
    """The graphs of `langgraph.json`, read again when the file changes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at_ns = -1
        self._entries: dict[str, GraphEntry] = {}
        self.all()  # a bad file stops the start

    def all(self) -> tuple[GraphEntry, ...]:
        """Every graph, in the order of the file.

        Raises:
            ConfigError: the file is missing or not what LangGraph's CLI would take.
        """
        try:
            changed_at_ns = self._file.stat().st_mtime_ns
            if changed_at_ns != self._read_at_ns:
                graphs = json.loads(self._file.read_text(encoding="utf-8"))["graphs"]
                self._entries = {name: _entry(name, spec) for name, spec in graphs.items()}
                self._read_at_ns = changed_at_ns
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as exc:
            raise ConfigError(
                f"{self._file.name} cannot be used ({type(exc).__name__}: {exc}).",
                hint='It looks like {"graphs": {"my-agent": "./agents/my_agent/graph.py:graph"}}.',
            ) from exc
        return tuple(self._entries.values())

    def known(self, name: str) -> GraphEntry:
        """The graph of that name.

        Raises:
            BadInputError: there is none; the hint names those that there are.
        """
        names = {entry.name: entry for entry in self.all()}
        if name not in names:
            raise BadInputError(
                f"There is no agent {name!r}.",
                hint=f"langgraph.json names: {', '.join(names) or 'none'}.",
                field="agent_id",
            )
        return names[name]


def _entry(name: str, spec: object) -> GraphEntry:
    path = spec.get("path") if isinstance(spec, dict) else spec
    if not isinstance(path, str) or ":" not in path:
        raise ValueError(f"graph {name!r} needs a path like ./file.py:graph")
    return GraphEntry(name=name, path=path)
