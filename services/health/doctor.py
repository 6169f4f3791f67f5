"""The doctor: checks everything; says what is wrong, why it matters and how to fix it.

On the System page it examines the dashboard that it runs in. `switchboard doctor` is the same
from the shell: it starts nothing, and leaves a dashboard that runs undisturbed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from services.access.audit_log import AuditLog
from services.access.authorization import guarded
from services.access.permissions import Caller, Permission
from services.clock import Now, rfc3339, utc_now
from services.errors import ConfigError, SwitchboardError
from services.graphs import Graphs
from services.health.checks import (
    dashboard,
    database,
    livekit,
    machine,
    missing_agents,
    parts,
    shell,
)
from services.health.diagnosis import Diagnosis
from services.health.findings import Area, Check, Finding, Report, Status
from services.livekit.embedded import EmbeddedServer
from services.livekit.server_config import known_ports, load_keys, target_of
from services.livekit.service import LiveKitService
from services.livekit.target import LiveKitTarget
from services.livekit.tokens import TokenMinter
from services.loop.lag import LagWatch
from services.processes.worker import WorkerProcess
from services.rooms.watcher import Rooms
from services.settings import Settings, load_settings
from services.store.store import Store

log = logging.getLogger(__name__)

FRESH_S: Final = 60.0  # a look at the page asks for a new report after so long
FRESH_COMPLETE_S: Final = 300.0  # one with the round trip is kept longer
_GROUP_S: Final = 15.0  # what a group of checks may take

_FAILED: Final = Check(
    code="doctor",
    area=Area.DASHBOARD,
    name="Doctor",
    impact="A check that fails itself says nothing about what it should check.",
)


class Doctor:
    """Examines the dashboard it runs in, once for all viewers. Belongs to the runtime's loop.

    `last` and `running` are plain reads from any thread.
    """

    def __init__(
        self,
        settings: Settings,
        livekit: LiveKitService,
        target: LiveKitTarget,
        rooms: Rooms,
        store: Store,
        graphs: Graphs,
        lag: LagWatch,
        diagnosis: Diagnosis,
        embedded: EmbeddedServer | None,
        worker: Callable[[], WorkerProcess | None],
        audit: AuditLog,
        *,
        dashboard_url: str | None,
        listens_at: str | None,
        now: Now,
    ) -> None:
        self._settings = settings
        self._livekit = livekit
        self._target = target
        self._rooms = rooms
        self._store = store
        self._graphs = graphs
        self._lag = lag
        self._diagnosis = diagnosis
        self._embedded = embedded
        self._worker = worker
        self.audit = audit
        self._dashboard_url = dashboard_url
        self._port = urlsplit(listens_at).port if listens_at is not None else None
        self._now = now
        self._started_at = now()  # the settings have just been read
        self._round_trip = dashboard.RoundTrip(store.log, livekit)
        self._lock = asyncio.Lock()
        self._looking: asyncio.Task[Report] | None = None
        self._last_s = float("-inf")
        self.last: Report | None = None

    @property
    def running(self) -> bool:
        """Whether an examination is under way."""
        return self._lock.locked()

    async def look(self) -> None:
        """See that there is a report of the last minute or so; does not wait for it."""
        kept_s = FRESH_COMPLETE_S if self.last is not None and self.last.complete else FRESH_S
        if not self.running and time.monotonic() - self._last_s > kept_s:
            self._looking = asyncio.get_running_loop().create_task(
                self._examine(complete=False), name="doctor"
            )

    @guarded(Permission.EXAMINE)
    async def examine(self, *, complete: bool, actor: Caller) -> Report:
        """A new report. `complete` opens a room for a moment, to see its webhook arrive."""
        return await self._examine(complete=complete)

    async def _examine(self, *, complete: bool) -> Report:
        async with self._lock:
            begun_s = time.monotonic()
            findings = await _together(*self._groups(complete=complete))
            self.last = _report(findings, begun_s=begun_s, complete=complete)
            self._last_s = time.monotonic()
        if self.last.worst is Status.PROBLEM:
            bad = [one.code for one in findings if one.status is Status.PROBLEM]
            log.warning("the doctor found problems", extra={"checks": ", ".join(bad)})
        return self.last

    def _groups(self, *, complete: bool) -> tuple[Awaitable[tuple[Finding, ...]], ...]:
        reach = livekit.Reach(
            dashboard_url=self._dashboard_url,
            publicly=self._settings.switchboard_allow_unauthenticated_public,
        )
        rooms = self._rooms.snapshot.rooms
        return (  # of one area the earlier group is read first
            self._inside(),
            livekit.examine(self._livekit, self._target, reach, now=self._now),
            missing_agents.examine(rooms, self._diagnosis, self._now()),
            self._webhooks(complete=complete),
            database.examine(self._settings),
            asyncio.to_thread(machine.examine, self._settings, started_at=self._started_at),
        )

    async def _webhooks(self, *, complete: bool) -> tuple[Finding, ...]:
        address = self._dashboard_url or "http://localhost:8501"
        snippet = parts.webhook_snippet(self._target.api_key, address)
        tried = dashboard.round_trip_not_run()
        if complete:
            tried = await self._round_trip.run(snippet=snippet)
        rooms_open = bool(self._rooms.snapshot.rooms)
        seen = parts.webhooks(self._rooms.webhooks, rooms_open=rooms_open, snippet=snippet)
        return seen, tried

    async def _inside(self) -> tuple[Finding, ...]:
        embedded, worker = self._embedded, self._worker()
        try:
            agents = [entry.name for entry in self._graphs.all()]
        except ConfigError:
            agents = []  # machine.agents says what is wrong with the file
        state = embedded.state if embedded is not None else None
        ports = await asyncio.to_thread(
            dashboard.open_ports,
            access=dashboard.Access.of(self._settings),
            pid=os.getpid(),
            server_pid=state.pid if state is not None else None,
            port=self._port,
        )
        server = (
            () if state is None else (parts.livekit(self._rooms.snapshot, state, now=self._now()),)
        )
        return (
            *server,  # one elsewhere is asked by `livekit.examine`
            parts.workers(
                agents,
                embedded.workers if embedded is not None else None,
                worker.state if worker is not None else None,
            ),
            parts.database(self._store.log),
            dashboard.lag(self._lag.read()),
            ports,
        )


async def examine_from_shell(
    *, url: str | None = None, complete: bool = True, deep: bool = False
) -> Report:
    """What can be told from outside. `deep` also loads every graph, in a process of its own."""
    begun_s = time.monotonic()
    try:
        settings = load_settings()
    except ConfigError as exc:
        findings: tuple[Finding, ...] = (machine.settings_refused(exc), machine.python())
        return _report(findings, begun_s=begun_s, complete=False)
    running = await asyncio.to_thread(shell.find_running, settings.switchboard_data_dir)
    if url is not None:
        running = shell.Running(url=url.rstrip("/"))
    groups: list[Awaitable[tuple[Finding, ...]]] = [
        asyncio.to_thread(machine.examine, settings),
        _livekit_from_shell(settings, running, complete=complete),
    ]
    if running is None:
        no_dashboard = shell.RUNNING.unknown("None uses this data folder now.", "make run")
        groups += [_one(no_dashboard), database.examine(settings)]
    else:  # it holds the database: it is asked instead
        groups.append(shell.ask_running(running, dashboard.Access.of(settings)))
    if deep:
        file = settings.switchboard_langgraph_json.absolute()
        groups.append(_alone(shell.graphs_compile(file)))
    findings = await _together(*groups)
    return _report(findings, begun_s=begun_s, complete=complete)


async def _livekit_from_shell(
    settings: Settings, running: shell.Running | None, *, complete: bool
) -> tuple[Finding, ...]:
    found: tuple[Finding, ...] = ()
    if settings.embedded and running is None:
        return (await shell.binary(settings),)
    target = await asyncio.to_thread(_target, settings)
    if target is None:
        return (livekit.ANSWERS.unknown("These settings name no LiveKit server."),)
    service = LiveKitService(
        target, TokenMinter(target, utc_now), timeout_s=settings.switchboard_livekit_timeout_s
    )
    reach = livekit.Reach(
        dashboard_url=settings.switchboard_url,
        publicly=settings.switchboard_allow_unauthenticated_public,
    )
    try:
        found = await livekit.examine(service, target, reach, now=utc_now)
        if running is not None and running.url is not None and complete:
            found = (*found, await shell.round_trip(service, running.url))
    finally:
        await service.close()
    return found


def _target(settings: Settings) -> LiveKitTarget | None:
    """The server that the settings name, or the embedded one of a dashboard that runs."""
    if settings.livekit_url is not None:
        return LiveKitTarget.outside(settings)
    folder = settings.switchboard_data_dir.expanduser().absolute() / "livekit"
    if not (folder / "keys.json").is_file():  # load_keys would make a pair
        return None
    return target_of(load_keys(folder), known_ports(folder))


async def _one(finding: Finding) -> tuple[Finding, ...]:
    return (finding,)


async def _alone(checking: Awaitable[Finding]) -> tuple[Finding, ...]:
    return (await checking,)


async def _together(*groups: Awaitable[tuple[Finding, ...]]) -> tuple[Finding, ...]:
    results = await asyncio.gather(*map(_guarded, groups))
    return tuple(finding for result in results for finding in result)


async def _guarded(group: Awaitable[tuple[Finding, ...]]) -> tuple[Finding, ...]:
    """A check that fails itself must not hide what the others found."""
    try:
        async with asyncio.timeout(_GROUP_S):
            return await group
    except TimeoutError:
        said = f"Some checks took longer than {_GROUP_S:g} s and were cancelled."
    except SwitchboardError as exc:
        return (_FAILED.problem(exc.message, exc.hint),)
    except Exception as exc:  # the loop's top, for one group of checks
        log.exception("a check of the doctor failed")
        said = f"Some checks failed themselves ({type(exc).__name__})."
    return (_FAILED.unknown(said, "Report it, with the log."),)


def _report(findings: Sequence[Finding], *, begun_s: float, complete: bool) -> Report:
    order = list(Area)
    return Report(
        at=utc_now(),
        took_s=time.monotonic() - begun_s,
        complete=complete,
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.area))),
    )


# -- the shell


def main(
    *, url: str | None = None, quick: bool = False, deep: bool = False, as_json: bool = False
) -> int:
    """Print the report; 1 where there is a problem, else 0.

    `url` is the dashboard that runs, where it is not found by itself; `quick` opens no room to see
    its webhook; `deep` loads every graph as well.
    """
    logging.basicConfig(level=logging.CRITICAL)  # the report says all there is to say
    report = asyncio.run(examine_from_shell(url=url, complete=not quick, deep=deep))
    sys.stdout.write(to_json(report) if as_json else report.text())
    return 1 if report.worst is Status.PROBLEM else 0


def to_json(report: Report) -> str:
    """`{"at", "worst", "complete", "took_s", "findings": [{"code", "status", …}]}`."""
    body = {
        "at": rfc3339(report.at),
        "worst": report.worst,
        "complete": report.complete,
        "took_s": round(report.took_s, 3),
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
    }
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"
