"""What a check is, and what it finds. Overview, doctor, alerts and diagnosis all show findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.clock import rfc3339


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    STARTING = "starting"  # it is on its way; look again
    UNKNOWN = "unknown"
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
    """One check's result. All texts are plain; some quote names and errors of others.

    `fix` is what to do now, "" for nothing; `snippet` is what to type or to write into a file for
    it. `label` is the status in one or two words where the check has better ones than the status.
    """

    code: str  # stable: for programs that read the report
    area: Area
    name: str
    status: Status
    message: str
    impact: str
    fix: str = ""
    snippet: str = ""
    label: str = ""
    progress: float | None = None  # 0 to 1, while something is being built

    @property
    def bad(self) -> bool:
        """Whether somebody has to do something."""
        return self.status in {Status.WARNING, Status.PROBLEM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question and why it matters; the methods are its possible answers."""

    code: str
    area: Area
    name: str
    impact: str

    def ok(self, message: str, *, label: str = "") -> Finding:
        """It is as it should be."""
        return self._finding(Status.OK, message, label=label)

    def starting(self, message: str, *, label: str = "", progress: float | None = None) -> Finding:
        """It is on its way."""
        found = self._finding(
            Status.STARTING, message, "Wait a moment, then check again.", label=label
        )
        return replace(found, progress=progress)

    def unknown(
        self, message: str, fix: str = "", *, snippet: str = "", label: str = ""
    ) -> Finding:
        """Nobody can tell."""
        return self._finding(Status.UNKNOWN, message, fix, snippet=snippet, label=label)

    def warning(self, message: str, fix: str, *, snippet: str = "", label: str = "") -> Finding:
        """It works, and may soon not."""
        return self._finding(Status.WARNING, message, fix, snippet=snippet, label=label)

    def problem(self, message: str, fix: str, *, snippet: str = "", label: str = "") -> Finding:
        """Something does not work."""
        return self._finding(Status.PROBLEM, message, fix, snippet=snippet, label=label)

    def _finding(
        self, status: Status, message: str, fix: str = "", *, snippet: str = "", label: str = ""
    ) -> Finding:
        return Finding(
            code=self.code,
            area=self.area,
            name=self.name,
            status=status,
            message=message,
            impact=self.impact,
            fix=fix,
            snippet=snippet,
            label=label,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All findings of one examination, in the order of `Area`."""

    at: datetime
    took_s: float
    complete: bool  # False: without the checks that open a room
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Status:
        """The worst status; OK where there is neither a problem nor a warning."""
        found = {finding.status for finding in self.findings}
        return next((v for v in (Status.PROBLEM, Status.WARNING) if v in found), Status.OK)

    def count(self, status: Status) -> int:
        """How many findings have that status."""
        return sum(finding.status is status for finding in self.findings)

    def summary(self) -> str:
        """`2 problems, 1 warning, 14 ok, 3 unknown`; what is 0 is left out."""
        parts = []
        for status in (Status.PROBLEM, Status.WARNING, Status.OK, Status.STARTING, Status.UNKNOWN):
            if count := self.count(status):
                plural = "s" if count > 1 and status in {Status.PROBLEM, Status.WARNING} else ""
                parts.append(f"{count} {status}{plural}")
        return ", ".join(parts) or "no checks ran"

    def text(self) -> str:
        """The report for a terminal, a ticket or an e-mail."""
        lines = [f"Switchboard doctor, {rfc3339(self.at)}: {self.summary()}."]
        for area in Area:
            found = [finding for finding in self.findings if finding.area is area]
            if found:
                lines += ["", area.value]
            for finding in found:
                lines += _lines(finding)
        return "\n".join(lines) + "\n"


def _lines(finding: Finding) -> Iterable[str]:
    yield f"  [{finding.status:^8}]  {finding.name}: {finding.message}"
    if finding.bad:
        yield f"{'':14}Impact: {finding.impact}"
    if finding.fix:
        yield f"{'':14}Fix: {finding.fix}"
    for line in finding.snippet.splitlines():
        yield f"{'':16}{line}"
