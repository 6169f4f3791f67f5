"""What is known of the embedded livekit-server at one moment, and how patient we are with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path


class Phase(StrEnum):
    """What the embedded server is about."""

    LOOKING = "looking"
    BUILDING = "building"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"  # stays so until `restart()`
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedState:
    """One moment. `message` is a sentence for people, `hint` what they can do about it."""

    phase: Phase
    message: str
    hint: str = ""
    progress: float | None = None  # 0..1 while building
    pid: int | None = None  # livekit-server's own
    url: str = ""
    binary: Path | None = None
    restarts: int = 0  # starts after the first one
    since: datetime  # when this phase began
    error: str = ""  # what went wrong last, as the machine said it


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Every wait of the supervisor, in seconds."""

    check_s: float = 1.0
    check_timeout_s: float = 2.0
    check_at_start_s: float = 0.05
    start_deadline_s: float = 20.0
    missed_checks: int = 4  # so many in a row: it hangs
    backoff_first_s: float = 0.25
    backoff_most_s: float = 30.0
    healthy_s: float = 60.0  # after so long a run, back-off begins anew
    lock_s: float = 1.0
    lock_patience_s: float = 10.0  # a dashboard that is just closing
    log_s: float = 0.5
