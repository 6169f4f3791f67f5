"""What sessions are marked with (`services.analytics.session_metrics`), in words."""

from __future__ import annotations

from typing import Final

from dashboard.ui import format as fmt
from services.analytics.comparison import PART_WORDS

_WORDS: Final = {
    ("node",): "visited node {0}",
    ("node", "errors"): "failed in node {0}",
    ("node", "asked"): "raised an interrupt in node {0}",
    ("node", "cancelled"): "were cancelled in node {0}",
    ("edge",): "took the edge {0} → {1}",
    ("edge", "errors"): "failed after the edge {0} → {1}",
    ("path",): "took the path {0}",
    ("part",): "have a measured time for {0}",
    ("waited",): "had an interrupt in {0} answered",
    ("unanswered",): "had an unanswered interrupt in {0}",
    ("outcome",): "have the outcome: {0}",
    ("cause",): "failed with: {0}",
    ("score",): "have the scorecard answer {1} to: {0}",
    ("duration",): "have ended",
}
_NAMES: Final = {"edge": 2, "score": 2, "duration": 0}


def mark_words(mark: str, over_ms: float | None = None) -> str:
    """`node|route|errors` is "failed in the node route"; a mark of no such kind stays as it is."""
    first, *rest = mark.split("|")
    count = _NAMES.get(first, 1)
    words = _WORDS.get((first, *rest[count:]))
    if words is None or len(rest) < count:
        return fmt.plain(mark)
    names = rest[:count]
    if first == "part" and (label := PART_WORDS.get(rest[0])):
        names = [label[0].lower() + label[1:]]
    said = words.format(*map(fmt.plain, names))
    if over_ms:
        said += f", with {fmt.latency(over_ms / 1000)} or more"
    return said
