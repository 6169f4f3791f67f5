"""pm-agent's own store: the tickets that were approved, and each user's last stand-ups. SQLite.

`read_tickets` is for other programs: it opens the file read-only and needs nothing else of ours.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

FILE: Final = "tickets.db"  # in the data folder
_BUSY_S: Final = 5.0
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS tickets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    batch TEXT NOT NULL,
    place INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    title TEXT NOT NULL,
    kind TEXT NOT NULL,
    note TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'open',
    created_at TEXT NOT NULL,
    UNIQUE (batch, place)
);
CREATE INDEX IF NOT EXISTS tickets_of_user ON tickets (user_id, number);
CREATE TABLE IF NOT EXISTS standups (
    session_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    at TEXT NOT NULL,
    slots TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS standups_of_user ON standups (user_id, at);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """`kind` is "blocker" or "task"; `status` "open" until somebody closes it."""

    number: int
    user_id: str
    session_id: str
    title: str
    kind: str
    note: str
    status: str
    created_at: datetime


def read_tickets(
    path: Path, *, user_id: str | None = None, session_id: str | None = None, limit: int = 100
) -> tuple[Ticket, ...]:
    """The newest tickets first, all or one user's or session's; none where no file is yet.

    Raises:
        sqlite3.Error: the file is there and is not ours, or is locked for more than 5 s.
    """
    if not path.is_file():
        return ()
    where, values = _where(user_id=user_id, session_id=session_id)
    with _reading(path) as db:
        rows = db.execute(
            "SELECT number, user_id, session_id, title, kind, note, status, created_at"  # noqa: S608 - `where` is made of our own words
            f" FROM tickets{where} ORDER BY number DESC LIMIT ?",
            [*values, limit],
        ).fetchall()
    return tuple(map(_ticket, rows))


class TicketStore:
    """Writes and reads it. Every method opens the file anew: use it from any thread or process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(
        self, tickets: Sequence[Mapping[str, str]], *, batch: str, user_id: str, session_id: str
    ) -> tuple[Ticket, ...]:
        """The tickets of one approval, in their order. The same `batch` again gives the same ones.

        `batch` names the approval: a node that is cancelled and runs again makes nothing twice.
        """
        now = datetime.now(UTC).isoformat()
        with self._writing() as db:
            taken = db.execute("SELECT 1 FROM tickets WHERE batch = ?", [batch]).fetchone()
            if taken is None:
                db.executemany(
                    "INSERT INTO tickets"
                    " (batch, place, user_id, session_id, title, kind, note, created_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (batch, n, user_id, session_id, t["title"], t["kind"], t["note"], now)
                        for n, t in enumerate(tickets)
                    ],
                )
            rows = db.execute(
                "SELECT number, user_id, session_id, title, kind, note, status, created_at"
                " FROM tickets WHERE batch = ? ORDER BY place",
                [batch],
            ).fetchall()
        return tuple(map(_ticket, rows))

    def open_tickets(self, user_id: str) -> tuple[Ticket, ...]:
        """The user's tickets that are open, newest first, at most 20."""
        found = read_tickets(self.path, user_id=user_id)
        return tuple(ticket for ticket in found if ticket.status == "open")[:20]

    def save_standup(
        self, slots: Mapping[str, Sequence[str]], *, user_id: str, session_id: str
    ) -> None:
        """Keep what was said; a later save of the same session replaces it."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO standups (session_id, user_id, at, slots) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (session_id) DO UPDATE SET slots = excluded.slots, at = excluded.at",
                [session_id, user_id, datetime.now(UTC).isoformat(), json.dumps(dict(slots))],
            )

    def last_standup(self, user_id: str, *, besides: str) -> dict[str, list[str]] | None:
        """What this user said last in another session than `besides`; None when never."""
        if not self.path.is_file():
            return None
        with _reading(self.path) as db:
            row = db.execute(
                "SELECT slots FROM standups WHERE user_id = ? AND session_id <> ?"
                " ORDER BY at DESC LIMIT 1",
                [user_id, besides],
            ).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'standups'").fetchone() is None:
                db.executescript(_TABLES)
            db.execute("BEGIN IMMEDIATE")  # what is read in here is still true when it is written
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def _reading(path: Path) -> closing[sqlite3.Connection]:
    uri = f"{path.resolve().as_uri()}?mode=ro"
    return closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S))


def _where(**wanted: str | None) -> tuple[str, list[str]]:
    given = {column: value for column, value in wanted.items() if value is not None}
    if not given:
        return "", []
    return " WHERE " + " AND ".join(f"{column} = ?" for column in given), list(given.values())


def _ticket(row: tuple[int, str, str, str, str, str, str, str]) -> Ticket:
    number, user_id, session_id, title, kind, note, status, created_at = row
    return Ticket(
        number=number,
        user_id=user_id,
        session_id=session_id,
        title=title,
        kind=kind,
        note=note,
        status=status,
        created_at=datetime.fromisoformat(created_at),
    )
