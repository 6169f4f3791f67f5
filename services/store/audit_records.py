"""Rows of the audit log and of API keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One action. `outcome` is `done`, `cancelled` or the code of what was raised."""

    id: str
    at: datetime
    actor: str
    role: str
    via: str
    address: str
    action: str
    target: str
    outcome: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """What to look for; None: any. `text` stands in the actor, the action or the target."""

    text: str | None = None
    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Entries, newest first; `next_cursor` goes on, None: there are no more."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRecord:
    """An API key without its secret, of which only the hash is kept."""

    id: str
    name: str
    scopes: tuple[str, ...]
    secret_sha256: str
    made_by: str
    made_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
