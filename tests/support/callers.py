"""Who acts in a test."""

from __future__ import annotations

from services.access.permissions import Caller, Role


def person(name: str = "operator", role: Role = Role.ADMIN) -> Caller:
    """Somebody at a page, who may do everything unless told otherwise."""
    return Caller(name=name, via="page", role=role)
