"""What an alert rule is: what it watches, from which threshold on, how grave, how often it is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from services.errors import InvalidInputError
from services.store.records import SavedItem

NAME_MOST: Final = 80
QUIET_MOST_MIN: Final = 24 * 60


class Watch(StrEnum):
    """What a rule looks at."""

    AGENT_MISSING = "agent_missing"
    LATENCY = "latency_p95"
    ERRORS = "error_rate"
    INTERRUPT = "interrupt_waiting"
    STUCK = "session_stuck"
    WEBHOOKS = "webhook_gap"
    WORKER = "worker_down"


class Severity(StrEnum):
    """How grave it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a rule of this metric measures, and the bounds of its threshold."""

    title: str
    unit: str  # of the threshold; "": a plain number
    usual: float
    least: float
    most: float


KINDS: Final = MappingProxyType(
    {
        Watch.AGENT_MISSING: Kind(
            title="Agent missing",
            unit="s",
            usual=30,
            least=5,
            most=3600,
        ),
        Watch.LATENCY: Kind(
            title="p95 latency (15 min)",
            unit="ms",
            usual=2000,
            least=100,
            most=60_000,
        ),
        Watch.ERRORS: Kind(
            title="Error rate (1 h)",
            unit="%",
            usual=10,
            least=0,
            most=99,
        ),
        Watch.INTERRUPT: Kind(
            title="Interrupt pending",
            unit="s",
            usual=60,
            least=5,
            most=86_400,
        ),
        Watch.STUCK: Kind(
            title="Session stuck",
            unit="s",
            usual=300,
            least=10,
            most=86_400,
        ),
        Watch.WEBHOOKS: Kind(
            title="Missed webhooks (10 min)",
            unit="",
            usual=0,
            least=0,
            most=10_000,
        ),
        Watch.WORKER: Kind(
            title="No worker available",
            unit="s",
            usual=30,
            least=5,
            most=3600,
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """`agent_name` None: of any agent. `quiet_min`: so long nothing is posted of it again."""

    name: str
    watch: Watch
    threshold: float
    severity: Severity = Severity.WARNING
    agent_name: str | None = None
    quiet_min: int = 30
    enabled: bool = True
    saved_by: str = ""

    def checked(self) -> AlertRule:
        """The rule with its name made plain.

        Raises:
            InvalidInputError: the name, the threshold or the cooldown is out of bounds.
        """
        name = " ".join(self.name.split())
        if not 0 < len(name) <= NAME_MOST:
            raise InvalidInputError(
                f"A rule name must have 1 to {NAME_MOST} characters.",
                hint="Enter a name.",
                field="name",
            )
        kind = KINDS[self.watch]
        if not kind.least <= self.threshold <= kind.most:
            raise InvalidInputError(
                f"The threshold must be between {kind.least:g} and {kind.most:g}.",
                hint=f"The unit is {kind.unit}." if kind.unit else "",
                field="threshold",
            )
        if not 0 <= self.quiet_min <= QUIET_MOST_MIN:
            raise InvalidInputError(
                f"The cooldown must be 0 to {QUIET_MOST_MIN} minutes.", field="quiet_min"
            )
        return AlertRule(**{**_values(self), "name": name})

    def options(self) -> dict[str, Any]:
        """As it is kept."""
        values = _values(self)
        return {key: values[key] for key in values if key not in {"name", "saved_by"}}


def rule_of(kept: SavedItem) -> AlertRule:
    """The rule that was kept so."""
    options = dict(kept.options)
    return AlertRule(
        name=kept.name,
        saved_by=kept.saved_by,
        watch=Watch(options.pop("watch")),
        severity=Severity(options.pop("severity")),
        **options,
    )


def _values(rule: AlertRule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in AlertRule.__dataclass_fields__}
