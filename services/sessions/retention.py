"""What is deleted for good: chosen sessions, all of one user, and what is older than a rule keeps.

All that we hold of a session goes: its row, its events, turns, notes, what it is found by, the
thread of its graph. What stays is that it was deleted, in the audit log. A session with the tag
`keep` is not deleted by a rule.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from services.access.audit_log import AuditLog
from services.access.authorization import guarded, note
from services.access.permissions import SYSTEM_PRINCIPAL, Caller, Permission
from services.checkpointer import forget_threads
from services.clock import Now
from services.errors import ConflictError, InvalidInputError, SwitchboardError
from services.live.hub import Hub
from services.settings import Settings
from services.store.records import OPEN, OVER, SavedItem
from services.store.session_search import SessionFilter, SessionRow
from services.store.store import Store

log = logging.getLogger(__name__)

AT_ONCE: Final = 200
RULES_MOST: Final = 50
NAME_MOST: Final = 80
DAYS_MOST: Final = 3650
KEEP_TAG: Final = "keep"
_EVERY_S: Final = 3600.0
_SETTLED: Final = timedelta(minutes=1)  # LiveKit's last webhooks would make the session anew
_TICKETS: Final = "tickets.db"  # pm-agent's own store, where it runs beside us
_BUSY_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """Sessions that fit are deleted `days` after they began. None fits any."""

    name: str
    days: int
    agent_name: str | None = None
    tag: str | None = None
    verdict: str | None = None
    saved_by: str = ""


class DataRetention:
    """On the runtime's loop."""

    def __init__(
        self, settings: Settings, store: Store, hub: Hub, audit: AuditLog, *, now: Now
    ) -> None:
        self._settings = settings
        self._store = store
        self._hub = hub
        self.audit = audit
        self._now = now

    @guarded(Permission.DELETE, target="session_ids")
    async def sessions(self, session_ids: Sequence[str], *, actor: Caller) -> int:
        """Delete these sessions, which must be over; gives how many there were.

        Raises:
            InvalidInputError: more than 200 at once.
            NotFoundError: one of them is not there; none is deleted.
            ConflictError: one goes on, or ended a moment ago; none is deleted.
        """
        if len(session_ids) > AT_ONCE:
            raise InvalidInputError(
                f"At most {AT_ONCE} sessions are deleted at once.", hint="Choose fewer."
            )
        for session_id in session_ids:
            session = await self._store.session(session_id)
            ended = session.ended_at
            if session.status.is_open or ended is None:
                raise ConflictError(
                    f"Session {session.id} goes on.", hint="End it, then delete it."
                )
            if ended > self._now() - _SETTLED:
                raise ConflictError(
                    f"Session {session.id} ended a moment ago.", hint="Delete it in a minute."
                )
        await self._erase(session_ids)
        return len(session_ids)

    @guarded(Permission.DELETE, target="user_id")
    async def user(self, user_id: str, *, actor: Caller) -> int:
        """Delete every session of this user, and what pm-agent remembers; gives how many sessions.

        Raises:
            InvalidInputError: no user id.
            ConflictError: one of the sessions goes on; nothing is deleted.
        """
        if not user_id.strip():
            raise InvalidInputError("There is no user id.", hint="Write whose data goes.")
        of_user = SessionFilter(user_id=user_id)
        if (
            await self._store.found.page(SessionFilter(user_id=user_id, statuses=OPEN), limit=1)
        ).sessions:
            raise ConflictError(
                "A session of this user goes on.", hint="End it, wait a minute, and try again."
            )
        count = await self._erase_all(of_user, spare_kept=False)
        forgotten = await asyncio.to_thread(self._forget_user, user_id)
        note(sessions=count, remembered=forgotten)
        return count

    # -- rules

    async def rules(self) -> tuple[RetentionRule, ...]:
        """By name."""
        return tuple(map(_rule, await self._store.retention_rules.all(limit=RULES_MOST)))

    @guarded(Permission.DELETE)
    async def save_rule(self, rule: RetentionRule, *, actor: Caller) -> None:
        """Keep a rule, in place of one of its name; it is applied within the hour.

        Raises:
            InvalidInputError: no name, or not 1 to 3,650 days.
            ConflictError: there are as many as there may be.
        """
        name = " ".join(rule.name.split())
        if not 0 < len(name) <= NAME_MOST:
            raise InvalidInputError(
                f"A rule has a name of 1 to {NAME_MOST} characters.",
                hint="Write one.",
                field="name",
            )
        if not 1 <= rule.days <= DAYS_MOST:
            raise InvalidInputError(
                f"A rule keeps for 1 to {DAYS_MOST:,} days.", hint="Correct them.", field="days"
            )
        there = {one.name: one for one in await self.rules()}
        if len(there) >= RULES_MOST and name not in there:
            raise ConflictError(f"There are {RULES_MOST} rules already.", hint="Delete one first.")
        options = _options(rule)
        before = there.get(name)
        note(target=name, before=_options(before) if before else None, after=options)
        await self._store.retention_rules.save(
            SavedItem(name=name, options=options, saved_by=actor.name, saved_at=self._now())
        )

    @guarded(Permission.DELETE, target="name")
    async def delete_rule(self, name: str, *, actor: Caller) -> None:
        """Delete it, if it is there."""
        await self._store.retention_rules.delete(name)

    async def due(self, rule: RetentionRule) -> int:
        """How many of the sessions that a rule would delete now are found in one page (≤ 500)."""
        page = await self._store.found.page(self._find(rule), limit=500)
        return sum(KEEP_TAG not in found.tags for found in page.sessions)

    async def apply(self) -> int:
        """Delete what the rules no longer keep; gives how many sessions. Each rule is audited."""
        total = 0
        for rule in await self.rules():
            count = await self._erase_all(self._find(rule), spare_kept=True)
            if count:
                self.audit.write(
                    SYSTEM_PRINCIPAL,
                    "Erasing.apply",
                    target=rule.name,
                    outcome="done",
                    facts={"sessions": count, "rule": _options(rule)},
                )
            total += count
        return total

    async def run(self) -> None:
        """Apply the rules every hour, until cancelled."""
        while True:
            try:
                await self.apply()
            except SwitchboardError as exc:
                log.warning("the retention rules were not applied", extra={"error": exc.code})
            await asyncio.sleep(_EVERY_S)

    # -- inside

    def _find(self, rule: RetentionRule) -> SessionFilter:
        return SessionFilter(
            statuses=OVER,
            agent_name=rule.agent_name,
            tag=rule.tag,
            verdict=rule.verdict,
            created_before=self._now() - timedelta(days=rule.days),
        )

    async def _erase_all(self, wanted: SessionFilter, *, spare_kept: bool) -> int:
        count, cursor = 0, None
        while True:
            page = await self._store.found.page(wanted, cursor=cursor, limit=AT_ONCE)
            gone = [one.session.id for one in page.sessions if not (spare_kept and _kept(one))]
            if gone:
                await self._erase(gone)
            count += len(gone)
            if (cursor := page.next_cursor) is None:
                return count

    async def _erase(self, session_ids: Sequence[str]) -> None:
        """The thread first: should we die between, the session is still there to be tried again."""
        await forget_threads(self._settings, session_ids)
        await self._store.erase(session_ids)
        for topic in ("sessions", "overview"):
            self._hub.touch(topic)

    def _forget_user(self, user_id: str) -> int:
        """Of pm-agent's own store (agents/pm_agent/tickets.py), where it is on this machine."""
        path: Path = self._settings.switchboard_data_dir / _TICKETS
        if not path.is_file():
            return 0
        with closing(sqlite3.connect(path, timeout=_BUSY_S)) as db, db:
            gone = db.execute("DELETE FROM tickets WHERE user_id = ?", [user_id]).rowcount
            return gone + db.execute("DELETE FROM standups WHERE user_id = ?", [user_id]).rowcount


def _kept(found: SessionRow) -> bool:
    return KEEP_TAG in found.tags


def _options(rule: RetentionRule) -> dict[str, Any]:
    return {
        "days": rule.days,
        "agent_name": rule.agent_name,
        "tag": rule.tag,
        "verdict": rule.verdict,
    }


def _rule(kept: SavedItem) -> RetentionRule:
    return RetentionRule(name=kept.name, saved_by=kept.saved_by, **kept.options)
