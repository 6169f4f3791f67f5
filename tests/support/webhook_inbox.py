"""Somebody for livekit-server to send webhooks to: keeps each as it came, unread."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One webhook: the raw body is what its signature covers."""

    body: bytes
    authorization: str
    content_type: str
    received_at: datetime

    @property
    def event(self) -> str:
        """`room_started`, `participant_joined`, …"""
        return str(self.payload["event"])

    @property
    def room(self) -> str:
        """Name of the room that it is about, or ""."""
        return str(self.payload.get("room", {}).get("name", ""))

    @property
    def payload(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.body)
        return loaded


class WebhookInbox:
    """Collects deliveries in the order in which they came. One inbox serves many tests:
    look for your own room's.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/webhook"
        self._deliveries: list[Delivery] = []
        self._lock = threading.Lock()

    def of(self, room: str) -> tuple[Delivery, ...]:
        """Every delivery about a room."""
        with self._lock:
            return tuple(delivery for delivery in self._deliveries if delivery.room == room)

    def find(self, room: str, event: str) -> Delivery | None:
        """The first delivery of this event about a room; give it to `eventually`."""
        return next((found for found in self.of(room) if found.event == event), None)

    def take(self, delivery: Delivery) -> None:
        with self._lock:
            self._deliveries.append(delivery)


@contextmanager
def open_webhook_inbox(port: int) -> Iterator[WebhookInbox]:
    """Listens on loopback until the end of the block."""
    inbox = WebhookInbox(port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            inbox.take(
                Delivery(
                    body=body,
                    authorization=self.headers.get("Authorization", ""),
                    content_type=self.headers.get("Content-Type", ""),
                    received_at=datetime.now(UTC),
                )
            )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the authorization header is a token."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
