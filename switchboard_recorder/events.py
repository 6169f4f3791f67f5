"""The events that an agent's job tells: what each holds, and how much of it is kept.

The dashboard takes these kinds and fields, within these bounds, and nothing else for granted. The
table in docs/recorder.md, docs/events.schema.json and frontend/src/lib/agentEvents.ts are made from this
module by `python -m scripts.events`.

Every field may be missing. A name that a reader does not know is passed over or kept as it is, so
that newer and older ones understand each other. Durations are milliseconds, moments RFC 3339 in UTC.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeAlias,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

EVENT_BYTES: Final = 128_000
"""One event is at most so long when it is written out; the recorder cuts before it sends."""
DEPTH: Final = 40
"""Levels that a free value may have."""
PAST: Final = timedelta(days=30)
FUTURE: Final = timedelta(hours=1)
"""An event's moment is so far from its arrival at most: a spool is kept for a week, clocks differ."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of at most so many characters; a longer one is cut."""

    name: str
    most: int


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number within bounds; one beyond them becomes the bound, or is left out (`drops`)."""

    name: str
    least: float
    most: float
    drops: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """At most so many items; what is beyond them is left out."""

    most: int


Key: TypeAlias = Annotated[str, Text("key", 64)]
Name: TypeAlias = Annotated[str, Text("name", 200)]
Line: TypeAlias = Annotated[str, Text("line", 1_000)]
Words: TypeAlias = Annotated[str, Text("words", 20_000)]
Ms: TypeAlias = Annotated[float, Number("ms", 0, 7 * 24 * 3600 * 1000)]
Measured: TypeAlias = Annotated[float, Number("measured", 0, 24 * 3600 * 1000, drops=True)]
Count: TypeAlias = Annotated[int, Number("count", 0, 2**31 - 1)]
Step: TypeAlias = Annotated[int, Number("step", -1, 2**31 - 1)]
Json: TypeAlias = Any
Names: TypeAlias = Annotated[list[Name], Items(300)]


class EventKind(StrEnum):
    """What a job tells. `PAYLOADS` says what each holds."""

    JOB_STARTED = "job_started"
    JOB_ENDED = "job_ended"
    GRAPH_DESCRIBED = "graph_described"
    RUN_STARTED = "run_started"
    RUN_FINISHED = "run_finished"
    RUN_FAILED = "run_failed"
    NODE_STARTED = "node_started"
    NODE_FINISHED = "node_finished"
    CHECKPOINT_SAVED = "checkpoint_saved"
    TOOL_STARTED = "tool_started"
    TOOL_FINISHED = "tool_finished"
    MODEL_FINISHED = "model_finished"
    INTERRUPT_RAISED = "interrupt_raised"
    INTERRUPT_RESUMED = "interrupt_resumed"
    CUSTOM = "custom"
    AGENT_STATE = "agent_state_changed"
    USER_STATE = "user_state_changed"
    TRANSCRIBED = "user_input_transcribed"
    MESSAGE = "conversation_item_added"
    USAGE = "session_usage_updated"
    ERROR = "error"
    REPORT = "session_report"
    COMMAND_COMPLETED = "command_completed"
    EVENTS_DROPPED = "events_dropped"
    OTHER = "unknown_agent_event"


class JobStarted(TypedDict, total=False):
    """The job began."""

    pid: Count
    host: Name
    versions: Annotated[dict[str, Name], Items(50)]
    metadata: Words


class JobEnded(TypedDict, total=False):
    """The job ends in good order."""

    reason: Line


class GraphNode(TypedDict, total=False):
    """A node; those of a subgraph are `<subgraph>:<node>`."""

    id: Name
    name: Name
    kind: Literal["start", "end", "node", "tools", "graph"]


class GraphEdge(TypedDict, total=False):
    """A way from one node to another."""

    source: Name
    target: Name
    label: Name
    conditional: bool


class GraphDescribed(TypedDict, total=False):
    """A graph's shape, told once."""

    graph: Name
    nodes: Annotated[list[GraphNode], Items(300)]
    edges: Annotated[list[GraphEdge], Items(900)]


class RunStarted(TypedDict, total=False):
    """A graph begins to run; `cause` is `message`, `resume` or the caller's word."""

    run: Name
    thread_id: Name
    cause: Name


class RunFinished(TypedDict, total=False):
    """It came to its end, or waits for the interrupts that it names."""

    run: Name
    ms: Ms
    next: Names
    interrupts: Annotated[list[Json], Items(300)]


class RunFailed(TypedDict, total=False):
    """It failed, or was `cancelled` by a barge-in."""

    run: Name
    ms: Ms
    error: Words | None
    cancelled: bool


class Where(TypedDict, total=False):
    """Where in a graph. `task` is LangGraph's id of a node's run: the same when it resumes."""

    run: Name
    task: Name
    node: Name


class NodeStarted(Where, total=False):
    """A node begins; `ns` is empty for the graph itself and names the way to a graph inside it."""

    step: Step
    ns: Line
    triggers: Annotated[list[Line], Items(100)]


class NodeFinished(Where, total=False):
    """It has ended; `update` is what it gave to the state."""

    step: Step
    ns: Line
    ms: Ms
    update: Json
    error: Words | None
    interrupted: bool
    cancelled: bool


class StateSaved(TypedDict, total=False):
    """The whole state after a super-step, and the channels that changed.

    `checkpoint_id` is empty where LangGraph was not run by the recorder.
    """

    run: Name
    step: Step
    checkpoint_id: Name
    next: Names
    values: Json
    changed: Names


class ToolStarted(Where, total=False):
    """A tool is called."""

    call: Name
    tool: Name
    args: Json
    call_id: Name


class ToolFinished(Where, total=False):
    """It has answered or failed."""

    call: Name
    tool: Name
    args: Json
    ms: Ms
    output: Json
    error: Words | None
    interrupted: bool
    cancelled: bool


class ModelFinished(Where, total=False):
    """A model has answered or failed."""

    call: Name
    model: Name
    ms: Ms
    ttft_ms: Ms | None
    tokens_in: Count | None
    tokens_out: Count | None
    error: Words | None


class InterruptRaised(TypedDict, total=False):
    """The graph is interrupted: `Command(resume={interrupt_id: decision})` answers."""

    interrupt_id: Name
    node: Name
    value: Json
    run: Name
    thread_id: Name


class InterruptResumed(TypedDict, total=False):
    """The graph has the answer."""

    interrupt_id: Name
    command_id: Name
    decision: Json
    run: Name
    thread_id: Name


class Custom(Where, total=False):
    """What a node wrote with `get_stream_writer()`, or dispatched under a `name`."""

    name: Name
    data: Json


class StateChanged(TypedDict, total=False):
    """The state of the agent or of the caller, in LiveKit's words."""

    old: Name | None
    new: Name


class Transcribed(TypedDict, total=False):
    """What the caller said; text that may still change is sent as `live`."""

    text: Words
    final: bool
    language: Name
    speaker: Name


class Metrics(TypedDict, total=False):
    """LiveKit's measurements of a message, by its names; those in seconds there are ms here."""

    started_speaking_at: Name
    stopped_speaking_at: Name
    transcription_delay: Measured
    end_of_turn_delay: Measured
    on_user_turn_completed_delay: Measured
    llm_node_ttft: Measured
    tts_node_ttfb: Measured
    e2e_latency: Measured


class MessageAdded(TypedDict, total=False):
    """A message of the conversation; the dashboard adds `agent_name`."""

    id: Name
    role: Name
    text: Words
    interrupted: bool
    metrics: Metrics
    agent_name: Name


class UsageUpdated(TypedDict, total=False):
    """What the models have used so far, in LiveKit's form."""

    usage: Json


class ErrorRaised(TypedDict, total=False):
    """A model, the speech or the session failed."""

    source: Name
    message: Words
    recoverable: bool


class Report(TypedDict, total=False):
    """LiveKit's own report of the session, without audio."""

    report: Json


class CommandDone(TypedDict, total=False):
    """How a command went."""

    command_id: Name
    outcome: Literal["done", "refused", "failed"]
    detail: Words


class Gap(TypedDict, total=False):
    """So many events were dropped before this one; `kind` is that of one that no database took."""

    count: Count
    reason: Line
    kind: Name


class Other(TypedDict, total=False):
    """Anything else: a hand-off between agents, the session's close, an event of your own."""

    kind: Name
    data: Json


PAYLOADS: Final[Mapping[EventKind, type]] = types.MappingProxyType(
    {
        EventKind.JOB_STARTED: JobStarted,
        EventKind.JOB_ENDED: JobEnded,
        EventKind.GRAPH_DESCRIBED: GraphDescribed,
        EventKind.RUN_STARTED: RunStarted,
        EventKind.RUN_FINISHED: RunFinished,
        EventKind.RUN_FAILED: RunFailed,
        EventKind.NODE_STARTED: NodeStarted,
        EventKind.NODE_FINISHED: NodeFinished,
        EventKind.CHECKPOINT_SAVED: StateSaved,
        EventKind.TOOL_STARTED: ToolStarted,
        EventKind.TOOL_FINISHED: ToolFinished,
        EventKind.MODEL_FINISHED: ModelFinished,
        EventKind.INTERRUPT_RAISED: InterruptRaised,
        EventKind.INTERRUPT_RESUMED: InterruptResumed,
        EventKind.CUSTOM: Custom,
        EventKind.AGENT_STATE: StateChanged,
        EventKind.USER_STATE: StateChanged,
        EventKind.TRANSCRIBED: Transcribed,
        EventKind.MESSAGE: MessageAdded,
        EventKind.USAGE: UsageUpdated,
        EventKind.ERROR: ErrorRaised,
        EventKind.REPORT: Report,
        EventKind.COMMAND_COMPLETED: CommandDone,
        EventKind.EVENTS_DROPPED: Gap,
        EventKind.OTHER: Other,
    }
)


class Job(TypedDict, total=False):
    """What is kept of a job's hello."""

    stream_id: Key
    job_id: Key
    dispatch_id: Key
    worker_id: Key
    agent_name: Name
    host: Name
    recorder: Annotated[str, Text("version", 32)]
    pid: Count
    actions: Annotated[list[Key], Items(32)]
    late: bool


# -- the declarations, as readers and documents take them


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a field may hold: one of these, by what it is; `nullable` adds None."""

    type: Literal["text", "number", "integer", "bool", "word", "list", "map", "object", "json"]
    name: str = ""  # of a text's or number's bounds, of an object's class
    least: float = 0  # of a number
    most: float = 0  # of a number; characters of a text; items of a list or map
    drops: bool = False  # a number beyond the bounds is left out
    words: tuple[str, ...] = ()
    item: Shape | None = None
    fields: Mapping[str, Shape] = field(default_factory=dict)
    nullable: bool = False


@cache
def object_shape(cls: type) -> Shape:
    """The shape of a payload or of a part of one.

    Raises:
        TypeError: a field has no bounds.
    """
    hints = get_type_hints(cls, include_extras=True)
    fields = {name: _shape(hint) for name, hint in hints.items()}
    return Shape(type="object", name=cls.__name__, fields=fields)


def _shape(hint: Any) -> Shape:
    if hint is Any:
        return Shape(type="json")
    if hint is bool:
        return Shape(type="bool")
    if is_typeddict(hint):
        return object_shape(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner, _ = args
        return replace(_shape(inner), nullable=True)
    if origin is Literal:
        return Shape(type="word", words=args)
    match args:
        case (_, Text(name, most)):
            return Shape(type="text", name=name, most=most)
        case (base, Number(name, least, most, drops)):
            type_: Literal["integer", "number"] = "integer" if base is int else "number"
            return Shape(type=type_, name=name, least=least, most=most, drops=drops)
        case (base, Items(most)):
            item = _shape(get_args(base)[-1])
            return Shape(type="map" if get_origin(base) is dict else "list", most=most, item=item)
    raise TypeError(f"{hint} has no bounds")
