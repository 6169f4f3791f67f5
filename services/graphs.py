"""Which agents there are: the graphs that `langgraph.json` names. Nothing of theirs is imported."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from services.errors import ConfigError, InvalidInputError
from services.settings import PROJECT_DIR

_DESCRIBE_S: Final = 30.0  # a cold start imports LangGraph and every graph


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEntry:
    """An agent: its name is the graph's name, and LiveKit's agent name."""

    name: str
    path: str  # "./agents/pm_agent/graph.py:graph"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A graph's nodes and edges, as LangGraph's `get_graph` has them; or why there are none."""

    nodes: tuple[Mapping[str, Any], ...] = ()  # id, name, kind
    edges: tuple[Mapping[str, Any], ...] = ()  # source, target, label, conditional
    error: str = ""


def check_agents_installed(what: str) -> None:
    """Say what to install, where only requirements-core.txt is.

    Raises:
        ConfigError: what only agents need is not installed; `what` cannot do without.
    """
    if find_spec("livekit.agents") is None:
        raise ConfigError(
            f"{what} needs LiveKit Agents, which is not installed here.",
            hint="requirements-core.txt leaves it out. Install all: "
            "pip install -r requirements.txt",
        )


class Graphs:
    """The graphs of `langgraph.json`, read again when the file changes."""

    def __init__(self, file: Path, *, describe_s: float = _DESCRIBE_S) -> None:
        self._file = file
        self._describe_s = describe_s
        self._read_at_ns = -1
        self._entries: dict[str, GraphEntry] = {}
        self._drawings: dict[str, Drawing] = {}
        self._drawn_of: frozenset[tuple[Path, int]] | None = None
        self._drawing = asyncio.Lock()
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

    async def drawings(self) -> Mapping[str, Drawing]:
        """Each graph's drawing by its name; made by a process of its own, and kept.

        The graphs are others' code: it runs there, bounded in time, and not in here. Made anew
        when langgraph.json changes or a Python file beside a graph; what failed is tried again.
        """
        async with self._drawing:
            files = await asyncio.to_thread(self._files)
            if files != self._drawn_of:
                self._drawings, whole = await self._draw()
                self._drawn_of = files if whole else None
            return self._drawings

    def _files(self) -> frozenset[tuple[Path, int]]:
        """What a drawing depends on, and when each was changed (ns)."""
        files = {self._file}
        for entry in self.all():
            files |= set((self._file.parent / entry.path.rpartition(":")[0]).parent.glob("*.py"))
        return frozenset((file, file.stat().st_mtime_ns) for file in files if file.is_file())

    async def _draw(self) -> tuple[dict[str, Drawing], bool]:
        """The drawings, and whether the process came to its end."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agents.registry",
            "--describe",
            cwd=PROJECT_DIR,
            env={**os.environ, "SWITCHBOARD_LANGGRAPH_JSON": str(self._file.resolve())},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        err = b""
        try:
            async with asyncio.timeout(self._describe_s):
                out, err = await process.communicate()
            told = json.loads(out)
        except (TimeoutError, ValueError):
            said = _last_line(err) if process.returncode is not None else "it took too long"
            failed = Drawing(error=f"It could not be drawn: {said}")
            return {entry.name: failed for entry in self.all()}, False
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        drawings = {
            name: Drawing(
                nodes=tuple(one["nodes"]), edges=tuple(one["edges"]), error=str(one["error"])
            )
            for name, one in told.items()
        }
        return drawings, True

    def known(self, name: str) -> GraphEntry:
        """The graph of that name.

        Raises:
            InvalidInputError: there is none; the hint names those that there are.
        """
        names = {entry.name: entry for entry in self.all()}
        if name not in names:
            raise InvalidInputError(
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


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "no reason was told"
