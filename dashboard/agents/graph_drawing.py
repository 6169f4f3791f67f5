"""Drawing a graph as it is made: nodes, edges, and which edges are taken on a condition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

_ENDS: Final = {"__start__": "start", "__end__": "end"}
_INK: Final = {
    "light": ("#17212D", "#6B7A8C", "#EAF1FC", "#1F5FBF"),
    "dark": ("#E4EAF1", "#8796A8", "#152A47", "#5B9BF0"),
}
_MOST: Final = 200  # nodes; a drawing of more is no help


def graph_chart(
    nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]], *, key: str, name: str
) -> None:
    """`nodes` have `id` and `name`; `edges` have `source`, `target`, `conditional`, `label`."""
    if len(nodes) > _MOST:
        st.caption(f"The graph has {len(nodes):,} nodes, too many to display.")
        return
    theme = str(getattr(st.context.theme, "type", None) or "light")
    st.graphviz_chart(dot(nodes, edges, theme=theme), width="content", height="content")
    paths = "; ".join(f"{e['source']} to {e['target']}" for e in edges)
    st.caption(f"{len(nodes)} nodes.", help=f"{name}: {paths}")


def dot(
    nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]], *, theme: str
) -> str:
    """The drawing in Graphviz's language. Names that others chose are quoted, never markup."""
    ink, line, fill, edge = _INK.get(theme, _INK["light"])
    lines = [
        "digraph {",
        'rankdir=LR; bgcolor="transparent"; nodesep=0.25; ranksep=0.35;',
        f'node [shape=box style="rounded,filled" fontname="Inter" fontsize=11 margin="0.14,0.07" '
        f'height=0.3 color="{edge}" fillcolor="{fill}" fontcolor="{ink}"];',
        f'edge [color="{line}" fontname="Inter" fontsize=9 fontcolor="{line}" arrowsize=0.6];',
    ]
    for node in nodes:
        name = str(node["id"])
        label = _ENDS.get(name, str(node.get("name") or name))
        round_ = f' shape=ellipse fillcolor="transparent" color="{line}"' if name in _ENDS else ""
        lines.append(f"{_quoted(name)} [label={_quoted(label)}{round_}];")
    for one in edges:
        style = " style=dashed" if one.get("conditional") else ""
        label = str(one.get("label") or "")
        lines.append(
            f"{_quoted(str(one['source']))} -> {_quoted(str(one['target']))} "
            f"[label={_quoted(label)}{style}];"
        )
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    """A DOT string: JSON's quoting, but a backslash would begin one of Graphviz's own escapes."""
    return json.dumps(text.replace("\\", "\\\\")[:80], ensure_ascii=False)
