"""What sessions are marked with (`services.analytics.session_metrics`), in words."""

from __future__ import annotations

from typing import Final

from dashboard.ui import format as fmt

_WORDS: Final = {
    ("node",): "went through the node {0}",
    ("node", "errors"): "failed in the node {0}",
    ("node", "asked"): "asked a human in the node {0}",
    ("node", "cancelled"): "were cut off in the node {0}",
    ("edge",): "went from {0} to {1}",
    ("edge", "errors"): "failed on the way from {0} to {1}",
    ("path",): "took the path {0}",
    ("part",): "have a measured time of {0}",
    ("waited",): "had a question of {0} answered",
    ("unanswered",): "had a question of {0} that nobody answered",
    ("outcome",): "ended as: {0}",
    ("cause",): "failed by: {0}",
    ("score",): "have the answer {1} to: {0}",
    ("duration",): "are over",
}
_NAMES: Final = {"edge": 2, "score": 2, "duration": 0}


def mark_words(mark: str, over_ms: float | None = None) -> str:
    """`node|route|errors` is "failed in the node route"; a mark of no such kind stays as it is."""
    first, *rest = mark.split("|")
    count = _NAMES.get(first, 1)
    words = _WORDS.get((first, *rest[count:]))
    if words is None or len(rest) < count:
        return fmt.plain(mark)
    said = words.format(*map(fmt.plain, rest[:count]))
    if over_ms:
        said += f", with {fmt.latency(over_ms / 1000)} or more"
    return said
