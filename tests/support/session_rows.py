"""A session as lists show it, for tests that need no store."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from services.clock import utc_now
from services.ids import new_session_id
from services.store.session_fields import FIELDS, SessionField, SessionRow


def session_row() -> SessionRow:
    """One of which nothing is known but that it was created: empty, 0 or None."""
    values = {name: _empty(one) for name, one in FIELDS.items()}
    return SessionRow(**values | {"session_id": new_session_id()})


def _empty(one: SessionField) -> Any:
    if one.optional:
        return None
    if one.kind is datetime:
        return utc_now()
    return next(iter(one.kind)) if issubclass(one.kind, StrEnum) else one.kind()
