"""The runtime: one event loop in a thread of its own, and all that lives on it.

Pages and API share it. It is held process-wide, outlives Streamlit's module reloads, and is
made anew when its thread has died. A thread of its own, not the web server's loop: nothing
of ours can stall Streamlit's websockets; the hop costs about 0.1 ms.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from filelock import FileLock
from filelock import Timeout as LockTimeoutError

from services import logs
from services.access.api_keys import ApiKeys
from services.access.audit_log import AuditLog, open_audit
from services.access.audit_reader import AuditReader
from services.access.permissions import SYSTEM_PRINCIPAL
from services.access.sign_in import SignIn
from services.access.users import People
from services.agents.service import AgentService
from services.agents.text_chat import TextChats
from services.alerts.evaluator import Alerts
from services.alerts.metrics import Watcher
from services.alerts.webhook import Poster
from services.analytics.rollup_store import RollupStore, forget_sessions
from services.analytics.service import Analytics
from services.audio.browser_check import DeviceCheck
from services.audio.monitoring import Listeners
from services.clock import Now, rfc3339, utc_now
from services.errors import (
    ConfigError,
    LiveKitUnavailableError,
    RuntimeClosedError,
    SwitchboardError,
    UnavailableError,
)
from services.exports.service import Exports
from services.graphs import Graphs
from services.health.diagnosis import Diagnosis
from services.health.doctor import Doctor
from services.health.overview import Overview
from services.health.system import System
from services.live.hub import Hub
from services.live.stream_tickets import StreamTickets
from services.livekit.embedded import EmbeddedServer, EmbeddedState, Phase, open_embedded
from services.livekit.service import LiveKitService
from services.livekit.target import LiveKitTarget
from services.livekit.tokens import TokenMinter
from services.loop.bridge import LoopBridge, stopping
from services.loop.lag import LagWatch
from services.loop.policy import new_event_loop
from services.processes.worker import WorkerProcess, WorkerState, open_worker
from services.reviews.queue import Quality
from services.reviews.service import Reviews, questions_of
from services.rooms.operations import RoomActions
from services.rooms.watcher import Rooms
from services.sessions.retention import DataRetention
from services.sessions.saved_items import SavedItems
from services.sessions.service import Sessions
from services.settings import Settings, load_settings
from services.store.store import Store, open_store

log = logging.getLogger(__name__)

T = TypeVar("T")
Make = Callable[[], Awaitable[T]]

CALL_TIMEOUT_S: Final = 8.0
START_TIMEOUT_S: Final = 30.0
CLOSE_TIMEOUT_S: Final = 25.0  # a worker and a livekit-server that hang take eight each
_FINISH_S: Final = 1.0  # what is under way at the close may take so long
_LOOK_UP_S: Final = 0.05  # how often a waiting page looks whether it was stopped


class Runtime:
    """Owns the loop. `start` returns when everything is open; `close` when it is closed again."""

    settings: Settings
    target: LiveKitTarget
    tokens: TokenMinter
    graphs: Graphs
    livekit: LiveKitService
    store: Store
    audit: AuditLog
    audit_reader: AuditReader
    people: People
    sign_in: SignIn
    keys: ApiKeys
    hub: Hub
    rooms: Rooms
    actions: RoomActions
    sessions: Sessions
    reviews: Reviews
    chats: TextChats
    jobs: AgentService
    overview: Overview
    diagnosis: Diagnosis
    system: System
    embedded: EmbeddedServer | None
    worker: WorkerProcess | None

    def __init__(
        self, settings: Settings, *, dashboard_url: str | None = None, now: Now = utc_now
    ) -> None:
        self.settings = settings
        self.dashboard_url = settings.switchboard_url or dashboard_url
        self.listens_at = dashboard_url
        self.now = now
        self.tickets = StreamTickets(now)
        self.lag = LagWatch()
        self.started_at: datetime | None = None
        self.log_path = settings.switchboard_data_dir / "logs" / "switchboard.log"
        self.embedded = None
        self.worker = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: LoopBridge | None = None
        self._stop: asyncio.Event | None = None
        self._ready: concurrent.futures.Future[None] = concurrent.futures.Future()

    # -- life

    def start(self) -> None:
        """Open everything, on a thread of its own.

        Raises:
            ConfigError: a setting or a file cannot be used, or the data folder is in use.
            StoreUnavailableError: the database cannot be opened.
        """
        self._thread = threading.Thread(target=self._main, name="switchboard", daemon=True)
        self._thread.start()
        try:
            self._ready.result(timeout=START_TIMEOUT_S)
        except TimeoutError as exc:
            self._ready.cancel()  # it closes again when it has opened after all
            raise RuntimeClosedError(
                f"Switchboard did not start within {START_TIMEOUT_S:g} s.",
                hint="The log in the data folder says how far it came.",
            ) from exc

    @property
    def alive(self) -> bool:
        """Whether calls can be made."""
        thread, loop = self._thread, self._loop
        return thread is not None and thread.is_alive() and loop is not None and loop.is_running()

    def close(self) -> None:
        """Close everything in the reverse order of opening. May be called again."""
        loop, stop = self._loop, self._stop
        if self.alive and loop is not None and stop is not None:
            loop.call_soon_threadsafe(stop.set)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_TIMEOUT_S)
            if self._thread.is_alive():
                log.error("the runtime did not close in time")

    def mark_stopping(self) -> None:
        """Agents that go from now on are not lost. Safe on any thread, in a signal handler too."""
        if (jobs := getattr(self, "jobs", None)) is not None:  # else we are still opening
            jobs.streams.closing = True

    # -- crossing

    def call(
        self,
        make: Make[T],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        stopped: Callable[[], None] = lambda: None,
        finish: bool = False,
    ) -> T:
        """Run `make()` on the loop and wait, from any other thread.

        Args:
            make: gives the coroutine; called on the loop.
            timeout_s: seconds until the coroutine is cancelled.
            stopped: called about every 50 ms; what it raises ends the waiting.
            finish: let the coroutine finish when the waiting ends early (a write).

        Raises:
            RuntimeClosedError: the loop is not running, or no answer came in time.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("call() on the loop's own thread would never return; await instead")
        future = self._submit(make, timeout_s)
        try:
            while not concurrent.futures.wait({future}, timeout=_LOOK_UP_S).done:
                if not self.alive:
                    raise RuntimeClosedError("Switchboard's event loop has stopped.")
                stopped()
            return future.result()
        except TimeoutError as exc:
            raise _no_answer(timeout_s) from exc
        except concurrent.futures.CancelledError as exc:
            raise stopping() from exc
        finally:
            if not finish:
                future.cancel()

    async def acall(self, make: Make[T], *, timeout_s: float = CALL_TIMEOUT_S) -> T:
        """Run `make()` on the loop, from a coroutine of any loop.

        Raises:
            RuntimeClosedError: the loop is not running, or no answer came in time.
        """
        try:
            if asyncio.get_running_loop() is self._loop:
                async with asyncio.timeout(timeout_s):
                    return await make()
            calls = self._open_calls()
            async with asyncio.timeout(timeout_s):
                return await calls.cross(make)
        except TimeoutError as exc:
            raise _no_answer(timeout_s) from exc

    def _submit(self, make: Make[T], timeout_s: float) -> concurrent.futures.Future[T]:
        return self._open_calls().submit(_timed(make, timeout_s))

    def _open_calls(self) -> LoopBridge:
        if self._calls is None or not self.alive:
            raise stopping()
        return self._calls

    # -- inside

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as exc:  # the thread's end: nobody else would see it
            found = _first_of_ours(exc)
            if not self._ready.done():
                self._ready.set_exception(found or exc)
            elif self._ready.cancelled():
                log.error("the runtime could not start", exc_info=exc)
            else:
                log.critical("the runtime stopped", exc_info=exc)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._calls = LoopBridge()
        async with AsyncExitStack() as stack:
            await self._open(stack)
            if self._ready.cancelled():
                return
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            background = [
                tasks.create_task(self.rooms.run(), name="rooms"),
                tasks.create_task(self.sessions.run(), name="sessions"),
                tasks.create_task(self.chats.run(), name="chats"),
                tasks.create_task(self.jobs.run(), name="jobs"),
                tasks.create_task(self.listeners.run(), name="listeners"),
                tasks.create_task(self.keys.run(), name="API keys"),
                tasks.create_task(self.erasing.run(), name="retention"),
                tasks.create_task(self.alerts.run(), name="alerts"),
                tasks.create_task(self.analytics.run(), name="analytics"),
                tasks.create_task(self.lag.run(), name="lag"),
            ]
            self.started_at = self.now()
            self._ready.set_result(None)
            await self._stop.wait()
            # first those who ask: a connection that one of them holds could not be closed
            await self._calls.close(patience_s=_FINISH_S)
            for aio_task in background:
                aio_task.cancel()

    async def _open(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        self._claim_data_dir(stack)
        self.log_path = logs.set_up(
            settings.switchboard_data_dir, settings.switchboard_log_level, self._secrets()
        )
        self.graphs = Graphs(settings.switchboard_langgraph_json)
        self.hub = Hub(asyncio.get_running_loop(), lambda: rfc3339(self.now()))
        stack.callback(self.hub.close)
        self.people = People(
            settings.people_file if settings.switchboard_auth_mode != "none" else None
        )
        self.people.check()
        self.sign_in = SignIn(settings, self.people, now=self.now)
        self.store = await stack.enter_async_context(
            open_store(settings, delete_hooks=[forget_sessions])
        )
        self.audit = await stack.enter_async_context(open_audit(self.store.access.add_entries))
        if blanked := self.store.redaction.names:
            self.audit.write(
                SYSTEM_PRINCIPAL,
                "Redaction.begins",
                target=", ".join(blanked),
                outcome="done",
                facts={},
            )
        self.keys = ApiKeys(self.store.access, self.audit, now=self.now)
        self.audit_reader = AuditReader(self.store.access, self.audit)
        await self.keys.open()
        self.target = await self._open_target(stack)
        logs.hide([self.target.api_secret.get_secret_value()])
        self.tokens = TokenMinter(self.target, self.now)
        self.livekit = LiveKitService(
            self.target,
            self.tokens,
            timeout_s=settings.switchboard_livekit_timeout_s,
            unavailable=self._unavailable,
        )
        stack.push_async_callback(self.livekit.close)
        self.rooms = Rooms(
            self.livekit,
            self.store,
            self.hub,
            now=self.now,
            poll_interval_s=settings.switchboard_poll_interval_s,
        )
        self.actions = RoomActions(
            self.livekit, self.rooms, self.store, self.hub, self.audit, now=self.now
        )
        self.listeners = Listeners(self.actions, self.target, self.audit)
        stack.push_async_callback(self.listeners.close)
        self.jobs = AgentService(
            self.livekit,
            self.rooms,
            self.store,
            self.hub,
            self.target,
            self.embedded,
            self.audit,
            worker=lambda: self.worker,
            now=self.now,
        )
        stack.push_async_callback(self.jobs.close)
        self._open_health()
        self.sessions = Sessions(
            settings,
            self.livekit,
            self.rooms,
            self.actions,
            self.store,
            self.graphs,
            self.audit,
            now=self.now,
        )
        questions = questions_of(settings.switchboard_review_rubric_file)
        self.reviews = Reviews(self.store, self.rooms, questions, self.audit, now=self.now)
        self.alerts = Alerts(
            Watcher(self.rooms, self.store, self.embedded, lambda: self.worker, now=self.now),
            Poster(
                settings.switchboard_alert_webhook_url, settings.switchboard_alert_webhook_secret
            ),
            self.store,
            self.hub,
            self.audit,
            dashboard_url=self.dashboard_url,
            now=self.now,
        )
        self.quality = Quality(self.store, self.rooms, self.audit, now=self.now)
        self.analytics = Analytics(RollupStore(self.store), self.hub, now=self.now)
        self.devices = DeviceCheck(self.livekit, self.audit)
        self.presets = SavedItems(self.store.presets, self.audit, kind="preset", now=self.now)
        self.views = SavedItems(self.store.views, self.audit, kind="view", now=self.now)
        self.erasing = DataRetention(settings, self.store, self.hub, self.audit, now=self.now)
        self.exports = Exports(self.store, self.audit, now=self.now)
        stack.push_async_callback(self.sessions.close)
        self.sessions.farewell = self.jobs.farewell
        self.chats = TextChats(self.sessions, self.target, self.hub, self.audit, now=self.now)
        stack.push_async_callback(self.chats.close)
        await self._open_worker(stack)

    def _open_health(self) -> None:
        self.overview = Overview(
            self.rooms,
            self.store,
            self.embedded,
            self.hub,
            self.jobs.recovery,
            lambda: self.worker,
            now=self.now,
        )
        self.diagnosis = Diagnosis(
            self.livekit, self.store, self.jobs.streams, self.embedded, lambda: self.worker
        )
        doctor = Doctor(
            self.settings,
            self.livekit,
            self.target,
            self.rooms,
            self.store,
            self.graphs,
            self.lag,
            self.diagnosis,
            self.embedded,
            lambda: self.worker,
            self.audit,
            dashboard_url=self.dashboard_url,
            listens_at=self.listens_at,
            now=self.now,
        )
        self.system = System(
            self.settings,
            self.livekit,
            self.target,
            self.rooms,
            self.store,
            self.hub,
            self.graphs,
            self.lag,
            doctor,
            self.embedded,
            lambda: self.worker,
            self.audit,
            log_path=self.log_path,
            now=self.now,
        )

    async def _open_target(self, stack: AsyncExitStack) -> LiveKitTarget:
        settings = self.settings
        if settings.livekit_url is not None:
            return LiveKitTarget.outside(settings)
        webhook_url = None
        if self.listens_at is not None:
            webhook_url = f"{self.listens_at}/api/livekit/webhook"
        self.embedded = await stack.enter_async_context(
            open_embedded(settings, webhook_url=webhook_url, on_change=self._embedded_changed)
        )
        return self.embedded.target

    async def _open_worker(self, stack: AsyncExitStack) -> None:
        """The agents' worker of this machine, where it is wanted and can reach us."""
        wanted = self.settings.switchboard_worker
        if self.listens_at is None or wanted == "off":
            return
        if wanted == "auto" and not self.settings.embedded:
            return
        self.worker = await stack.enter_async_context(
            open_worker(
                self.settings,
                livekit_env=lambda: (self.embedded.target if self.embedded else self.target).env,
                livekit_ready=self._livekit_ready,
                dashboard_url=self.listens_at,
                on_change=self._worker_changed,
            )
        )

    async def _livekit_ready(self) -> None:
        if self.embedded is not None:
            await self.embedded.wait_ready(CALL_TIMEOUT_S)

    def _worker_changed(self, _: WorkerState) -> None:
        for topic in ("system", "overview", "agents"):
            self.hub.touch(topic)

    def _embedded_changed(self, state: EmbeddedState) -> None:
        self.hub.touch("system")
        self.hub.touch("overview")
        if state.phase is Phase.READY and hasattr(self, "rooms"):
            self.rooms.look_again()

    def _unavailable(self) -> UnavailableError | None:
        if self.embedded is None or self.embedded.state.phase is Phase.READY:
            return None
        state = self.embedded.state
        return LiveKitUnavailableError(state.message, hint=state.hint)

    def _claim_data_dir(self, stack: AsyncExitStack) -> None:
        """Two dashboards in one data folder would fight over its server and its database."""
        folder = self.settings.switchboard_data_dir
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock(folder / "switchboard.lock", timeout=0)
            lock.acquire()
        except LockTimeoutError:
            raise ConfigError(
                f"The data folder {folder} is in use by another Switchboard.",
                hint="Stop that one, or give this one its own with SWITCHBOARD_DATA_DIR.",
            ) from None
        except OSError as exc:
            raise ConfigError(
                f"The data folder {folder} cannot be used ({exc.strerror}).",
                hint="Choose one that may be written with SWITCHBOARD_DATA_DIR.",
            ) from exc
        stack.callback(lock.release)

    def _secrets(self) -> tuple[str, ...]:
        settings = self.settings
        url = settings.database_url.get_secret_value()
        return (
            settings.livekit_api_secret.get_secret_value(),
            url,
            urlsplit(url).password or "",
            settings.switchboard_proxy_secret.get_secret_value(),
            settings.switchboard_alert_webhook_secret.get_secret_value(),
        )


def _timed(make: Make[T], timeout_s: float) -> Make[T]:
    async def timed() -> T:
        async with asyncio.timeout(timeout_s):
            return await make()

    return timed


def _no_answer(timeout_s: float) -> RuntimeClosedError:
    return RuntimeClosedError(
        f"No answer within {timeout_s:g} s.", hint="Try again; the System page shows more."
    )


def _first_of_ours(exc: BaseException) -> SwitchboardError | None:
    if isinstance(exc, SwitchboardError):
        return exc
    if isinstance(exc, BaseExceptionGroup):
        return next(filter(None, map(_first_of_ours, exc.exceptions)), None)
    return None


# -- the one of this process

_HELD: Final = "_switchboard_runtime"  # on `sys`: it outlives reloads of our modules
_AGAIN_S: Final = 5.0
_lock: threading.Lock = sys.__dict__.setdefault("_switchboard_runtime_lock", threading.Lock())


def get_runtime(make: Callable[[], Runtime] | None = None) -> Runtime:
    """The runtime of this process, started on first use, and anew when it has died.

    Raises:
        SwitchboardError: it cannot start; the next try is made five seconds later.
    """
    with _lock:
        held: dict[str, Any] = sys.__dict__.setdefault(_HELD, {})
        if make is not None and make is not held.get("make"):
            held["failed"] = None  # another one may start
        make = held["make"] = make or held.get("make") or (lambda: Runtime(load_settings()))
        runtime: Runtime | None = held.get("runtime")
        if runtime is not None and runtime.alive and held.get("pid") == os.getpid():
            return runtime
        failed: SwitchboardError | None = held.get("failed")
        if failed is not None and time.monotonic() - held["failed_at_s"] < _AGAIN_S:
            raise failed
        fresh = make()
        try:
            fresh.start()
        except SwitchboardError as exc:
            held |= {"failed": exc, "failed_at_s": time.monotonic()}
            raise
        held |= {"runtime": fresh, "failed": None, "pid": os.getpid()}
        return fresh


def held_runtime() -> Runtime | None:
    """The runtime of this process as it is; nothing is started and nothing waits."""
    runtime: Runtime | None = sys.__dict__.get(_HELD, {}).get("runtime")
    return runtime


def close_runtime() -> None:
    """Close the runtime of this process, if there is one."""
    with _lock:
        held: dict[str, Any] = sys.__dict__.get(_HELD, {})
        runtime = held.pop("runtime", None)
        held.pop("failed", None)
    if runtime is not None:
        runtime.close()
