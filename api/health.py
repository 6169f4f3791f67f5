"""Is it up, is it well, and figures for Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from api.deps import MAY_READ, SharedRuntime
from services.errors import SwitchboardError

router = APIRouter(tags=["Health"])


@router.get("/health")
async def health(runtime: SharedRuntime) -> dict[str, Any]:
    """The process answers. It says nothing of LiveKit; `/api/ready` does."""
    return {"status": "ok", "started_at": str(runtime.started_at)}


@router.get("/ready", dependencies=[MAY_READ])
async def ready(runtime: SharedRuntime, response: Response) -> dict[str, Any]:
    """200 when database and LiveKit both answer, else 503 and what does not."""
    parts: dict[str, str] = {"livekit": "ok", "store": "ok"}
    if (error := runtime.rooms.snapshot.error) is not None:
        parts["livekit"] = error.message
    elif runtime.rooms.snapshot.taken_at is None:
        parts["livekit"] = "LiveKit has not been asked yet."
    try:
        await runtime.acall(runtime.store.health)
    except SwitchboardError as exc:
        parts["store"] = exc.message
    well = all(said == "ok" for said in parts.values())
    response.status_code = 200 if well else 503
    return {"status": "ready" if well else "not ready", **parts}


@router.get("/metrics", include_in_schema=False, dependencies=[MAY_READ])
async def metrics(runtime: SharedRuntime) -> Response:
    """Prometheus text."""
    registry = CollectorRegistry()

    def gauge(name: str, help_text: str, value: float) -> None:
        Gauge(f"switchboard_{name}", help_text, registry=registry).set(value)

    snapshot, hooks, lag = runtime.rooms.snapshot, runtime.rooms.webhooks, runtime.lag.read()
    gauge("livekit_up", "1 when the last poll of LiveKit was answered", snapshot.error is None)
    gauge("rooms", "Open rooms", len(snapshot.rooms))
    gauge("people", "People in open rooms", snapshot.people)
    gauge("agents", "Agents in open rooms", snapshot.agents)
    gauge("live_viewers", "Tabs with a live connection", runtime.hub.viewers())
    gauge("livekit_calls", "Calls made to LiveKit since the start", runtime.livekit.calls)
    gauge("livekit_poll_ms", "Milliseconds of the last ListRooms", runtime.rooms.poll_ms)
    gauge("webhooks_received", "Webhooks with a good signature", hooks.received)
    gauge("webhooks_duplicates", "Webhooks that came again", hooks.duplicates)
    gauge("webhooks_refused", "Webhooks with a bad signature", hooks.refused)
    gauge("webhooks_missed", "Facts found by a poll that no webhook told", hooks.missed)
    gauge("webhooks_missed_lately", "The same, of the last ten minutes", hooks.missed_lately)
    gauge("loop_lag_median_ms", "Median lag of the shared loop, last minute", lag.median_ms)
    gauge("loop_lag_worst_ms", "Worst lag of the shared loop, last minute", lag.worst_ms)
    gauge("events_waiting", "Events not yet written", runtime.store.log.waiting)
    altered = runtime.jobs.streams.altered
    gauge("agent_events_altered", "Agents' events that did not fit their bounds", altered)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
