"""livekit-server's Prometheus page becomes a summary, or a clear error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from services.errors import LiveKitUnavailableError
from services.livekit.server_metrics import parse_metrics, read_server_metrics

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NODE = 'node_id="ND_x",node_type="SERVER"'
PAGE = f"""\
# TYPE livekit_room_total gauge
livekit_room_total{{{NODE}}} 3
# TYPE livekit_participant_total gauge
livekit_participant_total{{{NODE}}} 7
# TYPE livekit_track_published_total gauge
livekit_track_published_total{{kind="audio",{NODE}}} 4
livekit_track_published_total{{kind="video",{NODE}}} 1
# TYPE livekit_track_subscribed_total gauge
livekit_track_subscribed_total{{kind="audio",{NODE}}} 6
# TYPE livekit_packet_total counter
livekit_packet_total{{country="",direction="incoming",transmission="initial",{NODE}}} 980
livekit_packet_total{{country="",direction="incoming",transmission="retransmit",{NODE}}} 10
livekit_packet_total{{country="",direction="outgoing",transmission="initial",{NODE}}} 500
# TYPE livekit_packet_bytes counter
livekit_packet_bytes{{country="",direction="incoming",transmission="initial",{NODE}}} 1.5e+06
livekit_packet_bytes{{country="",direction="outgoing",transmission="initial",{NODE}}} 2e+06
# TYPE livekit_packet_loss_total counter
livekit_packet_loss_total{{country="",direction="incoming",source="MICROPHONE",type="AUDIO",{NODE}}} 10
# TYPE livekit_nack_total counter
livekit_nack_total{{country="",direction="incoming",{NODE}}} 5
# TYPE livekit_forward_latency gauge
livekit_forward_latency{{{NODE}}} 250000
# TYPE livekit_participant_join_total counter
livekit_participant_join_total{{{NODE},state="signal_connected"}} 8
livekit_participant_join_total{{{NODE},state="rtc_active"}} 7
# TYPE livekit_webhook_dispatch_total counter
livekit_webhook_dispatch_total{{{NODE},reason="",status="success"}} 20
livekit_webhook_dispatch_total{{{NODE},reason="age",status="drop"}} 1
livekit_webhook_dispatch_total{{{NODE},reason="overflow",status="drop"}} 2
# TYPE livekit_node_twirp_request_status counter
livekit_node_twirp_request_status{{code="",method="ListRooms",{NODE},service="RoomService",status="2xx"}} 40
livekit_node_twirp_request_status{{code="not_found",method="DeleteRoom",{NODE},service="RoomService",status="4xx"}} 2
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 5.0e+07
# TYPE process_open_fds gauge
process_open_fds 33
# TYPE go_goroutines gauge
go_goroutines 115
# TYPE process_start_time_seconds gauge
process_start_time_seconds {AT.timestamp() - 3600}
# TYPE some_histogram histogram
some_histogram_bucket{{le="+Inf"}} 0
some_histogram_sum NaN
some_histogram_count 0
"""


def test_a_page_becomes_a_summary() -> None:
    metrics = parse_metrics(PAGE, at=AT)
    assert (metrics.at, metrics.node_id) == (AT, "ND_x")
    assert (metrics.rooms, metrics.participants) == (3, 7)
    assert (metrics.tracks_published, metrics.tracks_subscribed) == (5, 6)
    assert metrics.incoming.packets == 990
    assert metrics.incoming.retransmitted_packets == 10
    assert metrics.incoming.bytes == 1_500_000
    assert metrics.incoming.nacks == 5
    assert metrics.incoming.loss_percent == pytest.approx(1.0)
    assert (metrics.outgoing.packets, metrics.outgoing.bytes) == (500, 2_000_000)
    assert metrics.outgoing.loss_percent == 0
    assert metrics.forward_latency_ms == 0.25
    assert metrics.joins == {"signal_connected": 8, "rtc_active": 7}
    assert metrics.webhooks == {"success": 20, "drop": 3}
    assert (metrics.api_calls, metrics.api_errors) == (42, 2)
    assert metrics.cpu_seconds == 12.5
    assert metrics.memory_bytes == 50_000_000
    assert (metrics.open_files, metrics.goroutines) == (33, 115)
    assert metrics.uptime == timedelta(hours=1)


def test_what_a_system_does_not_tell_is_none() -> None:
    metrics = parse_metrics(f"livekit_room_total{{{NODE}}} 0\n", at=AT)
    assert metrics.cpu_seconds is None
    assert metrics.memory_bytes is None
    assert metrics.uptime is None
    assert metrics.incoming.packets == 0


@pytest.mark.parametrize("page", ["", "<html>hello</html>", "other_total 1\n", "x{y 1\n"])
def test_a_page_of_something_else_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_metrics(page, at=AT)


@asynccontextmanager
async def serving(answer: bytes | None) -> AsyncIterator[str]:
    """A server that gives `answer` to whatever is asked; None: never answers. Its URL."""
    over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await over.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://me:hunter2@127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"
        over.set()


def page(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def test_the_page_is_fetched() -> None:
    async with serving(page(PAGE.encode())) as url:
        metrics = await read_server_metrics(url)
    assert metrics.rooms == 3
    assert metrics.at.tzinfo is UTC


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "did not answer within 0.2 s"),
        (page(b"", "401 Unauthorized"), "status 401"),
        (page(b"<html>"), "is not understood"),
        (page(b"other_total 1\n"), "no livekit_room_total"),
        (page(b"# " + b"x" * 9_000_000), "more than 8 MB"),
        (b"what?\r\n\r\n", "cannot be reached"),
    ],
)
async def test_every_fault_is_unavailable_and_names_no_password(
    answer: bytes | None, said: str
) -> None:
    async with serving(answer) as url:
        with pytest.raises(LiveKitUnavailableError, match=said) as caught:
            await read_server_metrics(url, timeout_s=0.2 if answer is None else 5)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with serving(None) as url:
        pass
    with pytest.raises(LiveKitUnavailableError, match="cannot be reached"):
        await read_server_metrics(url)
