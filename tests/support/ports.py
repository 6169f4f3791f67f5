"""Ports that nobody uses."""

from __future__ import annotations

import random
import socket
from typing import Final

_FROM: Final = 20_000
_TO: Final = 32_000  # above lie those that the kernel gives to outgoing connections of all programs
_given: set[int] = set()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A loopback port that is free now and that this test run did not hand out before.

    Chosen by chance, so that another test run on the machine hardly ever takes it before its
    server does.
    """
    while True:
        port = random.randrange(_FROM, _TO)
        if port in _given:
            continue
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
