"""One table of figures, with medians, tails and ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what was measured, what came out, and what we want it to be."""

    what: str
    figure: str
    budget: str = ""


@dataclass(slots=True)
class Report:
    """Collects rows; prints them as they come and as a Markdown table at the end."""

    rows: list[Row] = field(default_factory=list)

    def add(self, what: str, figure: str, budget: str = "") -> None:
        """Add a row."""
        self.rows.append(Row(what, figure, budget))
        print(f"  {what}: {figure}" + (f"  (budget: {budget})" if budget else ""), flush=True)

    def markdown(self) -> str:
        """All rows as a table."""
        lines = ["| measured | figure | budget |", "|---|---|---|"]
        lines += [f"| {row.what} | {row.figure} | {row.budget} |" for row in self.rows]
        return "\n".join(lines)


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which the share `q` of them lies; nan for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))] if ordered else float("nan")


def spread(values_ms: Sequence[float]) -> str:
    """`p50 / p95 ms (n)`."""
    p50, p95 = quantile(values_ms, 0.5), quantile(values_ms, 0.95)
    return f"{p50:.1f} / {p95:.1f} ms (n={len(values_ms)})"
