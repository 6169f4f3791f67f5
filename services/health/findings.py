"""What a check is, and what it found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.clock import rfc3339


class Verdict(StrEnum):
    """How it stands, best first."""

    OK = "ok"
    UNKNOWN = "not known"
    WARNING = "warning"
    PROBLEM = "problem"


class Area(StrEnum):
    """Which part a check belongs to, in the order of reading."""

    LIVEKIT = "LiveKit"
    WEBHOOKS = "Webhooks"
    AGENTS = "Agents"
    DATABASE = "Database"
    DASHBOARD = "Dashboard"
    MACHINE = "This machine"
    BROWSER = "This browser"
    NETWORK = "From this browser to LiveKit"
    MICROPHONE = "Microphone and hearing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's outcome. All texts are plain; some quote names and errors of others.

    `mend` is what to do now, "" where there is nothing to do; `snippet` is what to type or to
    write into a file for it.
    """

    code: str  # stable: for programs that read the report
    area: Area
    name: str
    verdict: Verdict
    found: str
    why: str
    mend: str = ""
    snippet: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question with its reason; the four methods are its possible answers."""

    code: str
    area: Area
    name: str
    why: str

    def ok(self, found: str) -> Finding:
        """It is as it should be."""
        return self._finding(Verdict.OK, found)

    def unknown(self, found: str, mend: str = "", *, snippet: str = "") -> Finding:
        """It could not be told."""
        return self._finding(Verdict.UNKNOWN, found, mend, snippet)

    def warning(self, found: str, mend: str, *, snippet: str = "") -> Finding:
        """It works, and will or may not go on so."""
        return self._finding(Verdict.WARNING, found, mend, snippet)

    def problem(self, found: str, mend: str, *, snippet: str = "") -> Finding:
        """Something does not work."""
        return self._finding(Verdict.PROBLEM, found, mend, snippet)

    def _finding(self, verdict: Verdict, found: str, mend: str = "", snippet: str = "") -> Finding:
        return Finding(
            code=self.code,
            area=self.area,
            name=self.name,
            verdict=verdict,
            found=found,
            why=self.why,
            mend=mend,
            snippet=snippet,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All findings of one examination, in the order of `Area`."""

    at: datetime
    took_s: float
    complete: bool  # False: without the checks that open a room
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Verdict:
        """The worst that was found; OK where nothing is worse than not known."""
        found = {finding.verdict for finding in self.findings}
        return next((v for v in (Verdict.PROBLEM, Verdict.WARNING) if v in found), Verdict.OK)

    def count(self, verdict: Verdict) -> int:
        """How many findings of that verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)

    def summary(self) -> str:
        """`2 problems, 1 warning, 14 ok, 3 not known`; what is 0 is left out."""
        parts = []
        for verdict in (Verdict.PROBLEM, Verdict.WARNING, Verdict.OK, Verdict.UNKNOWN):
            if count := self.count(verdict):
                plural = "s" if count > 1 and verdict in {Verdict.PROBLEM, Verdict.WARNING} else ""
                parts.append(f"{count} {verdict}{plural}")
        return ", ".join(parts) or "nothing was checked"

    def text(self) -> str:
        """The report for a terminal, a ticket or a mail."""
        lines = [f"Switchboard's doctor, {rfc3339(self.at)}: {self.summary()}."]
        for area in Area:
            found = [finding for finding in self.findings if finding.area is area]
            if found:
                lines += ["", area.value]
            for finding in found:
                lines += _lines(finding)
        return "\n".join(lines) + "\n"


def _lines(finding: Finding) -> Iterable[str]:
    yield f"  [{finding.verdict:^9}]  {finding.name}: {finding.found}"
    if finding.verdict in {Verdict.WARNING, Verdict.PROBLEM}:
        yield f"{'':15}Why it matters: {finding.why}"
    if finding.mend:
        yield f"{'':15}What to do: {finding.mend}"
    for line in finding.snippet.splitlines():
        yield f"{'':17}{line}"
