"""Keys, ports and configuration of the embedded server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.errors import ConfigError
from services.livekit.server_config import (
    KeyPair,
    PortReservation,
    Ports,
    known_ports,
    load_keys,
    open_folder,
    target_of,
    write_config,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return open_folder(tmp_path / "data")


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    """Closes what a test opens."""
    with ExitStack() as stack:
        yield stack


def occupy(sockets: ExitStack, port: int, kind: socket.SocketKind, host: str = "127.0.0.1") -> int:
    """Take `port` (0: any) as another program would; the port."""
    taken = sockets.enter_context(socket.socket(socket.AF_INET, kind))
    if kind is socket.SOCK_STREAM:  # old connections of an earlier test are not in the way
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind((host, port))
    if kind is socket.SOCK_STREAM:
        taken.listen()
    return int(taken.getsockname()[1])


def reserve(folder: Path) -> Ports:
    reservation = PortReservation(folder)
    reservation.release()
    return reservation.ports


def test_only_the_owner_can_read_the_folder_and_what_is_in_it(folder: Path) -> None:
    keys, ports = load_keys(folder), reserve(folder)
    write_config(folder, keys=keys, ports=ports, webhook_url=None)
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"keys.json": 0o600, "ports.json": 0o600, "livekit.yaml": 0o600}


def test_keys_are_long_random_and_kept(folder: Path, tmp_path: Path) -> None:
    keys = load_keys(folder)
    assert keys.api_key.startswith("API")
    assert len(keys.api_key) >= 15
    assert len(keys.api_secret.get_secret_value()) >= 43
    assert load_keys(folder) == keys
    assert load_keys(open_folder(tmp_path / "other")) != keys


def test_keys_that_others_could_read_are_closed_to_them(folder: Path) -> None:
    load_keys(folder)
    (folder / "keys.json").chmod(0o644)
    load_keys(folder)
    assert (folder / "keys.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"api_key": "API", "secret": "x'])
def test_spoiled_keys_are_a_clear_error_that_quotes_nothing(folder: Path, content: str) -> None:
    (folder / "keys.json").write_text(content)
    with pytest.raises(ConfigError, match="API key pair") as caught:
        load_keys(folder)
    assert caught.value.__cause__ is None
    assert "Delete it" in caught.value.hint


def test_a_data_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        open_folder(tmp_path / "data")
    assert "SWITCHBOARD_DATA_DIR" in caught.value.hint


def test_the_secret_is_in_no_repr(folder: Path) -> None:
    keys = load_keys(folder)
    target = target_of(keys, reserve(folder))
    assert keys.api_secret.get_secret_value() not in repr(keys) + repr(target)


def test_ports_are_kept_from_one_start_to_the_next(folder: Path) -> None:
    first = reserve(folder)
    assert reserve(folder) == first
    assert known_ports(folder) == first


def test_a_busy_port_is_avoided_and_the_others_stay(folder: Path, sockets: ExitStack) -> None:
    first = reserve(folder)
    occupy(sockets, first.rtc, socket.SOCK_DGRAM)
    second = reserve(folder)
    assert second.rtc != first.rtc
    assert (second.http, second.metrics) == (first.http, first.metrics)
    occupy(sockets, first.http, socket.SOCK_STREAM)
    third = reserve(folder)
    assert third.http != first.http
    assert (third.rtc, third.metrics) == (second.rtc, first.metrics)


def test_a_port_that_somebody_has_on_all_interfaces_is_busy(
    folder: Path, sockets: ExitStack
) -> None:
    first = reserve(folder)
    occupy(sockets, first.http, socket.SOCK_STREAM, host="0.0.0.0")
    assert reserve(folder).http != first.http


def test_old_connections_do_not_make_a_port_busy(folder: Path) -> None:
    """The side that closes first keeps the port in TIME_WAIT for a minute."""
    port = reserve(folder).http
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    assert reserve(folder).http == port


def test_a_reservation_keeps_others_away(folder: Path, tmp_path: Path) -> None:
    """Two dashboards that start at once do not choose the same ports."""
    mine = PortReservation(folder)
    theirs = PortReservation(open_folder(tmp_path / "theirs"))
    used = [mine.ports.http, mine.ports.metrics, theirs.ports.http, theirs.ports.metrics]
    assert len(set(used)) == 4
    assert mine.ports.rtc != theirs.ports.rtc
    mine.release()
    theirs.release()


@pytest.mark.parametrize("content", ["", "[1]", '{"http": "x"}', '{"http": 99999999}'])
def test_spoiled_ports_are_chosen_anew(folder: Path, content: str) -> None:
    (folder / "ports.json").write_text(content)
    ports = reserve(folder)
    assert json.loads((folder / "ports.json").read_text())["http"] == ports.http


def test_the_configuration_stays_on_the_loopback_interface(folder: Path) -> None:
    keys = load_keys(folder)
    ports = Ports(http=7001, rtc=7002, metrics=7003)
    url = "http://127.0.0.1:8501/api/livekit/webhook"
    path = write_config(folder, keys=keys, ports=ports, webhook_url=url)
    config = json.loads(path.read_text())
    assert config["bind_addresses"] == ["127.0.0.1"]
    assert config["rtc"]["node_ip"] == "127.0.0.1"
    assert config["rtc"]["ips"] == {"includes": ["127.0.0.1/32"]}
    assert config["rtc"]["tcp_port"] == 0
    assert not config["rtc"]["use_external_ip"]
    assert not config["turn"]["enabled"]
    assert (config["port"], config["rtc"]["udp_port"], config["prometheus"]["port"]) == (
        7001,
        7002,
        7003,
    )
    assert config["webhook"] == {"api_key": keys.api_key, "urls": [url]}
    assert config["keys"] == {keys.api_key: keys.api_secret.get_secret_value()}


def test_without_a_webhook_url_none_is_configured(folder: Path) -> None:
    ports = Ports(http=1, rtc=2, metrics=3)
    path = write_config(folder, keys=load_keys(folder), ports=ports, webhook_url=None)
    assert "webhook" not in json.loads(path.read_text())


def test_the_target_names_what_the_rest_needs() -> None:
    keys = KeyPair(api_key="APIx", api_secret=SecretStr("s" * 43))
    target = target_of(keys, Ports(http=7001, rtc=7002, metrics=7003))
    assert target.url == "http://127.0.0.1:7001"
    assert target.public_url == "ws://127.0.0.1:7001"
    assert target.metrics_url == "http://127.0.0.1:7003/metrics"
    assert target.embedded
