"""Alerts: rules are looked at every few seconds; what begins and ends is kept, shown and posted."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from services.access.audit_log import AuditLog
from services.access.authorization import guarded, note
from services.access.permissions import Caller, Permission
from services.alerts.metrics import Problem, Watcher
from services.alerts.rules import QUIET_MOST_MIN, AlertRule, rule_of
from services.alerts.webhook import Poster
from services.clock import Now, rfc3339
from services.errors import ConflictError, NotFoundError, SwitchboardError, UnavailableError
from services.ids import new_alert_id
from services.live.hub import Hub
from services.store.alert_store import AlertRecord
from services.store.records import SavedItem
from services.store.store import Store

log = logging.getLogger(__name__)

RULES_MOST: Final = 100
HISTORY_MOST: Final = 500
KEEP: Final = timedelta(days=90)
TOPIC: Final = "alerts"
_EVERY_S: Final = 5.0
_HOUSEKEEPING_S: Final = 3600.0


class Alerts:
    """On the runtime's loop. `firing` is a plain read from any thread."""

    def __init__(
        self,
        watcher: Watcher,
        poster: Poster,
        store: Store,
        hub: Hub,
        audit: AuditLog,
        *,
        dashboard_url: str | None,
        now: Now,
    ) -> None:
        self._watcher = watcher
        self._poster = poster
        self._store = store
        self._hub = hub
        self.audit = audit
        self._dashboard_url = dashboard_url or ""
        self._now = now
        self._firing: dict[tuple[str, str], AlertRecord] = {}
        self._told_at: dict[tuple[str, str], datetime] = {}  # last post of a rule's thing
        self._posting: set[asyncio.Task[None]] = set()
        self._resumed = False
        self.firing: tuple[AlertRecord, ...] = ()

    @property
    def posts(self) -> bool:
        """Whether alerts are posted anywhere."""
        return self._poster.configured

    # -- rules

    async def rules(self) -> tuple[AlertRule, ...]:
        """By name."""
        return tuple(map(rule_of, await self._store.alert_rules.all(limit=RULES_MOST)))

    @guarded(Permission.ALERTS)
    async def save_rule(self, rule: AlertRule, *, actor: Caller) -> None:
        """Keep a rule, in place of one of its name; it counts within seconds.

        Raises:
            InvalidInputError: something of it cannot be used.
            ConflictError: there are as many as there may be.
        """
        rule = rule.checked()
        there = {one.name: one for one in await self.rules()}
        if len(there) >= RULES_MOST and rule.name not in there:
            raise ConflictError(
                f"The limit of {RULES_MOST} rules is reached.", hint="Delete a rule first."
            )
        before = there.get(rule.name)
        note(
            target=rule.name,
            before=before.options() if before is not None else None,
            after=rule.options(),
        )
        await self._store.alert_rules.save(
            SavedItem(
                name=rule.name, options=rule.options(), saved_by=actor.name, saved_at=self._now()
            )
        )
        self._hub.touch(TOPIC)

    @guarded(Permission.ALERTS, target="name")
    async def delete_rule(self, name: str, *, actor: Caller) -> None:
        """Delete it, if it is there; what it found ends."""
        await self._store.alert_rules.delete(name)
        self._hub.touch(TOPIC)

    @guarded(Permission.ALERTS, target="name")
    async def test(self, name: str, *, actor: Caller) -> int:
        """What the rule finds now, as a number; and one marked post, where alerts are posted.

        Raises:
            NotFoundError: there is no such rule.
            UnavailableError: the post was not taken; it says why.
        """
        rule = next((one for one in await self.rules() if one.name == name), None)
        if rule is None:
            raise NotFoundError(f"Rule {name!r} not found.", hint="It may have been deleted.")
        found = await self._watcher.problems(rule)
        if self._poster.configured:
            alert_id, now = new_alert_id(), self._now()
            problem = found[0] if found else Problem(key="test", text="No match now.")
            body = self._body(_begun(alert_id, rule, problem, now), "test")
            posted = await self._poster.once(alert_id, int(now.timestamp()), body)
            if posted.error:
                raise UnavailableError(
                    f"Test delivery failed: {posted.error}.",
                    hint="Check SWITCHBOARD_ALERT_WEBHOOK_URL and the receiver's log.",
                )
        return len(found)

    async def history(self, *, limit: int = 100) -> tuple[AlertRecord, ...]:
        """What was found, newest first, at most 500."""
        return await self._store.alerts.newest(limit=min(limit, HISTORY_MOST))

    # -- background

    async def run(self) -> None:
        """Look every five seconds, until cancelled."""
        tidy_at = self._now()
        try:
            while True:
                self._watcher.look()
                try:
                    await self.look()
                    if self._now() >= tidy_at:
                        tidy_at = self._now() + timedelta(seconds=_HOUSEKEEPING_S)
                        await self._store.alerts.forget(self._now() - KEEP)
                        self._forget_quiet_times()
                except SwitchboardError as exc:
                    log.warning("alert rules were not looked at", extra={"error": exc.code})
                await asyncio.sleep(_EVERY_S)
        finally:
            for aio_task in self._posting:
                aio_task.cancel()

    async def look(self) -> None:
        """Compare what each rule finds with what was found before."""
        if not self._resumed:  # what was going on when we last stopped
            for record in await self._store.alerts.open():
                self._firing[(record.rule, record.key)] = record
            self._resumed = True
        rules = [rule for rule in await self.rules() if rule.enabled]
        found: set[tuple[str, str]] = set()
        for rule in rules:
            for problem in await self._watcher.problems(rule):
                found.add((rule.name, problem.key))
                await self._goes_on(rule, problem)
        for key in set(self._firing) - found:
            await self._ended(self._firing.pop(key))
        firing = sorted(self._firing.values(), key=lambda one: one.began_at, reverse=True)
        if tuple(firing) != self.firing:
            self.firing = tuple(firing)
            self._hub.touch(TOPIC)

    async def _goes_on(self, rule: AlertRule, problem: Problem) -> None:
        key, now = (rule.name, problem.key), self._now()
        record = self._firing.get(key)
        if record is not None:
            if record.text != problem.text:
                self._firing[key] = replace(record, text=problem.text)
            return
        record = _begun(new_alert_id(), rule, problem, now)
        await self._store.alerts.add(record)
        self._firing[key] = record
        last = self._told_at.get(key)
        if last is None or now - last >= timedelta(minutes=rule.quiet_min):
            self._told_at[key] = now
            self._post(record, "began")

    async def _ended(self, record: AlertRecord) -> None:
        ended = replace(record, ended_at=self._now())
        await self._store.alerts.end(ended.id, ended.text, ended.ended_at or self._now())
        if record.posted:
            self._post(ended, "ended")

    def _forget_quiet_times(self) -> None:
        """Those that are over for certain: sessions come and go, and each has its own."""
        oldest = self._now() - timedelta(minutes=QUIET_MOST_MIN)
        self._told_at = {key: at for key, at in self._told_at.items() if at > oldest}

    def _post(self, record: AlertRecord, what: str) -> None:
        if not self._poster.configured:
            return
        key = (record.rule, record.key)
        if key in self._firing:
            self._firing[key] = replace(self._firing[key], posted=True)
        aio_task = asyncio.get_running_loop().create_task(self._deliver(record, what))
        self._posting.add(aio_task)
        aio_task.add_done_callback(self._posting.discard)

    async def _deliver(self, record: AlertRecord, what: str) -> None:
        now = self._now()
        posted = await self._poster.post(
            f"{record.id}_{what}", int(now.timestamp()), self._body(record, what)
        )
        try:
            await self._store.alerts.delivered(record.id, posted.tries, posted.error)
        except SwitchboardError as exc:
            log.warning("how an alert was posted is not kept", extra={"error": exc.code})
        self._hub.touch(TOPIC)

    def _body(self, record: AlertRecord, what: str) -> dict[str, Any]:
        """What is posted; docs/alerts.md has it."""
        path = f"/session?id={record.session_id}" if record.session_id else "/alerts"
        return {
            "type": f"alert.{what}",
            "timestamp": rfc3339(self._now()),
            "data": {
                "id": record.id,
                "rule": record.rule,
                "watch": record.watch,
                "severity": record.severity,
                "text": record.text,
                "began_at": rfc3339(record.began_at),
                "ended_at": rfc3339(record.ended_at) if record.ended_at else None,
                "session_id": record.session_id or None,
                "room_name": record.room_name or None,
                "url": f"{self._dashboard_url}{path}",
            },
        }


def _begun(alert_id: str, rule: AlertRule, problem: Problem, at: datetime) -> AlertRecord:
    return AlertRecord(
        id=alert_id,
        rule=rule.name,
        key=problem.key,
        watch=rule.watch.value,
        severity=rule.severity.value,
        text=problem.text,
        session_id=problem.session_id,
        room_name=problem.room_name,
        began_at=at,
    )
