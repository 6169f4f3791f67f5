"""What our livekit-server is told: its key pair, its ports, its configuration file.

All of it lives in `<data folder>/livekit`, which only its owner can read.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import socket
import string
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil
from pydantic import SecretStr

from services.errors import ConfigError
from services.livekit.target import LiveKitTarget

HOST: Final = "127.0.0.1"
CONFIG_NAME: Final = "livekit.yaml"
_STANDARD: Final = {"http": 7880, "rtc": 7882, "metrics": 6789}
_ALPHABET: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """The API key and secret of our own server; `repr` does not show the secret."""

    api_key: str
    api_secret: SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Loopback ports: `http` and `metrics` TCP, `rtc` UDP (one for all media)."""

    http: int
    rtc: int
    metrics: int


def open_folder(data_dir: Path) -> Path:
    """`<data_dir>/livekit`, made where it is missing, readable by its owner alone.

    Raises:
        ConfigError: it cannot be made or written.
    """
    folder = data_dir.expanduser().absolute() / "livekit"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as exc:
        raise ConfigError(
            f"The data folder cannot be written: {exc.strerror}: {exc.filename}.",
            hint="Set SWITCHBOARD_DATA_DIR to a writable folder.",
        ) from exc
    return folder


def load_keys(folder: Path) -> KeyPair:
    """The key pair in `keys.json`, made at random where there is none yet.

    Raises:
        ConfigError: the file is there but holds no key pair.
    """
    path = folder / "keys.json"
    if not path.exists():
        key = "API" + "".join(secrets.choice(_ALPHABET) for _ in range(14))
        pair = {"api_key": key, "api_secret": secrets.token_urlsafe(36)}
        _create_private(path, json.dumps(pair))
    with contextlib.suppress(OSError):  # a file system without permissions
        path.chmod(0o600)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return KeyPair(api_key=found["api_key"], api_secret=SecretStr(found["api_secret"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{path} doesn't contain the API key pair of the embedded livekit-server.",
            hint="Delete it. Switchboard creates a new pair, and existing join tokens stop working.",
        ) from None  # the cause may quote the secret


def _write_private(path: Path, text: str) -> Path:
    """A new file beside `path` with `text`, 0600 from its first moment; returns it."""
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _create_private(path: Path, text: str) -> None:
    """Make `path` with all of `text` at once, unless another process was first."""
    new = _write_private(path, text)
    try:
        os.link(new, path)
    except FileExistsError:
        pass  # theirs counts
    except OSError:  # a file system without links
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


class PortReservation:
    """Holds the ports until the server itself takes them: a build takes a minute or more."""

    def __init__(self, folder: Path) -> None:
        """Take the ports of last time where they are free, else the standard or any free ones.

        Raises:
            ConfigError: this machine gives us no port on the loopback interface.
        """
        self._held: list[socket.socket] = []
        path = folder / "ports.json"
        last = _last_ports(folder)
        wanted = {name: [last.get(name, port), port, 0] for name, port in _STANDARD.items()}
        try:
            self.ports = Ports(
                http=self._take(wanted["http"], socket.SOCK_STREAM),
                rtc=self._take(wanted["rtc"], socket.SOCK_DGRAM),
                metrics=self._take(wanted["metrics"], socket.SOCK_STREAM),
            )
            _write_private(path, json.dumps(asdict(self.ports))).replace(path)
        except OSError as exc:
            self.release()
            raise ConfigError(
                f"No port is available for the embedded livekit-server: {exc.strerror}.",
                hint="Check the limits and the loopback interface of this machine.",
            ) from exc

    def _take(self, wanted: list[int], kind: socket.SocketKind) -> int:
        for port in wanted:
            try:
                held = _bind_tcp(port) if kind is socket.SOCK_STREAM else _bind(port, kind)
            except OSError as exc:
                if not port or exc.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise
                continue
            self._held.append(held)
            taken: int = held.getsockname()[1]
            return taken
        raise OSError(errno.EADDRINUSE, "every port is in use")

    def release(self) -> None:
        """Let go of the ports; the server is about to take them."""
        while self._held:
            self._held.pop().close()


def known_ports(folder: Path) -> Ports:
    """The ports of last time, the standard ones where there was none."""
    return Ports(**_STANDARD | _last_ports(folder))


def _last_ports(folder: Path) -> dict[str, int]:
    try:
        found = json.loads((folder / "ports.json").read_text(encoding="utf-8"))
        return {name: int(found[name]) for name in _STANDARD if 0 < int(found[name]) < 65536}
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or spoiled: it has no value
        return {}


def _bind(port: int, kind: socket.SocketKind, *, reuse: bool = False) -> socket.socket:
    held = socket.socket(socket.AF_INET, kind)
    try:
        if sys.platform == "win32":
            held.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        elif reuse:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((HOST, port))
    except BaseException:
        held.close()
        raise
    return held


def _bind_tcp(port: int) -> socket.socket:
    """Bind, also where old connections (TIME_WAIT) are all that still holds the port."""
    try:
        return _bind(port, socket.SOCK_STREAM)
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE or _answers(port):
            raise
    held = _bind(port, socket.SOCK_STREAM, reuse=True)
    try:
        held.listen()  # else another one that reuses addresses could take it as well
    except BaseException:
        held.close()
        raise
    return held


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) == 0


def target_of(keys: KeyPair, ports: Ports) -> LiveKitTarget:
    """How the rest of Switchboard, and browsers on this machine, reach the server."""
    return LiveKitTarget(
        url=f"http://{HOST}:{ports.http}",
        public_url=f"ws://{HOST}:{ports.http}",
        api_key=keys.api_key,
        api_secret=keys.api_secret,
        metrics_url=f"http://{HOST}:{ports.metrics}/metrics",
        embedded=True,
    )


def write_config(folder: Path, *, keys: KeyPair, ports: Ports, webhook_url: str | None) -> Path:
    """The server's configuration, all of it on the loopback interface. YAML takes JSON as it is."""
    rtc: dict[str, object] = {
        "node_ip": HOST,  # set by hand: the server then also names no STUN server to clients
        "use_external_ip": False,
        "enable_loopback_candidate": True,
        "ips": {"includes": [f"{HOST}/32"]},
        "udp_port": ports.rtc,
        "tcp_port": 0,  # ICE over TCP listens on every interface, whatever bind_addresses says
    }
    if sys.platform != "win32" and (names := _loopback_interfaces()):
        rtc["interfaces"] = {"includes": names}
    config: dict[str, object] = {
        "port": ports.http,
        "bind_addresses": [HOST],
        "prometheus": {"port": ports.metrics},
        "rtc": rtc,
        "turn": {"enabled": False},
        "room": {"auto_create": True, "enable_remote_unmute": True},
        "logging": {"json": True, "level": "info"},  # server_log reads it
        "keys": {keys.api_key: keys.api_secret.get_secret_value()},
    }
    if webhook_url:
        config["webhook"] = {"api_key": keys.api_key, "urls": [webhook_url]}
    path = folder / CONFIG_NAME
    _write_private(path, json.dumps(config, indent=1)).replace(path)
    return path


def _loopback_interfaces() -> list[str]:
    """`lo` on Linux, `lo0` on macOS, whatever else holds 127.0.0.1."""
    interfaces = psutil.net_if_addrs().items()
    return [name for name, found in interfaces if any(a.address == HOST for a in found)]
