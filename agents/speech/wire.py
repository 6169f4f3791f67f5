"""What a job and the speech process say to each other, over one socket a job.

A message is a header (length of the body, kind, number of the request; big-endian), then the
body. The job opens with HELLO and waits for WELCOME. It gives each request a number; the answers carry it. What is
heard is PCM of 16 bits, mono, 16,000 Hz; what is spoken is PCM of 16 bits, mono, 22,050 Hz.
"""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

HEARD_HZ: Final = 16_000
SPOKEN_HZ: Final = 22_050
SAMPLE_BYTES: Final = 2

ADDRESS_ENV: Final = "SPEECH_ADDRESS"  # unix:/path or tcp:host:port, for the jobs
TOKEN_ENV: Final = "SPEECH_TOKEN"  # noqa: S105 - the name of it

MAX_HEARD_S: Final = 60.0
MAX_TEXT: Final = 4_000  # characters in one request to speak
MAX_BODY: Final = int(MAX_HEARD_S * HEARD_HZ * SAMPLE_BYTES) + 1_024

_HEADER: Final = struct.Struct("!IBI")


class Kind(IntEnum):
    """What a message is. The first five go to the speech process, the others come back."""

    HELLO = 1  # the token
    HEAR = 2  # PCM: what is said in it? -> TEXT
    GUESS = 3  # the same, but only if nobody waits -> TEXT or BUSY
    SAY = 4  # JSON {"text", "skip"}: speak it, but for its first `skip` pieces -> AUDIO…, DONE
    CANCEL = 5  # the answer to this request is no longer wanted
    WELCOME = 15  # the token is right, and requests are served
    TEXT = 16  # JSON {"text", "took_ms", "waited_ms"}
    AUDIO = 17  # PCM of one piece
    DONE = 18  # all pieces were sent
    BUSY = 19  # too many wait; JSON {"waiting"}
    FAILED = 20  # JSON {"error"}


class WireError(Exception):
    """The other side does not speak this protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; `request` is 0 where it belongs to none."""

    kind: Kind
    request: int = 0
    body: bytes = b""

    def packed(self) -> bytes:
        """As it goes over the socket."""
        return _HEADER.pack(len(self.body), self.kind, self.request) + self.body

    def json(self) -> dict[str, Any]:
        """The body, read.

        Raises:
            WireError: it is no JSON object.
        """
        try:
            found = json.loads(self.body)
        except ValueError as exc:
            raise WireError(f"the body of {self.kind.name} is no JSON") from exc
        if not isinstance(found, dict):
            raise WireError(f"the body of {self.kind.name} is no JSON object")
        return found


def of_json(kind: Kind, request: int, **body: object) -> Message:
    """A message whose body is JSON."""
    return Message(kind=kind, request=request, body=json.dumps(body).encode())


async def read(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None when the other side has hung up.

    Raises:
        WireError: it is longer than allowed, or of no kind that we know.
    """
    try:
        length, kind, request = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        if length > MAX_BODY:
            raise WireError(f"a message of {length} bytes is too long")
        body = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    try:
        return Message(kind=Kind(kind), request=request, body=body)
    except ValueError as exc:
        raise WireError(f"a message of the unknown kind {kind}") from exc
