"""The four parts that everything needs, each judged in one place: LiveKit, webhooks, workers, database.

The overview shows these findings, the doctor reports them, alerts and the diagnosis of a missing
agent decide by them. They ask nobody: they judge what the runtime knows already.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from services.errors import StoreUnavailableError
from services.health.findings import Area, Check, Finding
from services.livekit.embedded import EmbeddedState, Phase
from services.livekit.server_log import RegisteredWorker
from services.processes.worker import WorkerPhase, WorkerState
from services.rooms.views import RoomsSnapshot
from services.rooms.watcher import WebhookStats
from services.store.event_log import EventLog

_MISSED_FEW: Final = 3
_WAITING_MANY: Final = 100
_FIRST_POLL: Final = timedelta(seconds=3)  # until a server that is ready has been polled

LIVEKIT: Final = Check(
    code="livekit_server",
    area=Area.LIVEKIT,
    name="LiveKit server",
    impact="Without LiveKit no room can be opened, seen or ended.",
)
WEBHOOKS: Final = Check(
    code="webhooks",
    area=Area.WEBHOOKS,
    name="Webhooks",
    impact="Without them, Switchboard learns of each change seconds later, by polling.",
)
WORKERS: Final = Check(
    code="workers",
    area=Area.AGENTS,
    name="Agent workers",
    impact="A session requests its agent; only a registered worker can send one.",
)
DATABASE: Final = Check(
    code="database_writer",
    area=Area.DATABASE,
    name="Database",
    impact="Events that cannot be written wait in memory, and are lost when Switchboard ends.",
)
_OUTSIDE: Final = "A LiveKit server elsewhere does not tell which workers are registered."
_START_WORKER: Final = "Run `switchboard worker` with this server's LIVEKIT_ variables."


def livekit(
    snapshot: RoomsSnapshot,
    embedded: EmbeddedState | None,
    *,
    now: datetime,
    poll_ms: float | None = None,
) -> Finding:
    """The server as the last poll and its supervisor saw it. `embedded` None: it runs elsewhere."""
    if embedded is not None and embedded.phase is not Phase.READY:
        return _embedded(embedded)
    if (error := snapshot.error) is not None:
        if embedded is not None and now - embedded.since < _FIRST_POLL:
            return LIVEKIT.starting("It has just started.", label="Checking")
        return LIVEKIT.problem(error.message, error.hint, label="Unavailable")
    if snapshot.taken_at is None:
        return LIVEKIT.starting("It has not answered yet.", label="Checking")
    times = f" It restarted {embedded.restarts:,} times." if embedded and embedded.restarts else ""
    took = f" in {poll_ms:.0f} ms" if poll_ms is not None else ""
    return LIVEKIT.ok(f"Answers{took}.{times}", label="Running")


def _embedded(state: EmbeddedState) -> Finding:
    label = state.phase.value.capitalize()
    if state.phase in {Phase.FAILED, Phase.STOPPED}:
        fix = state.hint or "Restart the server on the System page."
        return LIVEKIT.problem(state.message, fix, label=label)
    if state.phase is Phase.RESTARTING:
        fix = state.hint or "See livekit-server's log on the System page."
        return LIVEKIT.warning(state.message, fix, label=label)
    return LIVEKIT.starting(state.message, label=label, progress=state.progress)


def webhook_snippet(api_key: str, dashboard_url: str) -> str:
    """What livekit-server's configuration needs."""
    url = f"{dashboard_url}/api/livekit/webhook"
    return f"webhook:\n  api_key: {api_key}\n  urls:\n    - {url}"


def webhooks(seen: WebhookStats, *, rooms_open: bool, snippet: str = "") -> Finding:
    """The deliveries since the start, and what was missed in the last ten minutes."""
    fix = "Add this to livekit-server's configuration, with an address it can reach, and restart it"
    fix += ":" if snippet else " (docs/troubleshooting.md)."
    if seen.refused and not seen.received:
        return WEBHOOKS.problem(
            f"{seen.refused:,} arrived, none signed with our key.",
            "Let livekit-server sign them with the key that Switchboard has:",
            snippet=snippet,
            label="Rejected",
        )
    if not seen.received and not rooms_open:
        return WEBHOOKS.unknown(
            "None yet. The first room shows whether they arrive.", label="None yet"
        )
    if not seen.received:
        return WEBHOOKS.warning(
            "Rooms are open and no webhook arrived.", fix, snippet=snippet, label="None"
        )
    said = f"{seen.received:,} arrived; {seen.missed_lately:,} missed in the last 10 minutes."
    if seen.refused:
        return WEBHOOKS.warning(
            f"{said} {seen.refused:,} were rejected: not signed with our key.",
            "Another server, or somebody else, sends them: check where they come from.",
            label="Some rejected",
        )
    if seen.dropped:
        return WEBHOOKS.warning(
            f"{said} LiveKit dropped {seen.dropped:,}.",
            "Switchboard answered too slowly, or was down: check its load.",
            label="Dropped",
        )
    if seen.missed_lately > _MISSED_FEW:
        return WEBHOOKS.warning(
            said,
            "If this continues, search livekit-server's log for “failed to send webhook”.",
            label="Missed",
        )
    return WEBHOOKS.ok(said, label="Arriving")


def workers(
    agents: Sequence[str],
    registered: tuple[RegisteredWorker, ...] | None,
    own: WorkerState | None,
) -> Finding:
    """Whether agents can come.

    Args:
        agents: those that should have a worker, such as those of langgraph.json.
        registered: at the embedded server; None for a server elsewhere, which does not tell.
        own: the worker that this dashboard started; None where it started none.
    """
    if own is not None and own.phase is not WorkerPhase.READY:
        label = own.phase.value.capitalize()
        if own.phase in {WorkerPhase.WAITING, WorkerPhase.STARTING}:
            return WORKERS.starting(own.message, label=label)
        fix = own.hint or "See the worker's log on the System page."
        return WORKERS.problem(own.message, fix, label=label)
    if registered is None and own is not None:
        return WORKERS.ok(own.message, label="Running")
    if registered is None:
        fix = "The log of each worker says “registered worker” once it is."
        return WORKERS.unknown(_OUTSIDE, fix, label="Unknown")
    if not registered:
        return WORKERS.warning(
            "No worker is registered: agents that are requested do not come.",
            _START_WORKER,
            label="None",
        )
    known = {worker.agent_name for worker in registered}
    count = f"{len(registered)} registered"
    if missing := [name for name in agents if name not in known]:
        return WORKERS.warning(
            f"No worker is registered for {', '.join(missing)}.", _START_WORKER, label=count
        )
    names = sorted(name or "any agent" for name in known)
    more = " and more" if len(names) > 4 else ""
    return WORKERS.ok(f"For {', '.join(names[:4])}{more}.", label=count)


def database(writer: EventLog, error: StoreUnavailableError | None = None) -> Finding:
    """Whether events are written as they come. `error`: what the last read failed with."""
    if error is not None:
        return DATABASE.problem(error.message, error.hint, label="Unavailable")
    if writer.last_error:
        return DATABASE.problem(
            f"{writer.waiting:,} events wait to be written. Last error: {writer.last_error}",
            "Fix the database. Switchboard writes them as soon as it can.",
            label="Not writing",
        )
    if writer.rejected:
        return DATABASE.warning(
            f"{writer.rejected:,} events were rejected since the start.",
            "Search the log for “the database rejected an event”.",
            label="Rejecting",
        )
    if writer.waiting > _WAITING_MANY:
        return DATABASE.warning(
            f"{writer.waiting:,} events wait to be written.",
            "The database is slow: check its disk and load.",
            label="Slow",
        )
    return DATABASE.ok("All events are written.", label="Writing")
