"""The doctor: looks at everything, says what is wrong, why it matters and how to mend it.

On the System page it examines the dashboard that it runs in. `switchboard doctor` is the same
from the shell: it starts nothing, and leaves a dashboard that runs undisturbed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import sys
import time
from collections.abc import Awaitable, Sequence
from typing import Final

from services.access.audit_log import AuditLog
from services.access.authorization import guarded
from services.access.permissions import Caller, Right
from services.clock import rfc3339, utc_now
from services.errors import ConfigError, SwitchboardError
from services.health.checks import dashboard, database, livekit, machine, missing_agents, shell
from services.health.findings import Area, Check, Finding, Report, Verdict
from services.livekit.server_config import known_ports, load_keys, target_of
from services.livekit.service import LiveKitService
from services.livekit.target import LiveKitTarget
from services.livekit.tokens import TokenMinter
from services.runtime import Runtime
from services.settings import Settings, load_settings

log = logging.getLogger(__name__)

FRESH_S: Final = 60.0  # a look at the page asks for a new report after so long
FRESH_COMPLETE_S: Final = 300.0  # one with the round trip is kept longer
_GROUP_S: Final = 15.0  # what a group of checks may take

_FAILED: Final = Check(
    code="doctor",
    area=Area.DASHBOARD,
    name="Doctor",
    why="A check that fails itself says nothing of what it should have looked at.",
)


class Doctor:
    """Examines the dashboard it runs in, once for all viewers. Belongs to the runtime's loop.

    `last` and `running` are plain reads from any thread.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._round_trip = dashboard.RoundTrip(runtime.store.log, runtime.livekit)
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

    @property
    def audit(self) -> AuditLog:
        """The runtime's."""
        return self._runtime.audit

    @guarded(Right.EXAMINE)
    async def examine(self, *, complete: bool, actor: Caller) -> Report:
        """A new report. `complete` opens a room for a moment, to see its webhook arrive."""
        return await self._examine(complete=complete)

    async def _examine(self, *, complete: bool) -> Report:
        async with self._lock:
            begun_s = time.monotonic()
            findings = await _together(*self._groups(complete=complete))
            self.last = _report(findings, begun_s=begun_s, complete=complete)
            self._last_s = time.monotonic()
        if self.last.worst is Verdict.PROBLEM:
            bad = [one.code for one in findings if one.verdict is Verdict.PROBLEM]
            log.warning("the doctor found problems", extra={"checks": ", ".join(bad)})
        return self.last

    def _groups(self, *, complete: bool) -> tuple[Awaitable[tuple[Finding, ...]], ...]:
        runtime = self._runtime
        reach = livekit.Reach(
            dashboard_url=runtime.dashboard_url,
            publicly=runtime.settings.switchboard_listen_publicly,
        )
        return (  # of one area the earlier group is read first
            self._inside(),
            livekit.examine(runtime.livekit, runtime.target, reach, now=runtime.now),
            missing_agents.examine(runtime.rooms.snapshot.rooms, runtime.jobs.why, runtime.now()),
            self._webhooks(complete=complete),
            database.examine(runtime.settings),
            _one(database.writer(runtime.store)),
            asyncio.to_thread(machine.examine, runtime.settings, started_at=runtime.started_at),
        )

    async def _webhooks(self, *, complete: bool) -> tuple[Finding, ...]:
        runtime = self._runtime
        address = runtime.dashboard_url or "http://localhost:8501"
        snippet = dashboard.webhook_snippet(runtime.target.api_key, address)
        tried = dashboard.round_trip_not_run()
        if complete:
            tried = await self._round_trip.run(snippet=snippet)
        so_far = dashboard.webhooks(
            runtime.rooms.webhooks, rooms_open=bool(runtime.rooms.snapshot.rooms), snippet=snippet
        )
        return so_far, tried

    async def _inside(self) -> tuple[Finding, ...]:
        runtime = self._runtime
        embedded = runtime.embedded
        try:
            agents = [entry.name for entry in runtime.graphs.all()]
        except ConfigError:
            agents = []  # machine.agents says what is wrong with the file
        ports = await asyncio.to_thread(
            dashboard.open_ports,
            listen_publicly=runtime.settings.switchboard_listen_publicly,
            server_pid=embedded.state.pid if embedded is not None else None,
        )
        findings = (
            dashboard.workers(agents, embedded.workers if embedded is not None else None),
            dashboard.lag(runtime.lag.read()),
            ports,
        )
        return findings if embedded is None else (dashboard.server(embedded.state), *findings)


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
        publicly = settings.switchboard_listen_publicly
        groups.append(shell.ask_running(running, listen_publicly=publicly))
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
        dashboard_url=settings.switchboard_url, publicly=settings.switchboard_listen_publicly
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
        said = f"Some checks took longer than {_GROUP_S:g} s and were given up."
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
    return 1 if report.worst is Verdict.PROBLEM else 0


def to_json(report: Report) -> str:
    """`{"at", "worst", "complete", "took_s", "findings": [{"code", "verdict", …}]}`."""
    body = {
        "at": rfc3339(report.at),
        "worst": report.worst,
        "complete": report.complete,
        "took_s": round(report.took_s, 3),
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
    }
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"
