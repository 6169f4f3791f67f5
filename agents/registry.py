"""The graphs of langgraph.json, loaded as LangGraph's own CLI would load them.

`"name": "./folder/file.py:variable"`, or an object with that as its `path`. The variable is a
compiled graph, a `StateGraph`, or a function (async or not) that gives one. Beside it a module may
define hooks by their names, as docs/your-own-agent.md says: `waiting(state) -> str`, what to say
while a human's answer is awaited.

`python -m agents.registry --describe` prints each graph's nodes and edges as JSON.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from langgraph.graph.state import CompiledStateGraph, StateGraph

from services.errors import ConfigError
from services.graphs import GraphEntry, Graphs
from services.settings import Settings, load_settings
from switchboard_recorder.graphs import described

_MODULES: Final[dict[Path, ModuleType]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentGraph:
    """A graph that can be talked to, and what its module says beside it."""

    name: str
    graph: Any  # CompiledStateGraph with our checkpointer
    waiting: Callable[[dict[str, Any]], str] | None = None


def agent_names(settings: Settings) -> tuple[str, ...]:
    """The agents of langgraph.json, in its order. Raises ConfigError."""
    return tuple(entry.name for entry in Graphs(settings.switchboard_langgraph_json).all())


async def load_graph(
    name: str, checkpointer: Any, *, settings: Settings | None = None
) -> AgentGraph:
    """The graph of that name, compiled with `checkpointer`.

    Raises:
        ConfigError: there is none, or it cannot be loaded; one sentence says why.
    """
    file = (settings or load_settings()).switchboard_langgraph_json
    entry = _entry(file, name)
    module, variable = _module(file, entry)
    made = await _made(entry, getattr(module, variable))
    waiting = getattr(module, "waiting", None)
    return AgentGraph(
        name=name,
        graph=_with_checkpointer(entry, made, checkpointer),
        waiting=waiting if callable(waiting) else None,
    )


def _entry(file: Path, name: str) -> GraphEntry:
    entries = {entry.name: entry for entry in Graphs(file).all()}
    if name not in entries:
        raise ConfigError(
            f"There is no graph {name!r}.",
            hint=f"langgraph.json names: {', '.join(entries) or 'none'}.",
        )
    return entries[name]


def _module(file: Path, entry: GraphEntry) -> tuple[ModuleType, str]:
    where, _, variable = entry.path.rpartition(":")
    path = (file.parent / where).resolve()
    try:
        module = _MODULES.get(path) or _import(path)
    except (Exception, SystemExit) as exc:  # a script that was named by mistake may exit
        raise ConfigError(
            f"The graph {entry.name!r} cannot be loaded: {type(exc).__name__}: {exc}.",
            hint=f"langgraph.json says {entry.path}.",
        ) from exc
    _MODULES[path] = module
    if not hasattr(module, variable):
        raise ConfigError(
            f"The graph {entry.name!r} cannot be loaded: {path.name} has no {variable}.",
            hint=f"langgraph.json says {entry.path}.",
        )
    return module, variable


def _import(path: Path) -> ModuleType:
    """By its dotted name where it lies in a package that can be imported, else by its path."""
    for folder in map(Path, sys.path):
        if folder.is_absolute() and path.is_relative_to(folder):
            parts = path.relative_to(folder).with_suffix("").parts
            packages = [folder.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts))]
            if packages and all(package.is_file() for package in packages):
                return importlib.import_module(".".join(parts))
    spec = importlib.util.spec_from_file_location(
        f"_graph_{path.stem}_{hash(path) & 0xFFFFFF}", path
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


async def _made(entry: GraphEntry, value: Any) -> Any:
    """What the variable stands for; a factory is called as LangGraph's CLI calls it."""
    if isinstance(value, CompiledStateGraph | StateGraph):
        return value
    if not callable(value):
        raise ConfigError(f"The graph {entry.name!r} is a {type(value).__name__}, not a graph.")
    config: Mapping[str, Any] = {"configurable": {}}
    try:
        made = value(config) if inspect.signature(value).parameters else value()
        return await made if inspect.isawaitable(made) else made
    except Exception as exc:
        raise ConfigError(
            f"The graph {entry.name!r} cannot be made: {type(exc).__name__}: {exc}."
        ) from exc


def _with_checkpointer(entry: GraphEntry, made: Any, checkpointer: Any) -> Any:
    if isinstance(made, StateGraph):
        try:
            return made.compile(checkpointer=checkpointer, name=entry.name)
        except Exception as exc:
            raise ConfigError(
                f"The graph {entry.name!r} does not compile: {type(exc).__name__}: {exc}."
            ) from exc
    if isinstance(made, CompiledStateGraph):
        return made.copy(update={"checkpointer": checkpointer})
    raise ConfigError(f"The graph {entry.name!r} is a {type(made).__name__}, not a graph.")


# -- describing


async def describe(settings: Settings) -> dict[str, dict[str, Any]]:
    """Each graph's `nodes` (id, name, kind), `edges` (source, target, label, conditional), `error`.

    `error` is "", or why there are no nodes.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in agent_names(settings):
        try:
            loaded = await load_graph(name, None, settings=settings)
            drawn = described(loaded.graph)
            found[name] = {"nodes": drawn["nodes"], "edges": drawn["edges"], "error": ""}
        except ConfigError as exc:
            found[name] = {"nodes": [], "edges": [], "error": str(exc)}
        except Exception as exc:  # noqa: BLE001 - one that cannot be drawn hides no other
            why = f"The graph {name!r} cannot be drawn: {type(exc).__name__}: {exc}."
            found[name] = {"nodes": [], "edges": [], "error": why}
    return found


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):  # a graph's module may print; our answer is JSON alone
        told = asyncio.run(describe(load_settings()))
    print(json.dumps(told))  # noqa: T201 - its one purpose
