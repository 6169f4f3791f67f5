"""The wire format between an agent's job and the dashboard, version 1. docs/recorder.md tells it in words.

`switchboard_recorder.events` says what the events hold.

One WebSocket a job, opened by the job to `STREAM_PATH` of the dashboard with
`Authorization: Bearer <JWT>`: HS256 by the LiveKit secret, `iss` the LiveKit API key, `aud`
`AUDIENCE`, `sub` the stream id, `room` the room's name, `exp` at most `TOKEN_MOST_S` ahead.

Text frames, each one JSON object with a `type`. The job begins with `hello` and waits for
`welcome`, which names the last event that is safe; it sends what comes after. `events` are numbered from 1 without gaps and
acknowledged by `ack` once they are committed. A name that a reader does not know (a field, a
kind of event, a type of message) is passed over, so that newer and older ones understand each other.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

PROTOCOL: Final = 1
STREAM_PATH: Final = "/api/agents/stream"
AUDIENCE: Final = "switchboard"
TOKEN_MOST_S: Final = 600
FRAME_BYTES: Final = 1_000_000
"""A frame is at most so long; a longer one closes the socket."""
BATCH: Final = 200
"""Events in one frame, at most."""


class Action(StrEnum):
    """What a command asks of the agent, and its `args`."""

    ANSWER_INTERRUPT = "answer_interrupt"  # interrupt_id, decision: {"type": accept|edit|respond|ignore, "args": …}
    SAY = "say"  # text: spoken as it is
    WHISPER = "whisper"  # text: told to the agent, not to the caller
    PAUSE = "pause"  # the agent neither hears nor answers
    RESUME = "resume"  # the end of a pause or of a take-over
    TAKE_OVER = "take_over"  # to: a person speaks from now on; the agent says so and falls silent
    END_SESSION = "end_session"  # reason, text: a good-bye is spoken, then the job ends
    UPDATE_STATE = (
        "update_state"  # values{}, checkpoint_id ("": the newest): only while the graph rests
    )


USUAL_ACTIONS: Final = tuple(action for action in Action if action is not Action.UPDATE_STATE)
"""What a handler is taken to know that does not say what it can do."""


class Outcome(StrEnum):
    """How a command went."""

    DONE = "done"
    REFUSED = "refused"  # it cannot be done in the agent's present state; `detail` says why
    FAILED = "failed"


class ProtocolError(ValueError):
    """A frame that is not of this protocol. The message names what is wrong, never its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One numbered event of a stream."""

    seq: int
    kind: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Job -> dashboard, first. `stream_id` stays the same over reconnects of one recorder."""

    type: ClassVar[str] = "hello"

    protocol: int = PROTOCOL
    stream_id: str
    room_name: str
    room_sid: str = ""
    session_id: str = ""  # "": the dashboard finds the session by its room
    job_id: str = ""
    dispatch_id: str = ""
    worker_id: str = ""
    agent_name: str = ""
    identity: str = ""  # the agent's own in the room
    host: str = ""
    pid: int = 0
    recorder: str = ""  # its version
    actions: tuple[str, ...] = ()  # the commands that this agent can carry out
    late: bool = False  # the job is over: somebody else delivers what it left; it takes no commands


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Job -> dashboard: at most `BATCH` records, in the order of `seq`."""

    type: ClassVar[str] = "events"

    events: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Job -> dashboard: shown to whoever looks now, neither numbered nor kept (interim text)."""

    type: ClassVar[str] = "live"

    kind: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """Job -> dashboard: nothing follows `last_seq`. A socket that closes without it was lost."""

    type: ClassVar[str] = "bye"

    last_seq: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """Dashboard -> job: every event up to `acked` is safe; send what comes after."""

    type: ClassVar[str] = "welcome"

    protocol: int = PROTOCOL
    session_id: str = ""
    acked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Dashboard -> job: every event up to `seq` is committed."""

    type: ClassVar[str] = "ack"

    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Dashboard -> job. It may come twice: the second is answered like the first."""

    type: ClassVar[str] = "command"

    command_id: str
    action: str
    args: dict[str, Any] = field(default_factory=dict)
    actor: str = ""
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Dashboard -> job, before it closes the socket. Not `again`: trying again is of no use."""

    type: ClassVar[str] = "refusal"

    code: str
    message: str
    again: bool = False


_T = TypeVar("_T")

Message: TypeAlias = Hello | Events | Live | Bye | Welcome | Ack | Command | Refusal
_MESSAGES: Final[dict[str, type[Message]]] = {
    cls.type: cls for cls in (Hello, Events, Live, Bye, Welcome, Ack, Command, Refusal)
}
_DEPTH_MOST: Final = 100
_DIGITS_MOST: Final = 400  # Python refuses to read more than 4,300, and with them the frame
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
_MOMENTS: Final = frozenset({"at", "issued_at", "expires_at"})
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "dict[str, Any]": (dict,),
    "tuple[str, ...]": (list,),
    "tuple[Record, ...]": (list,),
    "datetime": (str,),
}


def encode(message: Message) -> str:
    """The frame of a message.

    Raises:
        ValueError: a value is not JSON (NaN and infinity are not).
    """
    body = {"type": message.type, **asdict(message)}
    return json.dumps(body, default=_moment_text, ensure_ascii=False, allow_nan=False)


def decode(frame: str) -> Message | None:
    """The message of a frame; None for a type that this version does not know.

    Raises:
        ProtocolError: it is not JSON, lacks a field, or holds one of a wrong type.
    """
    if len(frame) > FRAME_BYTES:
        raise ProtocolError(f"The frame is longer than {FRAME_BYTES:,} bytes.")
    body = _json(frame, "frame")
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        raise ProtocolError("The frame is not an object with a type.")
    cls = _MESSAGES.get(body["type"])
    return None if cls is None else _read(cls, body)


def encode_record(record: Record) -> str:
    """One record as a line of JSON, as the spool keeps it."""
    return json.dumps(asdict(record), default=_moment_text, ensure_ascii=False, allow_nan=False)


def decode_record(line: str) -> Record:
    """The record of a line. Raises ProtocolError."""
    return _read(Record, _json(line, "record"))


def _json(text: str, what: str) -> Any:
    """The value; too deep a part of it, or too long a number, is null and costs nothing else."""
    try:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return json.loads(_shallow(text), parse_int=_integer)
    except (ValueError, RecursionError):
        raise ProtocolError(f"The {what} is not JSON.") from None


def _shallow(text: str) -> str:
    """The JSON text with null for what is deeper than any reader keeps."""
    depth, begin, kept = 0, 0, list[str]()
    for found in _TOKENS.finditer(text):
        if found[0] in "[{":
            depth += 1
            if depth == _DEPTH_MOST:
                kept.append(text[begin : found.start()] + "null")
        elif found[0] in "]}":
            if depth == _DEPTH_MOST:
                begin = found.end()
            depth -= 1
    if depth >= _DEPTH_MOST:
        raise ProtocolError("A bracket is not closed.")
    return "".join(kept) + text[begin:]


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _DIGITS_MOST else None


def _read(cls: type[_T], body: Any) -> _T:
    if not isinstance(body, dict):
        raise ProtocolError(f"A {cls.__name__.lower()} must be an object.")
    specs = fields(cls)  # type: ignore[arg-type]  # each of them is a dataclass
    values: dict[str, Any] = {}
    for spec in specs:
        if spec.name not in body:
            continue  # a default, or the constructor says that it is missing
        value = body[spec.name]
        wanted = _TYPES[str(spec.type)]
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise ProtocolError(f"{cls.__name__.lower()}.{spec.name} has a wrong type.")
        values[spec.name] = _converted(cls, spec.name, value)
    try:
        return cls(**values)
    except TypeError:
        missing = sorted(spec.name for spec in specs if spec.name not in values)
        raise ProtocolError(f"{cls.__name__.lower()} lacks one of: {', '.join(missing)}.") from None


def _converted(cls: type[Any], name: str, value: Any) -> Any:
    if name in _MOMENTS:
        return _moment(value)
    if cls is Events:
        return tuple(_read(Record, record) for record in value)
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            raise ProtocolError(f"{cls.__name__.lower()}.{name} has a wrong type.")
        return tuple(value)
    return value


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the first hours of year 1 are before it in UTC
        raise ProtocolError("A moment is not RFC 3339.") from None
    if moment.tzinfo is None:
        raise ProtocolError("A moment has no time zone.")
    return in_utc


def _moment_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is not JSON")
