"""Who acts, and what each may do: roles for people, scopes for programs with an API key."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from services.errors import PermissionDeniedError


class Role(StrEnum):
    """What a person may do; each role may do all that those before it may."""

    VIEWER = "viewer"
    QA = "qa"
    OPERATOR = "operator"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a program with an API key may do: only what its key names."""

    READ = "read"
    SESSIONS = "sessions"
    ROOMS = "rooms"
    AGENTS = "agents"
    REVIEWS = "reviews"
    LISTEN = "listen"
    TOKENS = "tokens"
    EXPORT = "export"
    ADMIN = "admin"


class Permission(StrEnum):
    """One thing that somebody may be allowed to do."""

    READ = "read"
    EXPORT = "export"
    REVIEW = "review"
    KEEP = "keep"
    LISTEN = "listen"
    TEST = "test"
    ANSWER = "answer"
    COMMAND = "command"
    JOIN = "join"
    END = "end"
    ROOMS = "rooms"
    TOKENS = "tokens"
    EXAMINE = "examine"
    DELETE = "delete"
    KEYS = "keys"
    AUDIT = "audit"
    RESTART = "restart"
    ALERTS = "alerts"


@dataclass(frozen=True, slots=True)
class Rule:
    """The least role that has a right, the scope that a key needs for it, and what it is."""

    role: Role
    scope: Scope
    what: str  # completes "You may not …"


RULES: Final = MappingProxyType(
    {
        Permission.READ: Rule(Role.VIEWER, Scope.READ, "view all pages"),
        Permission.EXPORT: Rule(Role.QA, Scope.EXPORT, "export sessions"),
        Permission.REVIEW: Rule(Role.QA, Scope.REVIEWS, "write notes, tags and reviews"),
        Permission.KEEP: Rule(Role.QA, Scope.REVIEWS, "save presets and views"),
        Permission.LISTEN: Rule(Role.QA, Scope.LISTEN, "listen in on calls"),
        Permission.TEST: Rule(Role.QA, Scope.SESSIONS, "start sessions"),
        Permission.ANSWER: Rule(Role.QA, Scope.AGENTS, "answer interrupts"),
        Permission.COMMAND: Rule(Role.OPERATOR, Scope.AGENTS, "send commands to agents"),
        Permission.JOIN: Rule(Role.OPERATOR, Scope.LISTEN, "join a call"),
        Permission.END: Rule(Role.OPERATOR, Scope.SESSIONS, "end sessions of other users"),
        Permission.ROOMS: Rule(Role.OPERATOR, Scope.ROOMS, "manage rooms"),
        Permission.TOKENS: Rule(Role.OPERATOR, Scope.TOKENS, "create access tokens"),
        Permission.ALERTS: Rule(Role.OPERATOR, Scope.ADMIN, "manage alert rules"),
        Permission.EXAMINE: Rule(Role.OPERATOR, Scope.ADMIN, "run health checks"),
        Permission.DELETE: Rule(Role.ADMIN, Scope.ADMIN, "delete sessions"),
        Permission.KEYS: Rule(Role.ADMIN, Scope.ADMIN, "manage API keys"),
        Permission.AUDIT: Rule(Role.ADMIN, Scope.ADMIN, "read the audit log"),
        Permission.RESTART: Rule(Role.ADMIN, Scope.ADMIN, "restart servers"),
    }
)
_ORDER: Final = tuple(Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who acts. A person has a role, a program with an API key its scopes.

    `address` is where the request came from, "" where that is not known.
    """

    name: str
    via: Literal["page", "api", "key", "ours"]
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    address: str = ""

    def may(self, right: Permission) -> bool:
        """Whether this is allowed."""
        if self.via == "ours":
            return True
        if self.role is None:
            return RULES[right].scope in self.scopes
        return _ORDER.index(self.role) >= _ORDER.index(RULES[right].role)

    def check(self, right: Permission) -> None:
        """Raise PermissionDeniedError, which says what it takes, where this is not allowed."""
        if self.may(right):
            return
        rule = RULES[right]
        if self.role is None:
            raise PermissionDeniedError(
                f"This API key may not {rule.what}.",
                hint=f"Use a key with the scope “{rule.scope}”.",
            )
        raise PermissionDeniedError(
            f"You may not {rule.what}.",
            hint=f"This requires the role “{rule.role}”; yours is “{self.role}”. Ask an admin.",
        )

    @property
    def title(self) -> str:
        """The role, or what the key may do, in words."""
        return self.role.value if self.role is not None else ", ".join(sorted(self.scopes))


SYSTEM_PRINCIPAL: Final = Caller(name="", via="ours")
"""Switchboard itself: what it does by its own rules, such as ending what is over."""
