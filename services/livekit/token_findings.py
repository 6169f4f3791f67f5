"""A finding of the token lint, and what the rules look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import SecretStr

from services.livekit.grants import Grants
from services.livekit.token_presets import Holder
from services.livekit.token_request import TokenRequest


class Severity(StrEnum):
    """How bad it is, worst first."""

    DANGER = "danger"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to know. `code` is stable; `field` is the part of the request it is about."""

    code: str
    severity: Severity
    message: str
    hint: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the rules look at, be it asked for or found in a token."""

    says: TokenRequest
    holder: Holder
    lifetime: timedelta | None  # None: it never ends
    begins_at: datetime | None
    egress: str  # the recording part of the room configuration as JSON, or ""
    size_bytes: int
    secrets: Mapping[str, SecretStr]  # of the keys that sign it, by API key
    now: datetime
    agent_hosts_session: bool | None

    @property
    def grants(self) -> Grants:
        return self.says.grants

    @property
    def outside(self) -> bool:
        """Whether it is in hands that are not a program of ours."""
        return self.holder in {Holder.PERSON, Holder.OBSERVER}


Rule = Callable[[Subject], Iterator[Finding]]


def danger(code: str, field: str, message: str, hint: str) -> Finding:
    """Somebody could do harm with it."""
    return Finding(code=code, severity=Severity.DANGER, message=message, hint=hint, field=field)


def warning(code: str, field: str, message: str, hint: str) -> Finding:
    """More than is needed, or it will surprise."""
    return Finding(code=code, severity=Severity.WARNING, message=message, hint=hint, field=field)


def notice(code: str, field: str, message: str, hint: str) -> Finding:
    """Good to know."""
    return Finding(code=code, severity=Severity.NOTICE, message=message, hint=hint, field=field)
