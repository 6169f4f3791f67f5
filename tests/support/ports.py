"""Ports that nobody uses, and that no other test process on this machine takes meanwhile."""

from __future__ import annotations

import json
import random
import socket
import tempfile
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from services.livekit.server_config import open_folder

_FROM: Final = 20_000
_TO: Final = 32_000  # above lie those that the kernel gives to outgoing connections of all programs
_RESERVATIONS: Final = Path(tempfile.gettempdir()) / "switchboard-test-ports"
_reserved: dict[int, FileLock] = {}


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A loopback port that is free now and reserved for this process until it ends.

    The reservation is a locked file that all test processes of the machine look at: several
    runs, and the workers of one run, never hand out the same port.
    """
    _RESERVATIONS.mkdir(mode=0o777, exist_ok=True)
    while True:
        port = random.randrange(_FROM, _TO)
        if port in _reserved:
            continue
        lock = FileLock(_RESERVATIONS / str(port))
        try:
            lock.acquire(timeout=0)
        except (Timeout, PermissionError):  # the second: another user's run has it
            continue
        if not _is_free(port, kind):
            lock.release()
            continue
        _reserved[port] = lock
        return port


def reserve_embedded_ports(data_dir: Path) -> None:
    """Let an embedded livekit-server of that data folder use ports that are reserved.

    Left alone it takes LiveKit's standard ports, and so does every other test process's.
    """
    file = open_folder(data_dir) / "ports.json"
    if file.exists():
        return
    ports = {
        "http": free_port(),
        "rtc": free_port(socket.SOCK_DGRAM),
        "metrics": free_port(),
    }
    file.write_text(json.dumps(ports), encoding="utf-8")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
