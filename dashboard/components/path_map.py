"""An agent's graph with what happened on it, drawn in the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import streamlit as st

from dashboard.components.bundle import stub

_CSS: Final = ":host {\n  display: block;\n  min-block-size: 222px;\n}\n"
_QUERY_MOST: Final = 2_000

_component = st.components.v2.component("switchboard_path_map", js=stub("path_map"), css=_CSS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A figure in words, and the query of the page that lists what it counts; "": nothing does."""

    text: str
    query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What happened on a node or an edge.

    `share`: its part of the most on any, `failed`: the part of its runs that failed; 0 to 1.
    """

    count: str
    time: str
    share: float
    failed: float
    facts: tuple[Fact, ...]


def path_map(
    nodes: Sequence[Mapping[str, Any]],
    edges: Sequence[Mapping[str, Any]],
    *,
    on_nodes: Mapping[str, Traffic],
    on_edges: Mapping[tuple[str, str], Traffic],
    href: str,
    key: str,
) -> dict[str, str]:
    """Draw it; gives, in one run only, the query that the reader chose to follow.

    `nodes` have `id`, `name`, `kind`, `parent`; `edges` have `source`, `target`, `label`,
    `conditional`. `href`: the page that the queries are for. What comes back is the browser's word.
    """
    result = _component(
        key=key,
        data={
            "href": href,
            "nodes": [dict(node) for node in nodes],
            "edges": [dict(edge) for edge in edges],
            "onNodes": {node: asdict(traffic) for node, traffic in on_nodes.items()},
            "onEdges": {"|".join(edge): asdict(one) for edge, one in on_edges.items()},
        },
        on_see_change=_heard,
    )
    chosen = result.see
    return dict(parse_qsl(chosen[:_QUERY_MOST])) if isinstance(chosen, str) else {}


def _heard() -> None:
    """A trigger reruns by itself; it only needs a callback to be let through."""
