"""The embedded livekit-server, the real one: started, watched, and gone when we are."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import aiohttp
import psutil
import pytest
import pytest_asyncio
from livekit import api
from livekit.protocol import agent as agent_protocol

from services.livekit.embedded import EmbeddedServer, EmbeddedState, Phase, open_embedded
from services.livekit.server_config import (
    PortReservation,
    known_ports,
    load_keys,
    open_folder,
    write_config,
)
from services.livekit.server_metrics import read_server_metrics
from services.processes.process import pidfile_in, write_pidfile
from services.settings import Settings
from tests.support.livekit_server import livekit_binary
from tests.support.participants import People
from tests.support.ports import reserve_embedded_ports
from tests.support.secrets import assert_no_secrets, assert_no_secrets_in_files
from tests.support.waiting import eventually, wait_until
from tests.support.webhook_inbox import WebhookInbox

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def binary() -> Path:
    return livekit_binary()


@pytest.fixture
def settings(tmp_path: Path, binary: Path) -> Settings:
    reserve_embedded_ports(tmp_path / "data")
    return Settings(
        switchboard_data_dir=tmp_path / "data",
        switchboard_cache_dir=tmp_path / "cache",
        switchboard_livekit_server_bin=binary,
    )


Open = Callable[..., Awaitable[EmbeddedServer]]


@pytest_asyncio.fixture
async def open_server() -> AsyncIterator[Open]:
    """Opens an embedded server and waits until it is ready; it ends with the test."""
    async with AsyncExitStack() as stack:

        async def opened(
            settings: Settings,
            states: list[EmbeddedState] | None = None,
            webhook_url: str | None = None,
        ) -> EmbeddedServer:
            told = [] if states is None else states
            server = await stack.enter_async_context(
                open_embedded(settings, webhook_url=webhook_url, on_change=told.append)
            )
            await server.wait_ready(15)
            return server

        yield opened


def process_of(server: EmbeddedServer) -> psutil.Process:
    assert server.state.pid is not None
    return psutil.Process(server.state.pid)


def runs(pid: int) -> bool:
    """Whether the process is there and not only waiting to be reaped by init."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def sockets_of(process: psutil.Process) -> set[tuple[str, str]]:
    """Kind and local address of every socket that can be reached."""
    found = set()
    for connection in process.net_connections(kind="inet"):
        kind = "udp" if connection.type == socket.SOCK_DGRAM else "tcp"
        if kind == "udp" or connection.status == psutil.CONN_LISTEN:
            found.add((kind, connection.laddr[0]))
    return found


async def call(server: EmbeddedServer) -> list[str]:
    """The names of its rooms, asked with its own keys."""
    target = server.target
    secret = target.api_secret.get_secret_value()
    async with api.LiveKitAPI(target.url, target.api_key, secret) as livekit:
        reply = await livekit.room.list_rooms(api.ListRoomsRequest())
    return [room.name for room in reply.rooms]


async def test_it_starts_and_takes_calls_with_its_own_keys(
    settings: Settings, open_server: Open
) -> None:
    states: list[EmbeddedState] = []
    server = await open_server(settings, states)
    assert await call(server) == []
    assert [state.phase for state in states] == [Phase.STARTING, Phase.READY]
    assert server.state.restarts == 0
    assert "livekit-server 1." in server.state.message


async def test_all_its_sockets_are_on_the_loopback_interface(
    settings: Settings, open_server: Open, join_room: People
) -> None:
    """Also while media flows, when ICE has opened what it wants."""
    server = await open_server(settings)
    loopback = {("tcp", "127.0.0.1"), ("udp", "127.0.0.1")}
    assert sockets_of(process_of(server)) == loopback
    await join_room(server.target, "loopback", "one")
    await join_room(server.target, "loopback", "two")
    assert sockets_of(process_of(server)) == loopback


async def test_its_environment_cannot_open_it_to_others(
    settings: Settings, open_server: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """livekit-server takes each of its settings from the environment as well."""
    monkeypatch.setenv("LIVEKIT_KEYS", "devkey: secret")
    monkeypatch.setenv("LIVEKIT_RTC_TCP_PORT", "7881")
    monkeypatch.setenv("NODE_IP", "10.1.2.3")
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1:1")
    server = await open_server(settings)
    assert sockets_of(process_of(server)) == {("tcp", "127.0.0.1"), ("udp", "127.0.0.1")}
    assert await call(server) == []


async def test_no_secret_and_no_token_gets_into_its_files(
    settings: Settings, open_server: Open, join_room: People
) -> None:
    server = await open_server(settings)
    await join_room(server.target, "secrets", "somebody")
    await eventually(lambda: any("somebody" in line for line in server.tail(200)))
    secret = server.target.api_secret.get_secret_value()
    folder = settings.switchboard_data_dir / "livekit"
    assert_no_secrets_in_files(folder, secret, but=("keys.json", "livekit.yaml"))
    for path in folder.iterdir():
        assert path.name in {"lock", "server.pid"} or path.stat().st_mode & 0o077 == 0, path
    assert secret not in " ".join(process_of(server).cmdline())


async def test_a_refused_token_is_not_in_its_log(settings: Settings, open_server: Open) -> None:
    server = await open_server(settings)
    grants = api.VideoGrants(room_join=True, room="refused")
    key = server.target.api_key
    token = api.AccessToken(key, "x" * 32).with_identity("ana").with_grants(grants).to_jwt()
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server.target.url}/rtc/validate", params={"access_token": token}) as answer,
    ):
        assert answer.status == 401
    await eventually(lambda: any("[token]" in line for line in server.tail(200)))
    assert_no_secrets("\n".join(server.tail(200)), where="the server's log")


async def test_its_webhooks_come_signed_with_its_own_key(
    settings: Settings, open_server: Open, webhook_inbox: WebhookInbox
) -> None:
    server = await open_server(settings, webhook_url=webhook_inbox.url)
    secret = server.target.api_secret.get_secret_value()
    async with api.LiveKitAPI(server.target.url, server.target.api_key, secret) as livekit:
        await livekit.room.create_room(api.CreateRoomRequest(name="embedded-webhook"))
    delivery = await eventually(lambda: webhook_inbox.find("embedded-webhook", "room_started"))
    assert delivery is not None
    receiver = api.WebhookReceiver(api.TokenVerifier(server.target.api_key, secret))
    event = receiver.receive(delivery.body.decode(), delivery.authorization)
    assert event.room.name == "embedded-webhook"


async def test_busy_ports_are_avoided(settings: Settings, open_server: Open) -> None:
    folder = open_folder(settings.switchboard_data_dir)
    PortReservation(folder).release()
    last = known_ports(folder)
    with (
        socket.create_server(("127.0.0.1", last.http)),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("127.0.0.1", last.rtc))
        server = await open_server(settings)
        now = known_ports(folder)
        assert now.http != last.http
        assert now.rtc != last.rtc
        assert server.target.url.endswith(f":{now.http}")
        assert await call(server) == []


async def test_keys_and_ports_stay_from_one_start_to_the_next(settings: Settings) -> None:
    targets = []
    for _ in range(2):
        async with open_embedded(
            settings, webhook_url=None, on_change=lambda _state: None
        ) as server:
            await server.wait_ready(15)
            assert await call(server) == []  # leaves a connection in TIME_WAIT
            targets.append(server.target)
    assert targets[0] == targets[1]


async def test_two_side_by_side_do_not_disturb_each_other(
    settings: Settings, open_server: Open, tmp_path: Path
) -> None:
    other = settings.model_copy(update={"switchboard_data_dir": tmp_path / "other"})
    one, two = await open_server(settings), await open_server(other)
    assert one.target.url != two.target.url
    assert one.target.api_secret != two.target.api_secret
    assert await call(one) == []
    assert await call(two) == []


async def test_a_killed_server_comes_back_at_the_same_address_and_says_so(
    settings: Settings, open_server: Open
) -> None:
    states: list[EmbeddedState] = []
    server = await open_server(settings, states)
    address, pid = server.target, server.state.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    told = await eventually(lambda: [s for s in states if s.phase is Phase.RESTARTING])
    assert "was ended by SIGKILL" in told[0].message
    await server.wait_ready(15)
    assert server.state.pid != pid
    assert server.state.restarts == 1
    assert server.target == address
    assert await call(server) == []


async def test_a_server_without_its_guard_is_replaced(
    settings: Settings, open_server: Open
) -> None:
    states: list[EmbeddedState] = []
    server = await open_server(settings, states)
    pid, guard = server.state.pid, process_of(server).parent()
    assert pid is not None
    assert guard is not None
    guard.kill()
    await eventually(lambda: [s for s in states if s.phase is Phase.RESTARTING])
    await server.wait_ready(15)
    assert not runs(pid)


async def test_a_restart_throws_out_a_call_at_once(
    settings: Settings, open_server: Open, join_room: People
) -> None:
    """A single SIGTERM would wait for the last participant to leave."""
    server = await open_server(settings)
    await join_room(server.target, "busy", "caller")
    pid = server.state.pid
    began = time.monotonic()
    await server.restart()
    await server.wait_ready(15)
    assert server.state.pid != pid
    assert time.monotonic() - began < 5


async def test_after_closing_it_is_gone(settings: Settings) -> None:
    async with open_embedded(settings, webhook_url=None, on_change=lambda _state: None) as server:
        await server.wait_ready(15)
        process = process_of(server)
        guard = process.parent()
    assert guard is not None
    assert not runs(process.pid)
    assert not runs(guard.pid)
    assert not pidfile_in(settings.switchboard_data_dir / "livekit").exists()


async def test_closing_while_it_starts_loses_no_process(settings: Settings) -> None:
    """livekit-server drops a SIGTERM that comes within 100 ms of its start."""
    states: list[EmbeddedState] = []
    async with open_embedded(settings, webhook_url=None, on_change=states.append):
        await eventually(lambda: [s for s in states if s.phase is Phase.STARTING])
    ours = str(settings.switchboard_data_dir)
    left = [p.pid for p in psutil.Process().children(recursive=True) if ours in str(p.cmdline())]
    assert left == []


KILLED_PARENT = """
import asyncio, sys
from pathlib import Path
from services.livekit.embedded import open_embedded
from services.settings import Settings

async def main():
    settings = Settings(
        switchboard_data_dir=Path(sys.argv[1]), switchboard_livekit_server_bin=Path(sys.argv[2])
    )
    async with open_embedded(settings, webhook_url=None, on_change=lambda _: None) as server:
        await server.wait_ready(15)
        print(server.state.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_within_two_seconds_when_we_are_killed(
    settings: Settings, binary: Path, how: signal.Signals
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED_PARENT, str(settings.switchboard_data_dir), str(binary)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
        guard = psutil.Process(pid).ppid()
        parent.send_signal(how)
        parent.wait(10)
    assert wait_until(lambda: not runs(pid) and not runs(guard), within_s=10)


async def test_what_an_unclean_end_left_behind_is_ended_first(
    settings: Settings, binary: Path, open_server: Open
) -> None:
    """It still has the ports, and they are used again."""
    folder = open_folder(settings.switchboard_data_dir)
    reservation = PortReservation(folder)
    config = write_config(folder, keys=load_keys(folder), ports=reservation.ports, webhook_url=None)
    reservation.release()
    with subprocess.Popen([binary, "--config", config], stderr=subprocess.DEVNULL) as left:
        write_pidfile(pidfile_in(folder), left.pid, config)
        process = psutil.Process(left.pid)
        wait_until(lambda: ("tcp", "127.0.0.1") in sockets_of(process), within_s=30)
        server = await open_server(settings)
        assert left.wait(30) is not None
    assert known_ports(folder) == reservation.ports
    assert await call(server) == []


@pytest.mark.parametrize("same_start", [True, False])
async def test_a_stranger_with_the_written_process_id_is_left_alone(
    settings: Settings, open_server: Open, same_start: bool
) -> None:
    pidfile = pidfile_in(open_folder(settings.switchboard_data_dir))
    with subprocess.Popen(["sleep", "300"]) as stranger:
        try:
            created = psutil.Process(stranger.pid).create_time() - (0 if same_start else 3600)
            config = str(pidfile.with_name("livekit.yaml")) if same_start else "300"
            found = {"pid": stranger.pid, "created": created, "config": config}
            pidfile.write_text(json.dumps(found))
            await open_server(settings)
            assert stranger.poll() is None
        finally:
            stranger.kill()


async def test_a_worker_is_seen_to_register_and_to_go(
    settings: Settings, open_server: Open
) -> None:
    states: list[EmbeddedState] = []
    server = await open_server(settings, states)
    async with aiohttp.ClientSession() as http:
        one = await register_worker(http, server, "pm-agent")
        two = await register_worker(http, server, "pm-agent")
        workers = await eventually(lambda: server.workers if len(server.workers) == 2 else ())
        assert {(w.agent_name, w.job_type) for w in workers} == {("pm-agent", "room")}
        assert all(w.worker_id.startswith("AW_") and w.registered_at for w in workers)
        told = len(states)
        await one.close()
        await eventually(lambda: len(server.workers) == 1)
        assert len(states) > told
        await two.close()
        await eventually(lambda: server.workers == ())


async def test_workers_are_forgotten_when_the_server_is_started_again(
    settings: Settings, open_server: Open
) -> None:
    server = await open_server(settings)
    async with aiohttp.ClientSession() as http:
        worker = await register_worker(http, server, "pm-agent")
        await eventually(lambda: server.workers)
        assert not worker.closed
        await server.restart()
        await server.wait_ready(15)
        await eventually(lambda: server.workers == ())


async def register_worker(
    http: aiohttp.ClientSession, server: EmbeddedServer, name: str
) -> aiohttp.ClientWebSocketResponse:
    """What livekit-agents does first, without the rest of it."""
    target = server.target
    token = (
        api.AccessToken(target.api_key, target.api_secret.get_secret_value())
        .with_grants(api.VideoGrants(agent=True))
        .with_ttl(timedelta(minutes=5))
        .to_jwt()
    )
    websocket = await http.ws_connect(
        f"{target.url}/agent", headers={"Authorization": f"Bearer {token}"}
    )
    register = agent_protocol.RegisterWorkerRequest(
        type=agent_protocol.JT_ROOM, agent_name=name, version="1.0"
    )
    await websocket.send_bytes(agent_protocol.WorkerMessage(register=register).SerializeToString())
    reply = agent_protocol.ServerMessage.FromString(await websocket.receive_bytes(timeout=5))
    assert reply.register.worker_id.startswith("AW_")
    return websocket


async def test_its_metrics_count_rooms_people_and_traffic(
    settings: Settings, open_server: Open, join_room: People
) -> None:
    server = await open_server(settings)
    url = server.target.metrics_url
    assert url is not None
    empty = await read_server_metrics(url)
    assert (empty.rooms, empty.participants, empty.incoming.packets) == (0, 0, 0)
    await join_room(server.target, "measured", "one")
    await join_room(server.target, "measured", "two")

    async def counted() -> bool:
        metrics = await read_server_metrics(url)
        assert (metrics.rooms, metrics.participants) == (1, 2)
        assert metrics.tracks_published == 2
        assert metrics.incoming.packets > 0
        assert metrics.incoming.bytes > metrics.incoming.packets
        assert metrics.outgoing.bytes > 0
        assert metrics.joins["rtc_active"] == 2
        return True

    await eventually(counted, within_s=15)
    await call(server)
    metrics = await read_server_metrics(url)
    assert metrics.api_calls >= 1
    assert metrics.api_errors == 0
    assert metrics.memory_bytes is not None
    assert metrics.memory_bytes > 10_000_000
    assert metrics.uptime is not None
    assert timedelta() <= metrics.uptime < timedelta(minutes=5)
