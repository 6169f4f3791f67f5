"""livekit-server's Prometheus page as one small summary for the System page.

Names are those of `pkg/telemetry/prometheus` and `protocol/webhook` (livekit-server
1.13.5), the `process_` and `go_` ones Prometheus' own. Counters begin at 0 with each
start of the server. The server keeps its CPU load to itself: take the growth of
`cpu_seconds` between two readings.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from services.clock import from_unix_s, utc_now
from services.errors import LiveKitUnavailableError

_MOST_BYTES: Final = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """RTP one way since the server started. `lost` as the receiving end reported it."""

    packets: int = 0
    bytes: int = 0
    retransmitted_packets: int = 0
    lost: int = 0
    nacks: int = 0

    @property
    def loss_percent(self) -> float:
        """Lost packets in 100 that were sent."""
        sent = self.packets + self.lost
        return 100 * self.lost / sent if sent else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMetrics:
    """One reading. None: this server or its operating system does not tell."""

    at: datetime
    node_id: str
    rooms: int
    participants: int
    tracks_published: int
    tracks_subscribed: int
    incoming: Traffic
    outgoing: Traffic
    forward_latency_ms: float
    joins: Mapping[str, int]  # participants by how far they came: signal_connected, rtc_active …
    webhooks: Mapping[str, int]  # deliveries by status: success, failure, drop …
    api_calls: int
    api_errors: int
    cpu_seconds: float | None
    memory_bytes: int | None
    open_files: int | None
    goroutines: int | None
    started_at: datetime | None

    @property
    def uptime(self) -> timedelta | None:
        """How long the server had been up when this was read."""
        return self.at - self.started_at if self.started_at else None


async def read_server_metrics(url: str, *, timeout_s: float = 2.0) -> ServerMetrics:
    """The summary of the Prometheus page at `url`, such as `http://127.0.0.1:6789/metrics`.

    Raises:
        LiveKitUnavailableError: no answer within `timeout_s` seconds, or no page of a
            livekit-server (retryable).
    """
    try:
        async with (
            asyncio.timeout(timeout_s),
            aiohttp.ClientSession() as http,
            http.get(url) as response,
        ):
            if response.status != 200:
                raise _unavailable(url, f"answered with status {response.status}")
            text = await _read(response, url)
    except TimeoutError as exc:
        raise _unavailable(url, f"did not answer within {timeout_s:g} s") from exc
    except aiohttp.ClientError:
        raise _unavailable(url, "cannot be reached") from None  # the cause may hold a password
    # A busy server's page has thousands of lines: some 10 ms of parsing.
    return await asyncio.to_thread(_parse_page, text, url)


async def _read(response: aiohttp.ClientResponse, url: str) -> str:
    page = bytearray()
    async for chunk in response.content.iter_any():
        page += chunk
        if len(page) > _MOST_BYTES:
            raise _unavailable(url, f"sends more than {_MOST_BYTES // 1_000_000} MB")
    return page.decode(errors="replace")


def _parse_page(text: str, url: str) -> ServerMetrics:
    try:
        return parse_metrics(text, at=utc_now())
    except ValueError as exc:
        raise _unavailable(url, f"is not understood: {exc}") from exc


def parse_metrics(text: str, *, at: datetime) -> ServerMetrics:
    """The summary of a Prometheus page.

    Raises:
        ValueError: not such a page, or not of a livekit-server.
    """
    found = _Samples(text)
    rooms = found.get("livekit_room_total")
    if not rooms:
        raise ValueError("it has no livekit_room_total")
    calls = "livekit_node_twirp_request_status"
    return ServerMetrics(
        at=at,
        node_id=rooms[0][0].get("node_id", ""),
        rooms=found.count("livekit_room_total"),
        participants=found.count("livekit_participant_total"),
        tracks_published=found.count("livekit_track_published_total"),
        tracks_subscribed=found.count("livekit_track_subscribed_total"),
        incoming=_traffic(found, "incoming"),
        outgoing=_traffic(found, "outgoing"),
        forward_latency_ms=(found.total("livekit_forward_latency") or 0) / 1e6,
        joins=found.split("livekit_participant_join_total", "state"),
        webhooks=found.split("livekit_webhook_dispatch_total", "status"),
        api_calls=found.count(calls),
        api_errors=found.count(calls, lambda labels: not labels.get("status", "").startswith("2")),
        cpu_seconds=found.total("process_cpu_seconds_total"),
        memory_bytes=found.whole("process_resident_memory_bytes"),
        open_files=found.whole("process_open_fds"),
        goroutines=found.whole("go_goroutines"),
        started_at=from_unix_s(found.total("process_start_time_seconds") or 0),
    )


Labels = Mapping[str, str]


class _Samples:
    """The samples of a page by name.

    The parser gives every counter a name that ends in `_total`, livekit-server only some,
    and gauges of it have that ending too: it is left out of all names here.
    """

    def __init__(self, text: str) -> None:
        self._by_name: dict[str, list[tuple[Labels, float]]] = defaultdict(list)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if math.isfinite(sample.value):
                    name = sample.name.removesuffix("_total")
                    self._by_name[name].append((sample.labels, sample.value))

    def get(self, name: str) -> list[tuple[Labels, float]]:
        return self._by_name.get(name.removesuffix("_total"), [])

    def total(
        self, name: str, where: Callable[[Labels], bool] = lambda _labels: True
    ) -> float | None:
        values = [value for labels, value in self.get(name) if where(labels)]
        return math.fsum(values) if values else None

    def whole(self, name: str) -> int | None:
        total = self.total(name)
        return None if total is None else int(total)

    def count(self, name: str, where: Callable[[Labels], bool] = lambda _labels: True) -> int:
        return int(self.total(name, where) or 0)

    def split(self, name: str, label: str) -> dict[str, int]:
        counts: dict[str, int] = defaultdict(int)
        for labels, value in self.get(name):
            counts[labels.get(label, "")] += int(value)
        return dict(counts)


def _traffic(found: _Samples, direction: str) -> Traffic:
    def one_way(labels: Labels) -> bool:
        return labels.get("direction") == direction

    def again(labels: Labels) -> bool:
        return one_way(labels) and labels.get("transmission") == "retransmit"

    return Traffic(
        packets=found.count("livekit_packet_total", one_way),
        bytes=found.count("livekit_packet_bytes", one_way),
        retransmitted_packets=found.count("livekit_packet_total", again),
        lost=found.count("livekit_packet_loss_total", one_way),
        nacks=found.count("livekit_nack_total", one_way),
    )


def _unavailable(url: str, what: str) -> LiveKitUnavailableError:
    parts = urlsplit(url)  # without user and password
    where = f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
    return LiveKitUnavailableError(
        f"livekit-server's metrics page at {where} {what}.",
        hint="Look at the server's prometheus setting and SWITCHBOARD_LIVEKIT_METRICS_URL.",
    )
