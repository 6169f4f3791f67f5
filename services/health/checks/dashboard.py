"""Checks of a running dashboard, from inside: its server, workers, webhooks, loop, open ports."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from typing import Final

import psutil

from services.errors import SwitchboardError
from services.events import Kind, Source
from services.health.findings import Area, Check, Finding
from services.ids import DOCTOR_PREFIX, new_identity
from services.livekit.embedded import EmbeddedState, Phase
from services.livekit.server_log import RegisteredWorker
from services.livekit.service import LiveKitService, RoomOptions
from services.loop.lag import LIMIT_MS, LoopLag
from services.rooms.watcher import WebhookStats
from services.settings import LOOPBACK
from services.store.batch import CommittedEvent
from services.store.event_log import EventLog

_ROUND_TRIP_S: Final = 3.0
_EMPTY_TIMEOUT_S: Final = 10  # the room closes by itself, should we die before we delete it
_MISSED_FEW: Final = 3
_LAG_MEDIAN_MS: Final = 5.0
_LAG_WORST_MS: Final = 200.0

SERVER: Final = Check(
    code="livekit_server",
    area=Area.LIVEKIT,
    name="Embedded server",
    why="Without LIVEKIT_URL, Switchboard runs a livekit-server of its own.",
)
WORKERS: Final = Check(
    code="workers",
    area=Area.AGENTS,
    name="Agent workers",
    why="A session asks for its agent; only a registered worker can send one.",
)
WEBHOOKS: Final = Check(
    code="webhooks",
    area=Area.WEBHOOKS,
    name="Webhooks so far",
    why="They tell at once who came and went. Without them it is found seconds later, by asking.",
)
ROUND_TRIP: Final = Check(
    code="webhook_round_trip",
    area=Area.WEBHOOKS,
    name="Webhook round trip",
    why="Only a webhook that arrives shows that LiveKit knows our address and signs with our key.",
)
LAG: Final = Check(
    code="loop_lag",
    area=Area.DASHBOARD,
    name="Event loop",
    why="Everything of Switchboard runs on it: while one thing blocks it, all others wait.",
)
PORTS: Final = Check(
    code="open_ports",
    area=Area.DASHBOARD,
    name="Open ports",
    why="There is no login yet: whoever reaches the port may end every room.",
)


# -- the embedded server and its workers


def server(state: EmbeddedState) -> Finding:
    """What the supervisor of the embedded server says."""
    match state.phase:
        case Phase.READY if state.restarts:
            times = "once" if state.restarts == 1 else f"{state.restarts:,} times"
            return SERVER.ok(f"{state.message} It was started again {times}.")
        case Phase.READY:
            return SERVER.ok(state.message)
        case Phase.LOOKING | Phase.BUILDING | Phase.STARTING:
            return SERVER.unknown(state.message, "Wait a moment; then examine again.")
        case Phase.RESTARTING:
            return SERVER.warning(state.message, state.hint or "Look at its log below Logs.")
        case Phase.FAILED | Phase.STOPPED:
            return SERVER.problem(state.message, state.hint or "Restart Switchboard.")


def workers(agents: Sequence[str], registered: tuple[RegisteredWorker, ...] | None) -> Finding:
    """Whether each agent has a worker; None: nobody can tell."""
    if registered is None:
        return WORKERS.unknown(
            "An outside LiveKit server tells nobody which workers have registered.",
            "The log of each worker says “registered worker” once it has.",
        )
    known = {worker.agent_name for worker in registered}
    missing = [name for name in agents if name not in known]
    if missing:
        return WORKERS.warning(
            f"No worker has registered for {', '.join(missing)}.",
            "Start one with this server's address and key. Sessions can be opened meanwhile; "
            "nobody will answer in them.",
        )
    if not agents:
        return WORKERS.unknown("langgraph.json names no agent.")
    return WORKERS.ok(f"{len(registered):,} registered, for each agent at least one.")


# -- webhooks


def webhook_snippet(api_key: str, dashboard_url: str) -> str:
    """What livekit-server's configuration needs."""
    url = f"{dashboard_url}/api/livekit/webhook"
    return f"webhook:\n  api_key: {api_key}\n  urls:\n    - {url}"


def webhooks(seen: WebhookStats, *, rooms_open: bool, snippet: str) -> Finding:
    """What the deliveries since the start tell."""
    mend = "Write into livekit-server's configuration, with an address it can reach, and restart:"
    if seen.refused and not seen.received:
        return WEBHOOKS.problem(
            f"{seen.refused:,} came, none signed with our key.",
            "Let livekit-server sign them with the key that Switchboard has:",
            snippet=snippet,
        )
    if not seen.received:
        if not rooms_open:
            return WEBHOOKS.unknown("None yet; there was no room that could have caused one.")
        return WEBHOOKS.warning("Rooms are open and none arrived.", mend, snippet=snippet)
    said = f"{seen.received:,} arrived, {seen.missed:,} changes were found without one."
    if seen.refused:
        return WEBHOOKS.warning(
            f"{said} {seen.refused:,} were refused: not signed with our key.",
            "Some other server, or somebody else, sends them: look where they come from.",
        )
    if seen.dropped:
        return WEBHOOKS.warning(
            f"{said} LiveKit gave up on {seen.dropped:,}.",
            "Switchboard answered too slowly, or was away: look at its load.",
        )
    if seen.missed > _MISSED_FEW:
        return WEBHOOKS.warning(
            said, "If it goes on, look in livekit-server's log for “failed to send webhook”."
        )
    return WEBHOOKS.ok(said)


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
                f"A room was opened, and no webhook told of it within {_ROUND_TRIP_S:g} s.",
                "Write into livekit-server's configuration, with an address it can reach, and "
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
    mend = "Look at the load of this machine; if it is idle, report it with the log."
    if seen.median_ms > LIMIT_MS:
        return LAG.problem(said, mend)
    if seen.median_ms > _LAG_MEDIAN_MS or seen.worst_ms > _LAG_WORST_MS:
        return LAG.warning(said, mend)
    return LAG.ok(said)


def listening(pid: int) -> tuple[str, ...]:
    """`127.0.0.1:8501`, … : the TCP addresses that a process listens on. Not on the loop.

    Raises:
        psutil.Error: the process is gone, or not ours to look into.
    """
    found = psutil.Process(pid).net_connections(kind="tcp")
    listening = [one.laddr for one in found if one.status == psutil.CONN_LISTEN]
    return tuple(sorted({f"{address.ip}:{address.port}" for address in listening}))


def open_ports(*, listen_publicly: bool, server_pid: int | None) -> Finding:
    """Whether this process, or the embedded server, can be reached from beyond this machine."""
    try:
        ours = listening(os.getpid())
    except (psutil.Error, OSError):
        return PORTS.unknown("This system does not tell which ports are open.")
    theirs: tuple[str, ...] = ()
    if server_pid is not None:
        try:
            theirs = listening(server_pid)
        except (psutil.Error, OSError):
            theirs = ()  # it has just been restarted; the next look sees it
    return judge_ports(ours, theirs, listen_publicly=listen_publicly)


def judge_ports(ours: Iterable[str], servers: Iterable[str], *, listen_publicly: bool) -> Finding:
    """The verdict on the addresses that are listened on."""
    public = [address for address in ours if not _is_loopback(address)]
    public_server = [address for address in servers if not _is_loopback(address)]
    if public_server:
        return PORTS.problem(
            f"The embedded livekit-server listens on {', '.join(public_server)}.",
            "Report it: it should listen on loopback alone.",
        )
    if public and not listen_publicly:
        return PORTS.problem(
            f"Switchboard listens on {', '.join(public)}.",
            "Set server.address to 127.0.0.1, or set SWITCHBOARD_LISTEN_PUBLICLY=true where "
            "something else guards the door.",
        )
    if public:
        return PORTS.warning(
            f"Switchboard listens on {', '.join(public)}, as SWITCHBOARD_LISTEN_PUBLICLY allows.",
            "See that a proxy with a login, or a firewall, stands before it.",
        )
    return PORTS.ok(f"Only to this machine: {', '.join(ours) or 'nothing is open'}.")


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0]
    return host in LOOPBACK or host.startswith("127.") or host == "::ffff:127.0.0.1"
