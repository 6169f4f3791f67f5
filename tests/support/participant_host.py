"""A process that holds real participants: `python -m tests.support.participant_host`.

livekit rtc starts native threads that outlive event loops, so it stays out of the test
process. One JSON object a line: {"id", "op", …} on stdin, {"id", "result" | "error"} on stdout.
The end of stdin ends it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import sys
from array import array
from typing import Any, Final

from livekit import rtc

_RATE: Final = 48_000
_FRAME: Final = _RATE // 100
_TONE_HZ: Final = 400  # a whole number of periods in each frame: no clicks
_JOIN_TIMEOUT_S: Final = 15.0
_KEPT: Final = 200


def _tone() -> bytes:
    step = 2 * math.pi * _TONE_HZ / _RATE
    return array("h", (int(8000 * math.sin(step * i)) for i in range(_FRAME))).tobytes()


class Person:
    """One connection to one room, and what it saw there."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.left_because = ""
        self.data: list[dict[str, str]] = []
        self._source: rtc.AudioSource | None = None
        self._playing: asyncio.Task[None] | None = None
        self._track_sid = ""
        self.room.on("disconnected", self._on_disconnected)
        self.room.on("data_received", self._on_data)

    def _on_disconnected(self, reason: int) -> None:
        self.left_because = rtc.DisconnectReason.Name(reason)  # type: ignore[arg-type]

    def _on_data(self, packet: rtc.DataPacket) -> None:
        sender = packet.participant.identity if packet.participant else ""
        text = packet.data.decode(errors="replace")
        self.data.append({"topic": packet.topic or "", "text": text, "sender": sender})
        del self.data[:-_KEPT]

    async def join(self, url: str, token: str, *, audio: bool) -> dict[str, Any]:
        async with asyncio.timeout(_JOIN_TIMEOUT_S):
            await self.room.connect(url, token)
            if audio:
                await self._publish()
        return self.seen()

    async def _publish(self) -> None:
        self._source = rtc.AudioSource(_RATE, 1, queue_size_ms=100)
        track = rtc.LocalAudioTrack.create_audio_track("tone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self.room.local_participant.publish_track(track, options)
        self._track_sid = publication.sid
        self._playing = asyncio.create_task(self._play(self._source))

    async def _play(self, source: rtc.AudioSource) -> None:
        tone = _tone()
        while True:  # capture_frame waits while the queue is full: 100 frames a second
            await source.capture_frame(rtc.AudioFrame(tone, _RATE, 1, _FRAME))

    def seen(self) -> dict[str, Any]:
        me = self.room.local_participant
        others = self.room.remote_participants
        tracks = me.track_publications
        return {
            "connected": self.room.isconnected(),
            "left_because": self.left_because,
            "identity": me.identity,
            "sid": me.sid,
            "metadata": me.metadata,
            "attributes": dict(me.attributes),
            "room_metadata": self.room.metadata,
            "people": sorted(others),
            "hears": sorted(
                who
                for who, person in others.items()
                if any(p.track is not None for p in person.track_publications.values())
            ),
            "track_sid": self._track_sid,
            "muted": any(publication.muted for publication in tracks.values()),
            "data": list(self.data),
        }

    async def say(self, payload: str, topic: str, to: list[str]) -> None:
        await self.room.local_participant.publish_data(
            base64.b64decode(payload), topic=topic, destination_identities=to
        )

    async def rpc(self, to: str, method: str, payload: str) -> str:
        """What the other one answered, or the error that came in its place."""
        try:
            return await self.room.local_participant.perform_rpc(
                destination_identity=to, method=method, payload=payload, response_timeout=2
            )
        except rtc.RpcError as exc:
            return f"error {exc.code}"

    async def update(self, metadata: str | None, attributes: dict[str, str] | None) -> None:
        me = self.room.local_participant
        if metadata is not None:
            await me.set_metadata(metadata)
        if attributes is not None:
            await me.set_attributes(attributes)

    async def leave(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)
        if self.room.isconnected():
            await self.room.disconnect()
        if self._source is not None:
            await self._source.aclose()


class Host:
    """Answers one command after the other, each in a task of its own."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}

    def person(self) -> Person:
        """Somebody who is about to join."""
        return Person()

    async def do(self, op: str, who: str, args: dict[str, Any]) -> object:
        if op == "join":
            joining = self.person()
            seen = await joining.join(args["url"], args["token"], audio=args["audio"])
            self.people[who] = joining
            return seen
        if op == "leave":
            leaving = self.people.pop(who, None)  # leaving twice is no mistake
            if leaving is not None:
                await leaving.leave()
            return None
        person = self.people[who]
        match op:
            case "seen":
                return person.seen()
            case "say":
                await person.say(args["payload"], args["topic"], args["to"])
            case "rpc":
                return await person.rpc(args["to"], args["method"], args["payload"])
            case "update":
                await person.update(args["metadata"], args["attributes"])
            case _:
                raise ValueError(f"no such command: {op}")
        return None


async def main(host: Host, answers: int) -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def answer(command: dict[str, Any]) -> None:
        number = command.pop("id")
        try:
            result = await host.do(command.pop("op"), command.pop("who"), command)
            reply = {"id": number, "result": result}
        except Exception as exc:  # noqa: BLE001 - whatever it is, the test must hear of it
            reply = {"id": number, "error": f"{type(exc).__name__}: {exc}"}
        os.write(answers, json.dumps(reply).encode() + b"\n")

    async with asyncio.TaskGroup() as group:
        while line := await reader.readline():
            group.create_task(answer(json.loads(line)))
    await asyncio.gather(*(p.leave() for p in host.people.values()), return_exceptions=True)


def run(host: Host) -> None:
    """The whole process."""
    own_stdout = os.dup(1)  # what native code prints must not mix with the answers
    os.dup2(2, 1)
    asyncio.run(main(host, own_stdout))
    os._exit(0)  # livekit rtc 1.1.21: its native threads can hold a normal exit up


if __name__ == "__main__":
    run(Host())
