"""Turns off Nagle's algorithm on the server's connections.

asyncio does that by itself for sockets made with the TCP protocol number. Streamlit 1.67 makes
its listening socket without one (starlette_server.py, `_bind_socket`), so every small answer on
a kept-alive connection, and every websocket message after another, waits 40 ms for an ACK.
Accepted connections inherit the option from the listening socket.
"""

from __future__ import annotations

import gc
import socket


def turn_off_delay(port: int) -> int:
    """Set TCP_NODELAY on this process's sockets that listen at `port`; gives how many."""
    done = 0
    for found in gc.get_objects():
        if isinstance(found, socket.socket) and _listens(found, port):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            done += 1
    return done


def _listens(candidate: socket.socket, port: int) -> bool:
    try:
        name = candidate.getsockname()
        listening = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:  # closed, or not of a kind that listens
        return False
    return bool(listening) and isinstance(name, tuple) and name[1:2] == (port,)
