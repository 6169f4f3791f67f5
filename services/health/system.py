"""What the System page shows: read once for all viewers, however many look.

Nothing here runs while nobody looks; a page that is open asks again and again.
"""

from __future__ import annotations

import asyncio
import platform
import time
import tomllib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil
from pydantic import SecretStr

from services.access.audit_log import AuditLog
from services.access.authorization import guarded
from services.access.permissions import Caller, Permission
from services.clock import Now
from services.errors import (
    LiveKitUnavailableError,
    NotFoundError,
    StoreUnavailableError,
    SwitchboardError,
    UnavailableError,
)
from services.graphs import Graphs
from services.health import log_view
from services.health.doctor import Doctor
from services.health.log_view import LogEntry
from services.live.hub import Hub
from services.livekit import build
from services.livekit.embedded import EmbeddedServer, EmbeddedState, Phase
from services.livekit.server_log import RegisteredWorker
from services.livekit.server_metrics import ServerMetrics, read_server_metrics
from services.livekit.service import LiveKitService
from services.livekit.target import LiveKitTarget
from services.logs import Redact
from services.loop.lag import LagWatch, LoopLag
from services.processes import log_file
from services.processes.worker import WorkerProcess
from services.rooms.watcher import Rooms, WebhookStats
from services.settings import PROJECT_DIR, Settings
from services.store.records import StoreHealth
from services.store.store import Store

METRICS_EVERY_S: Final = 2.0
LOG_LINES: Final = 2_000  # of the end of a log
_VIEW_FRESH_S: Final = 1.0
_STORE_FRESH_S: Final = 2.0
_LOG_FRESH_S: Final = 1.0
_HISTORY: Final = 90  # rates kept: three minutes while somebody looks
_GAP_S: Final = 15.0  # nobody looked meanwhile: older rates would draw a false line
_PACKAGES: Final = (
    "streamlit",
    "livekit-api",
    "langgraph",
    "fastapi",
    "sqlalchemy",
    "alembic",
    "pydantic",
    "aiohttp",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One setting under the name that the environment has for it; secrets are not shown."""

    name: str
    value: str
    default: str
    changed: bool
    secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemView:
    """Everything at `taken_at`. `store_error` says why `store` is missing."""

    taken_at: datetime
    started_at: datetime | None
    pid: int
    memory_bytes: int
    cpu_percent: float  # of one core, since the last look
    lag: LoopLag
    store: StoreHealth | None
    store_error: StoreUnavailableError | None
    webhooks: WebhookStats
    viewers: int
    livekit_calls: int
    polls: int
    poll_ms: float
    url: str
    public_url: str
    error: SwitchboardError | None  # why LiveKit does not answer
    error_since: datetime | None
    answered_at: datetime | None
    embedded: EmbeddedState | None  # None: an outside server
    server_version: str  # "" where nobody tells
    workers: tuple[RegisteredWorker, ...] | None  # None: nobody tells
    agents: tuple[str, ...]  # that langgraph.json names
    rooms: int
    people: int
    agents_present: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What went on between two readings, each second; CPU in percent of one core."""

    at: datetime
    bytes_in: float
    bytes_out: float
    packets_in: float
    packets_out: float
    loss_in_percent: float
    loss_out_percent: float
    calls: float
    cpu_percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """livekit-server's figures. `rates`, oldest first, is empty until the second reading."""

    metrics: ServerMetrics | None
    rates: tuple[Rates, ...]
    error: UnavailableError | None
    configured: bool = True


class System:
    """One for all viewers. The coroutines belong to the runtime's loop."""

    def __init__(
        self,
        settings: Settings,
        livekit: LiveKitService,
        target: LiveKitTarget,
        rooms: Rooms,
        store: Store,
        hub: Hub,
        graphs: Graphs,
        lag: LagWatch,
        doctor: Doctor,
        embedded: EmbeddedServer | None,
        worker: Callable[[], WorkerProcess | None],
        audit: AuditLog,
        *,
        log_path: Path,
        now: Now,
    ) -> None:
        self._settings = settings
        self._livekit = livekit
        self._target = target
        self._rooms = rooms
        self._stored = store
        self._hub = hub
        self._graphs = graphs
        self._lag = lag
        self.doctor = doctor
        self._embedded = embedded
        self._worker = worker
        self.audit = audit
        self._log_path = log_path
        self._now = now
        self._started_at = now()
        self._process = psutil.Process()
        self._process.cpu_percent(None)  # begins to count
        self._view_lock, self._metrics_lock = asyncio.Lock(), asyncio.Lock()
        self._log_lock = asyncio.Lock()
        self._view: SystemView | None = None
        self._view_s = self._store_s = self._metrics_s = float("-inf")
        self._store: StoreHealth | StoreUnavailableError | None = None
        self._metrics = MetricsView(metrics=None, rates=(), error=None)
        self._rates: deque[Rates] = deque(maxlen=_HISTORY)
        self._logs: dict[log_view.Source, tuple[float, tuple[LogEntry, ...]]] = {}
        self._binary: tuple[Path, str] | None = None
        self._redact = Redact(
            (
                target.api_secret.get_secret_value(),
                settings.livekit_api_secret.get_secret_value(),
                settings.database_url.get_secret_value(),
            )
        )

    async def read(self) -> SystemView:
        """The whole at most a second old. Never raises for a part that is away."""
        async with self._view_lock:
            if self._view is None or time.monotonic() - self._view_s > _VIEW_FRESH_S:
                self._view = await self._read()
                self._view_s = time.monotonic()
            return self._view

    async def metrics(self) -> MetricsView:
        """livekit-server's own figures, asked for at most every two seconds."""
        async with self._metrics_lock:
            if time.monotonic() - self._metrics_s >= METRICS_EVERY_S:
                self._metrics = await self._read_metrics()
                self._metrics_s = time.monotonic()
            return self._metrics

    async def log(self, source: log_view.Source) -> tuple[LogEntry, ...]:
        """The last 2,000 lines, newest last, at most a second old."""
        async with self._log_lock:
            read_s, entries = self._logs.get(source, (float("-inf"), ()))
            if time.monotonic() - read_s > _LOG_FRESH_S:
                entries = await asyncio.to_thread(self._read_log, source)
                self._logs[source] = (time.monotonic(), entries)
            return entries

    @guarded(Permission.RESTART)
    async def restart_worker(self, *, actor: Caller) -> None:
        """End this machine's worker and start it again; its sessions end.

        Raises:
            NotFoundError: there is none.
        """
        worker = self._worker()
        if worker is None:
            raise NotFoundError(
                "Switchboard did not start a worker.", hint="Restart it where it runs."
            )
        await worker.restart()

    @guarded(Permission.RESTART)
    async def restart_server(self, *, actor: Caller) -> None:
        """Restart the embedded server, as `EmbeddedServer.restart`.

        Raises:
            LiveKitUnavailableError: there is none: LIVEKIT_URL names an outside one.
        """
        if self._embedded is None:
            raise LiveKitUnavailableError("Switchboard did not start this LiveKit server.")
        await self._embedded.restart()

    # -- inside

    async def _read(self) -> SystemView:
        rooms, snapshot, embedded = self._rooms, self._rooms.snapshot, self._embedded
        store = await self._read_store()
        return SystemView(
            taken_at=self._now(),
            started_at=self._started_at,
            pid=self._process.pid,
            memory_bytes=self._process.memory_info().rss,
            cpu_percent=self._process.cpu_percent(None),
            lag=self._lag.read(),
            store=store if isinstance(store, StoreHealth) else None,
            store_error=store if isinstance(store, StoreUnavailableError) else None,
            webhooks=replace(rooms.webhooks),
            viewers=self._hub.viewers(),
            livekit_calls=self._livekit.calls,
            polls=rooms.polls,
            poll_ms=rooms.poll_ms,
            url=self._target.url,
            public_url=self._target.public_url,
            error=snapshot.error,
            error_since=snapshot.error_since,
            answered_at=snapshot.taken_at,
            embedded=embedded.state if embedded is not None else None,
            server_version=await self._server_version(),
            workers=embedded.workers if embedded is not None else None,
            agents=self._agents(),
            rooms=len(snapshot.rooms),
            people=snapshot.people,
            agents_present=snapshot.agents,
        )

    def _agents(self) -> tuple[str, ...]:
        try:
            return tuple(entry.name for entry in self._graphs.all())
        except SwitchboardError:
            return ()  # the doctor says what is wrong with the file

    async def _read_store(self) -> StoreHealth | StoreUnavailableError | None:
        if time.monotonic() - self._store_s > _STORE_FRESH_S:
            try:
                self._store = await self._stored.health()
            except StoreUnavailableError as exc:
                self._store = exc
            self._store_s = time.monotonic()
        return self._store

    async def _server_version(self) -> str:
        """Of the embedded server's binary, asked once; an outside server does not tell."""
        embedded = self._embedded
        if embedded is None or embedded.state.binary is None:
            return ""
        path = embedded.state.binary
        if self._binary is None or self._binary[0] != path:
            try:
                found = await build.find(self._settings)
            except SwitchboardError:
                return ""
            if found is None or found.path != path:
                return ""
            self._binary = (path, found.version)
        return self._binary[1]

    async def _read_metrics(self) -> MetricsView:
        url = self._target.metrics_url
        if url is None:
            return MetricsView(metrics=None, rates=(), error=None, configured=False)
        state = self._embedded.state if self._embedded is not None else None
        if state is not None and state.phase is not Phase.READY:
            self._rates.clear()
            error = LiveKitUnavailableError(state.message, hint=state.hint)
            return MetricsView(metrics=None, rates=(), error=error)
        try:
            metrics = await read_server_metrics(url)
        except LiveKitUnavailableError as exc:
            self._rates.clear()
            return MetricsView(metrics=None, rates=(), error=exc)
        self._keep_rates(self._metrics.metrics, metrics)
        return MetricsView(metrics=metrics, rates=tuple(self._rates), error=None)

    def _keep_rates(self, before: ServerMetrics | None, now: ServerMetrics) -> None:
        rates = rates_between(before, now) if before is not None else None
        if rates is None:
            self._rates.clear()
        else:
            self._rates.append(rates)

    def _read_log(self, source: log_view.Source) -> tuple[LogEntry, ...]:
        embedded = self._embedded
        if source is log_view.Source.LIVEKIT:
            lines = embedded.tail(LOG_LINES) if embedded is not None else ()
        elif source is log_view.Source.WORKER:
            worker = self._worker()
            lines = worker.tail(LOG_LINES) if worker is not None else ()
        else:
            lines = log_file.tail(self._log_path, LOG_LINES)
        return log_view.parse(source, lines, self._redact)


def rates_between(before: ServerMetrics, now: ServerMetrics) -> Rates | None:
    """The growth from one reading to the next; None after a gap or a restart of the server."""
    seconds = (now.at - before.at).total_seconds()
    restarted = now.started_at != before.started_at or now.node_id != before.node_id
    if restarted or not 0 < seconds <= _GAP_S:
        return None

    def each_second(first: float, second: float) -> float:
        return max(0.0, second - first) / seconds

    def loss(lost: int, packets: int) -> float:
        return 100 * lost / (lost + packets) if lost > 0 and packets >= 0 else 0.0

    into, out_of = (before.incoming, now.incoming), (before.outgoing, now.outgoing)
    cpu = None
    if before.cpu_seconds is not None and now.cpu_seconds is not None:
        cpu = 100 * each_second(before.cpu_seconds, now.cpu_seconds)
    return Rates(
        at=now.at,
        bytes_in=each_second(into[0].bytes, into[1].bytes),
        bytes_out=each_second(out_of[0].bytes, out_of[1].bytes),
        packets_in=each_second(into[0].packets, into[1].packets),
        packets_out=each_second(out_of[0].packets, out_of[1].packets),
        loss_in_percent=loss(into[1].lost - into[0].lost, into[1].packets - into[0].packets),
        loss_out_percent=loss(
            out_of[1].lost - out_of[0].lost, out_of[1].packets - out_of[0].packets
        ),
        calls=each_second(before.api_calls, now.api_calls),
        cpu_percent=cpu,
    )


@cache
def versions() -> Mapping[str, str]:
    """Name to version of what this process runs on."""
    found = {"Switchboard": _our_version(), "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found | {"System": f"{platform.system()} {platform.release()} {platform.machine()}"}


def _our_version() -> str:
    with (PROJECT_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def setting_rows(settings: Settings) -> tuple[SettingRow, ...]:
    """Every setting in the order of `Settings`. Of a secret only whether it is set."""
    redact = Redact()
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        default = field.get_default(call_default_factory=True)
        rows.append(
            SettingRow(
                name=name.upper(),
                value=_shown(value, redact),
                default=_shown(default, redact),
                changed=value != default,
                secret=isinstance(value, SecretStr),
            )
        )
    return tuple(rows)


def _shown(value: object, redact: Redact) -> str:
    match value:
        case SecretStr():
            return "set" if value.get_secret_value() else "not set"
        case None | "" | ():
            return ""
        case tuple():
            return ", ".join(map(str, value))
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case _:
            return redact.clean(str(value))
