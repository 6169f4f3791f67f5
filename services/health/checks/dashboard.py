"""Checks of a running dashboard: its event loop, its open ports, the way of a webhook."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import psutil

from services.errors import SwitchboardError
from services.events import Kind, Source
from services.health.findings import Area, Check, Finding
from services.ids import DOCTOR_PREFIX, new_identity
from services.livekit.service import LiveKitService, RoomOptions
from services.loop.lag import LIMIT_MS, LoopLag
from services.settings import LOOPBACK, Settings
from services.store.batch import CommittedEvent
from services.store.event_log import EventLog

_ROUND_TRIP_S: Final = 3.0
_EMPTY_TIMEOUT_S: Final = 10  # the room closes by itself, should we die before we delete it
_LAG_MEDIAN_MS: Final = 5.0
_LAG_WORST_MS: Final = 200.0

ROUND_TRIP: Final = Check(
    code="webhook_round_trip",
    area=Area.WEBHOOKS,
    name="Webhook round trip",
    impact="Only a webhook that arrives shows that LiveKit knows our address and signs with our key.",
)
LAG: Final = Check(
    code="loop_lag",
    area=Area.DASHBOARD,
    name="Event loop",
    impact="Everything of Switchboard runs on it: while one thing blocks it, all others wait.",
)
PORTS: Final = Check(
    code="open_ports",
    area=Area.DASHBOARD,
    name="Open ports",
    impact="Whoever reaches the port without signing in can end every room.",
)


class RoundTrip:
    """Opens a room and waits for its webhook. Made once for each log: it stays subscribed."""

    def __init__(self, log: EventLog, livekit: LiveKitService) -> None:
        self._livekit = livekit
        self._waiting: dict[str, asyncio.Future[float]] = {}
        log.subscribe(self._take)

    def _take(self, committed: CommittedEvent) -> None:
        event = committed.event
        waiting = self._waiting.get(event.room_name)
        webhook = event.kind is Kind.ROOM_STARTED and event.source is Source.WEBHOOK
        if waiting is not None and webhook and not waiting.done():
            waiting.set_result(time.perf_counter())

    async def run(self, *, snippet: str) -> Finding:
        """Open a room, wait up to 3 s for its webhook, end the room."""
        name = new_identity(DOCTOR_PREFIX)
        arrived = self._waiting[name] = asyncio.get_running_loop().create_future()
        begun_s = time.perf_counter()
        opened = False
        try:
            await self._livekit.create_room(
                RoomOptions(name=name, empty_timeout_s=_EMPTY_TIMEOUT_S, departure_timeout_s=1)
            )
            opened = True
            took_s = await asyncio.wait_for(arrived, _ROUND_TRIP_S) - begun_s
        except TimeoutError:
            return ROUND_TRIP.problem(
                f"A room was opened, and no webhook arrived within {_ROUND_TRIP_S:g} s.",
                "Add this to livekit-server's configuration, with an address it can reach, and "
                "restart it:",
                snippet=snippet,
            )
        except SwitchboardError as exc:
            return ROUND_TRIP.unknown(f"No room could be opened: {exc.message}", exc.hint)
        finally:
            del self._waiting[name]
            if opened:
                self._livekit.undo_room(name)
        return ROUND_TRIP.ok(
            f"A room was opened; its webhook was written {took_s * 1000:.0f} ms later."
        )


def round_trip_not_run() -> Finding:
    """For an examination that leaves nothing behind."""
    return ROUND_TRIP.unknown(
        "Not tried: it opens a room for a moment.",
        "Run all checks.",
    )


# -- this process


def lag(seen: LoopLag) -> Finding:
    """How late the shared loop was in the last minute."""
    said = (
        f"Late by {seen.median_ms:.1f} ms (median), {seen.worst_ms:.0f} ms at worst, last minute."
    )
    fix = "Look at the load of this machine; if it is idle, report it with the log."
    if seen.median_ms > LIMIT_MS:
        return LAG.problem(said, fix)
    if seen.median_ms > _LAG_MEDIAN_MS or seen.worst_ms > _LAG_WORST_MS:
        return LAG.warning(said, fix)
    return LAG.ok(said)


def listening(pid: int) -> tuple[str, ...]:
    """`127.0.0.1:8501`, … : the TCP addresses that a process listens on. Not on the loop.

    Raises:
        psutil.Error: the process is gone, or not ours to look into.
    """
    found = psutil.Process(pid).net_connections(kind="tcp")
    listening = [one.laddr for one in found if one.status == psutil.CONN_LISTEN]
    return tuple(sorted({f"{address.ip}:{address.port}" for address in listening}))


def open_ports(
    *, access: Access, pid: int, server_pid: int | None = None, port: int | None = None
) -> Finding:
    """Whether other machines can reach the dashboard or the embedded server.

    `pid` is the dashboard's process, `server_pid` the embedded livekit-server's. `port` is the
    dashboard's own: its process also opens ports for WebRTC. None counts all of them.
    """
    try:
        ours = tuple(a for a in listening(pid) if port is None or a.endswith(f":{port}"))
    except (psutil.Error, OSError):
        return PORTS.unknown("This system does not say which ports are open.")
    theirs: tuple[str, ...] = ()
    if server_pid is not None:
        try:
            theirs = listening(server_pid)
        except (psutil.Error, OSError):
            theirs = ()  # it has just restarted; the next check sees it
    return judge_ports(ours, theirs, access)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How the dashboard is protected: `SWITCHBOARD_AUTH_MODE`, `SWITCHBOARD_ALLOW_UNAUTHENTICATED_PUBLIC`."""

    login: str
    publicly: bool

    @classmethod
    def of(cls, settings: Settings) -> Access:
        """As the settings say."""
        return cls(
            login=settings.switchboard_auth_mode,
            publicly=settings.switchboard_allow_unauthenticated_public,
        )


def judge_ports(ours: Iterable[str], servers: Iterable[str], access: Access) -> Finding:
    """The finding on the addresses that the dashboard and the embedded server listen on."""
    ours = tuple(ours)
    public = [address for address in ours if not _is_loopback(address)]
    public_server = [address for address in servers if not _is_loopback(address)]
    if public_server:
        return PORTS.problem(
            f"The embedded livekit-server listens on {', '.join(public_server)}.",
            "Report it as a bug: it should listen on loopback alone.",
        )
    if not public:
        return PORTS.ok(f"Only this machine: {', '.join(ours) or 'no port is open'}.")
    said = f"Other machines can reach {', '.join(public)}"
    if access.login != "none":
        return PORTS.ok(f"{said}; everybody signs in ({access.login}).")
    if access.publicly:
        return PORTS.warning(
            f"{said}, and nobody signs in. SWITCHBOARD_ALLOW_UNAUTHENTICATED_PUBLIC allows it.",
            "Set SWITCHBOARD_AUTH_MODE, unless something in front of it signs people in.",
        )
    return PORTS.problem(
        f"{said}, and nobody signs in.",
        "Set SWITCHBOARD_AUTH_MODE, or set server.address to 127.0.0.1.",
    )


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0]
    return host in LOOPBACK or host.startswith("127.") or host == "::ffff:127.0.0.1"
