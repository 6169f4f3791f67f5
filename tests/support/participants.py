"""Real participants for tests: they join over WebRTC, play a tone, and say what they saw."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from livekit import api

from services.livekit.target import LiveKitTarget

_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_ANSWER_S: Final = 20.0


class ParticipantError(Exception):
    """A participant could not join, or could not do what the test asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A data packet that a participant received. `sender` is "" for the server's own."""

    topic: str
    text: str
    sender: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a participant knows at one moment.

    `left_because` is LiveKit's word, such as PARTICIPANT_REMOVED or ROOM_DELETED; `hears` are
    the identities whose audio arrives here.
    """

    connected: bool
    left_because: str
    identity: str
    sid: str
    metadata: str
    attributes: Mapping[str, str]
    room_metadata: str
    people: tuple[str, ...]
    hears: tuple[str, ...]
    track_sid: str
    muted: bool
    data: tuple[Message, ...]

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Seen:
        lists = {name: tuple(raw[name]) for name in ("people", "hears")}
        data = tuple(Message(**message) for message in raw["data"])
        return cls(**{**raw, **lists, "data": data})


class ParticipantHost:
    """The process that holds the participants; starts at the first command."""

    def __init__(
        self,
        log: Path,
        *,
        module: str = "tests.support.participant_host",
        answer_s: float = _ANSWER_S,
    ) -> None:
        self._log = log
        self._module = module
        self._answer_s = answer_s
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()

    def send(self, op: str, who: str, **args: object) -> Future[Any]:
        """Send one command; the answer comes into the future, a refusal as ParticipantError."""
        future: Future[Any] = Future()
        with self._lock:
            process = self._running()
            number = next(self._numbers)
            self._waiting[number] = future
            assert process.stdin is not None
            command = {"id": number, "op": op, "who": who, **args}
            try:
                process.stdin.write(json.dumps(command).encode() + b"\n")
                process.stdin.flush()
            except OSError as exc:
                raise ParticipantError(f"the participants' process is gone: {exc}") from exc
        return future

    async def ask(self, op: str, who: str, **args: object) -> Any:
        """Send one command and wait for its answer.

        Raises:
            ParticipantError: refused, failed, not answered, or the process has ended.
        """
        future = self.send(op, who, **args)
        try:
            async with asyncio.timeout(self._answer_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise ParticipantError(f"no answer to {op}; its log: {self._log}") from None

    @property
    def running(self) -> bool:
        """Whether the process has been started and not been killed or closed."""
        return self._process is not None

    def kill(self) -> None:
        """Kill -9."""
        if self._process is not None:
            self._process.kill()
        self.close()

    def close(self) -> None:
        """End the process; participants that are still there leave first."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        if self._reader is not None:
            self._reader.join(5)
        self._process.stdout.close()
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", self._module],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=_ROOT,
                    env={**os.environ, "PYTHONWARNINGS": "default"},
                )
            self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
            self._reader.start()
        return self._process

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            reply = json.loads(line)
            future = self._waiting.pop(reply["id"])
            if "error" in reply:
                future.set_exception(ParticipantError(reply["error"]))
            else:
                future.set_result(reply["result"])
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(ParticipantError(f"the process ended; see {self._log}"))


class Participant:
    """Somebody in a room. Ask `seen()` for what they know now."""

    def __init__(self, host: ParticipantHost, who: str, seen: Seen) -> None:
        self.identity = seen.identity
        self.sid = seen.sid
        self.track_sid = seen.track_sid
        self._host = host
        self.who = who

    async def seen(self) -> Seen:
        """What they see at this moment."""
        return Seen.from_json(await self._host.ask("seen", self.who))

    async def has_left(self) -> bool:
        """Whether they are out and know why: the SDK says so a moment after it is out."""
        return bool((await self.seen()).left_because)

    async def say(self, data: bytes | str, *, topic: str = "", to: tuple[str, ...] = ()) -> None:
        """Send a reliable data packet to everybody, or to the identities in `to`."""
        raw = data.encode() if isinstance(data, str) else data
        payload = base64.b64encode(raw).decode()
        await self._host.ask("say", self.who, payload=payload, topic=topic, to=list(to))

    async def rpc(self, to: str, method: str, payload: str) -> str:
        """Call a remote method of somebody; gives the answer, or `error <code>`."""
        answer: str = await self._host.ask("rpc", self.who, to=to, method=method, payload=payload)
        return answer

    async def update(
        self, *, metadata: str | None = None, attributes: dict[str, str] | None = None
    ) -> None:
        """Change their own metadata or attributes; needs a token that allows it."""
        await self._host.ask("update", self.who, metadata=metadata, attributes=attributes)

    async def leave(self) -> None:
        """Leave the room in good order."""
        await self._host.ask("leave", self.who)


class People:
    """What the `join_room` fixture gives: call it for each participant."""

    def __init__(self, host: ParticipantHost) -> None:
        self._host = host
        self._numbers = itertools.count(1)
        self._joined: list[Participant] = []

    async def __call__(
        self,
        target: LiveKitTarget,
        room: str,
        identity: str = "caller",
        *,
        audio: bool = True,
        token: str | None = None,
        grants: api.VideoGrants | None = None,
        name: str = "",
        metadata: str = "",
        attributes: dict[str, str] | None = None,
        kind: str = "standard",
    ) -> Participant:
        """Join `room` and, with `audio`, publish a 400 Hz tone.

        With `token` that one is used as it is; else one is made with LiveKit's own library, so
        that a fault in ours does not hide here.

        Raises:
            ParticipantError: the server refused, or was not reached within 15 s.
        """
        if token is None:
            token = token_for(target, room, identity, grants, name, metadata, attributes, kind)
        who = f"{identity}#{next(self._numbers)}"
        raw = await self._host.ask("join", who, url=target.public_url, token=token, audio=audio)
        person = Participant(self._host, who, Seen.from_json(raw))
        self._joined.append(person)
        return person

    def all_leave(self) -> None:
        """Whoever has not left yet leaves now. Not async: fixtures of any event loop use it."""
        if self._host.running:
            for leaving in [self._host.send("leave", person.who) for person in self._joined]:
                leaving.result(_ANSWER_S)
        self._joined.clear()

    def kill(self) -> None:
        """Kill -9 the process that holds them: they fall silent without a good-bye."""
        self._host.kill()
        self._joined.clear()


def token_for(
    target: LiveKitTarget,
    room: str,
    identity: str,
    grants: api.VideoGrants | None = None,
    name: str = "",
    metadata: str = "",
    attributes: dict[str, str] | None = None,
    kind: str = "standard",
) -> str:
    """A token made with LiveKit's own library."""
    video = grants or api.VideoGrants(room_join=True, can_update_own_metadata=True)
    video.room = video.room or room
    return (
        api.AccessToken(target.api_key, target.api_secret.get_secret_value())
        .with_identity(identity)
        .with_name(name)
        .with_metadata(metadata)
        .with_attributes(attributes or {})
        .with_kind(kind)  # type: ignore[arg-type]  # a Literal there, any text here
        .with_ttl(timedelta(minutes=10))
        .with_grants(video)
        .to_jwt()
    )
