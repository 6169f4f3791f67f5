"""What is taken away: the sessions of a view as a table; one session as JSON, its transcript, its timeline for Perfetto, or as a test.

Each but the test is written piece by piece, so that a long session needs no more memory than a
short one. docs/exports.md says what is in them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.access.audit_log import AuditLog
from services.access.authorization import guarded, note
from services.access.permissions import Caller, Permission
from services.clock import Now
from services.exports.chrome_trace import as_chrome
from services.exports.pytest_case import as_pytest
from services.exports.session_json import as_json
from services.exports.sessions_table import MEDIA_TYPES, TableFormat, as_table
from services.exports.transcript import as_csv, as_text, as_vtt
from services.store.records import SessionRecord
from services.store.session_search import Order, SessionFilter
from services.store.store import Store


class Format(StrEnum):
    """What a session can be written as."""

    JSON = "json"
    TEXT = "txt"
    VTT = "vtt"
    CSV = "csv"
    CHROME = "chrome"
    PYTEST = "pytest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A file: its name (letters, digits, `-`, `_` and `.` alone), its media type, its text."""

    name: str
    media_type: str
    pieces: AsyncIterator[str | bytes]


class Exports:
    """Who takes what away is written down; on the runtime's loop."""

    def __init__(self, store: Store, audit: AuditLog, *, now: Now) -> None:
        self._store = store
        self.audit = audit
        self._now = now

    @guarded(Permission.EXPORT, target="session_id")
    async def session(self, session_id: str, wanted: Format, *, actor: Caller) -> Export:
        """The session in that format.

        Raises:
            NotFoundError: no such session.
            ConflictError: it is to be a test, and no run of its graph was recorded.
        """
        note(written_as=wanted.value)
        return await export(self._store, session_id, wanted)

    @guarded(Permission.EXPORT)
    async def table(
        self,
        wanted: SessionFilter,
        *,
        order: Order = Order.STARTED,
        ascending: bool = False,
        written_as: TableFormat,
        actor: Caller,
    ) -> Export:
        """All sessions of that view, in its order; docs/exports.md has the columns."""
        note(target="sessions", view=_told(wanted), written_as=written_as.value)
        stamp = self._now().strftime("%Y%m%d-%H%M%S")
        return Export(
            name=f"switchboard-sessions-{stamp}.{written_as.value}",
            media_type=MEDIA_TYPES[written_as],
            pieces=as_table(
                self._store, wanted, order=order, ascending=ascending, written_as=written_as
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    write: Callable[[Store, SessionRecord], AsyncIterator[str]]
    ending: str
    media_type: str


_WAYS: Final = {
    Format.JSON: _Way(write=as_json, ending="json", media_type="application/json"),
    Format.TEXT: _Way(write=as_text, ending="txt", media_type="text/plain; charset=utf-8"),
    Format.VTT: _Way(write=as_vtt, ending="vtt", media_type="text/vtt; charset=utf-8"),
    Format.CSV: _Way(write=as_csv, ending="csv", media_type="text/csv; charset=utf-8"),
    Format.CHROME: _Way(write=as_chrome, ending="trace.json", media_type="application/json"),
}


async def export(store: Store, session_id: str, wanted: Format) -> Export:
    """The session in that format.

    Raises:
        NotFoundError: no such session.
        ConflictError: it is to be a test, and no run of its graph was recorded.
    """
    session = await store.session(session_id)
    if wanted is Format.PYTEST:
        return Export(
            name=f"test_{session.id}.py",  # pytest collects test_*.py
            media_type="text/x-python; charset=utf-8",
            pieces=_whole(await as_pytest(store, session)),
        )
    way = _WAYS[wanted]
    return Export(
        name=f"{session.id}.{way.ending}",
        media_type=way.media_type,
        pieces=way.write(store, session),
    )


def _told(wanted: SessionFilter) -> dict[str, str]:
    """What the view looks for, for the audit log; only what is set."""
    values = {name: getattr(wanted, name) for name in SessionFilter.__dataclass_fields__}
    return {name: str(value) for name, value in values.items() if value}


async def _whole(text: str) -> AsyncIterator[str]:
    yield text
