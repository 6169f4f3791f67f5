"""The catalogue of session fields: one place that says what a listed session has.

An attribute of `SessionRow` with its `SessionField` is all that the rest reads: the columns and
indexes of the search's table, the filters and sort keys, the API's parameters and answers, the
columns of the Sessions page and of the exports, and docs/session-fields.md
(`python -m scripts.session_fields`).

To add a field: one attribute here; its value in `session_index.py` and a migration where the search
keeps it itself (`Source.INDEX`). Labels stand here, not in the dashboard, because the API's schema
and the docs show them, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from types import NoneType
from typing import Annotated, Any, Final, Literal, Self, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, Field

from services.events import Provenance
from services.ids import SessionId
from services.store.records import Origin, SessionStatus

TEXT_MOST: Final = 200
"""Characters of what is searched for."""
MARK_MOST: Final = 500
NONE: Final = "-"
"""As the value of a text filter: the sessions that have none."""
PREFIX: Final = "*"
"""At the end of a name that is filtered by: all names that begin so."""
DEFAULT_SORT: Final = "-created_at"
_RANGES: Final = {"ms": (600_000, 100), "s": (10_000_000, 60), "": (1_000_000, 1)}
"""By unit: the greatest bound of a filter, and the step of its field."""


class Match(Enum):
    """How a field is filtered; in brackets the parameters that it gives."""

    EXACT = auto()  # equal (`name`)
    NAME = auto()  # equal, or beginning so where the text ends with `*` (`name`); PostgreSQL
    # needs an index with text_pattern_ops for it, `ix_found_prefix_NAME`, which a migration makes
    ONE_OF = auto()  # one of several (`name`)
    HAS = auto()  # has any (`name`)
    MEMBER = auto()  # holds it (`parameter`)
    RANGE = auto()  # `min_name` and `max_name`, both included
    PERIOD = auto()  # `created_after`, included, and `created_before`, not included


class Source(Enum):
    """Where the value is read from."""

    INDEX = auto()  # the search's own table: all that is filtered or sorted by
    SESSION = auto()  # the session's record
    TAGS = auto()


class Column(Enum):
    """Whether the table of the Sessions page has it."""

    NO = auto()
    CHOOSABLE = auto()
    SHOWN = auto()


@dataclass(frozen=True, slots=True)
class SessionField:
    """What is known of one field; its attribute gives `name`, `annotation`, `kind`, `optional`.

    What is filtered and kept by the search can also be sorted by.
    """

    label: str
    description: str
    _: KW_ONLY
    match: Match | None = None
    values: tuple[str, ...] = ()  # all that can be asked for
    suggested: bool = False  # the page offers the values that there are
    sparse: bool = False  # few sessions have one: its index and its order hold only these
    exported: bool = True
    column: Column = Column.NO
    source: Source = Source.INDEX
    stored_as: str = ""  # in its source; "": the field's name
    name: str = ""
    annotation: Any = None
    kind: type = str
    optional: bool = False

    @property
    def unit(self) -> str:
        """`ms` or `s`, which is in the name; else nothing."""
        end = self.name.rpartition("_")[2]
        return end if end in _RANGES else ""

    @property
    def most(self) -> int:
        """The greatest bound that a range takes."""
        return _RANGES[self.unit][0]

    @property
    def step(self) -> int:
        """By how much the page's buttons change a bound."""
        return _RANGES[self.unit][1]

    @property
    def sort(self) -> bool:
        """Whether it is a sort key."""
        return self.match is not None and self.source is Source.INDEX

    @property
    def parameter(self) -> str:
        """What its filters are named after."""
        ends = {Match.PERIOD: "_at", Match.MEMBER: "s"}
        return self.name.removesuffix(ends.get(self.match, "")) if self.match else self.name

    @property
    def plain_type(self) -> type:
        """One of str, int, float, datetime and tuple (of str); a member of an enum is a str."""
        return next(one for one in (str, int, float, datetime, tuple) if issubclass(self.kind, one))

    @property
    def is_text(self) -> bool:
        """Whether it is compared as text; else as a number or a moment."""
        return self.plain_type is str

    @property
    def none(self) -> str:
        """What the filter takes for the sessions that have no value."""
        return "none" if self.values else NONE

    def read(self, row: Any) -> Any:
        """The value in a row of its source."""
        value = row[self.stored_as]
        return self.kind(value) if value and issubclass(self.kind, StrEnum) else value


# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session as lists, exports and the API show it, in the order of the exports' columns."""

    session_id: Annotated[SessionId, SessionField(
        "Session", "The session's id; also that of its LangGraph thread.", column=Column.CHOOSABLE)]
    room_name: Annotated[str, SessionField(
        "Room", "Name of the LiveKit room.", match=Match.NAME, column=Column.CHOOSABLE)]
    user_id: Annotated[str, SessionField(
        "User", "The end user on the call, as the API's caller named them.",
        match=Match.EXACT, column=Column.SHOWN)]
    agent_name: Annotated[str, SessionField(
        "Agent", "Name of the dispatched agent.",
        match=Match.EXACT, suggested=True, column=Column.SHOWN)]
    status: Annotated[SessionStatus, SessionField(
        "Status", "`created`: nobody joined yet. `expired`: ended when its time was over.",
        match=Match.ONE_OF, column=Column.SHOWN)]
    origin: Annotated[Origin, SessionField(
        "Origin", "Who created the room; `adopted`: another program.", source=Source.SESSION)]
    created_at: Annotated[datetime, SessionField(
        "Created", "When the session was created.", match=Match.PERIOD, column=Column.SHOWN)]
    started_at: Annotated[datetime | None, SessionField(
        "Started", "When the first participant joined.", source=Source.SESSION)]
    ended_at: Annotated[datetime | None, SessionField(
        "Ended", "When it ended.", source=Source.SESSION)]
    end_reason: Annotated[str, SessionField(
        "End reason", "Why it ended, in words.", column=Column.CHOOSABLE, source=Source.SESSION)]
    duration_s: Annotated[float | None, SessionField(
        "Duration", "From `started_at` (else `created_at`) to the end; open sessions have none.",
        match=Match.RANGE, column=Column.SHOWN)]
    turns: Annotated[int, SessionField(
        "Turns", "Turns in which the caller said something.",
        match=Match.RANGE, column=Column.SHOWN)]
    latency_p50_ms: Annotated[float | None, SessionField(
        "p50 latency", "Median time from the end of speech to the first audio of the answer.",
        match=Match.RANGE, column=Column.SHOWN)]
    latency_max_ms: Annotated[float | None, SessionField(
        "Max latency", "Longest time from the end of speech to the first audio of the answer.",
        match=Match.RANGE, column=Column.SHOWN)]
    interruptions: Annotated[int, SessionField(
        "Interruptions", "Answers that the caller interrupted.",
        match=Match.RANGE, column=Column.CHOOSABLE)]
    interrupts_pending: Annotated[int, SessionField(
        "Pending interrupts", "Pending interrupts of the graph.",
        match=Match.HAS, sparse=True, column=Column.CHOOSABLE)]
    errors: Annotated[int, SessionField(
        "Errors", "Failed runs of the graph and errors of the agent.",
        match=Match.HAS, sparse=True, column=Column.CHOOSABLE)]
    verdict: Annotated[str, SessionField(
        "Verdict", "The newest review; the filter `none` finds what was not reviewed.",
        match=Match.EXACT, values=("pass", "fail", "unsure", "none"), column=Column.SHOWN)]
    tags: Annotated[tuple[str, ...], SessionField(
        "Tags", "Tags of the session and of its notes.",
        match=Match.MEMBER, suggested=True, column=Column.SHOWN, source=Source.TAGS)]
    provenance: Annotated[Provenance, SessionField(
        "Source",
        "How the beginning and the end are known. `inferred`: LiveKit sent no webhook, "
        "polling found it seconds later. `incomplete`: its time is not known.",
        match=Match.EXACT, column=Column.SHOWN)]
    participants_peak: Annotated[int, SessionField(
        "Peak participants", "The most participants at the same time, without agents.",
        source=Source.SESSION, stored_as="people_peak")]
    version: Annotated[str, SessionField(
        "Version", "The agent's version (`SWITCHBOARD_AGENT_VERSION`).",
        match=Match.EXACT, suggested=True, column=Column.CHOOSABLE)]
    assignee: Annotated[str, SessionField(
        "Assignee", "The reviewer whom the session is assigned to.",
        match=Match.EXACT, suggested=True, sparse=True, column=Column.CHOOSABLE)]
    participant_identity: Annotated[str, SessionField(
        "Identity", "The caller's identity in the room.",
        exported=False, source=Source.SESSION, stored_as="identity")]
    dispatch_id: Annotated[str, SessionField(
        "Dispatch", "LiveKit's id of the agent dispatch.", exported=False, source=Source.SESSION)]
    expires_at: Annotated[datetime | None, SessionField(
        "Expires", "When Switchboard ends the session, unless it ends before.",
        exported=False, source=Source.SESSION)]
    created_provenance: Annotated[Provenance, SessionField(
        "Source of the beginning", "How the beginning is known.",
        exported=False, source=Source.SESSION, stored_as="created_certainty")]
    ended_provenance: Annotated[Provenance | None, SessionField(
        "Source of the end", "How the end is known.",
        exported=False, source=Source.SESSION, stored_as="ended_certainty")]
# fmt: on


def _read_catalogue() -> Iterator[SessionField]:
    for name, entry in get_type_hints(SessionRow, include_extras=True).items():
        hint, known = get_args(entry)
        kinds = [one for one in get_args(hint) if one is not NoneType]
        optional = len(kinds) < len(get_args(hint))
        kind = kinds[0] if optional else get_origin(hint) or hint
        kind = getattr(kind, "__supertype__", kind)  # SessionId is a str
        yield replace(
            known,
            name=name,
            annotation=hint,
            kind=kind,
            optional=optional,
            values=known.values or (tuple(kind) if issubclass(kind, StrEnum) else ()),
            stored_as=known.stored_as or name,
        )


FIELDS: Final = {one.name: one for one in _read_catalogue()}
EXPORTED: Final = tuple(one for one in FIELDS.values() if one.exported)
INDEXED: Final = tuple(one for one in FIELDS.values() if one.source is Source.INDEX)
SORT_KEYS: Final = tuple(one for one in FIELDS.values() if one.sort)
SORTS: Final = tuple(f"{sign}{one.name}" for one in SORT_KEYS for sign in ("", "-"))
"""What `sort` takes; `-`: the greatest or newest first."""


def _usable(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("has no time zone: write it like 2026-01-31T12:00:00Z")
    if not 1970 < moment.year < 9999:
        raise ValueError("lies too far away")
    return moment


class Op(Enum):
    """What a filter asks of its field; SEARCH: of what the search itself knows."""

    EQUAL = auto()
    NAME = auto()
    ONE_OF = auto()
    HAS = auto()
    MEMBER = auto()
    AT_LEAST = auto()
    AT_MOST = auto()
    BEFORE = auto()
    SEARCH = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParameter:
    """One filter, of one name in the API, in the page's address, in saved views and in code.

    `type`: as pydantic reads it from text, with its bounds.
    """

    name: str
    type: Any
    description: str
    op: Op = Op.SEARCH
    field: SessionField | None = None


_OPS: Final[Mapping[Match | None, tuple[tuple[str, Op, str], ...]]] = {
    Match.EXACT: (("{parameter}", Op.EQUAL, ""),),
    Match.NAME: (("{parameter}", Op.NAME, ""),),
    Match.ONE_OF: (("{parameter}", Op.ONE_OF, ""),),
    Match.HAS: (("{parameter}", Op.HAS, "Only those with any. "),),
    Match.MEMBER: (("{parameter}", Op.MEMBER, "Only those that hold it. "),),
    Match.RANGE: (
        ("min_{parameter}", Op.AT_LEAST, "At least. "),
        ("max_{parameter}", Op.AT_MOST, "At most. "),
    ),
    Match.PERIOD: (
        ("{parameter}_after", Op.AT_LEAST, "At this moment or later. "),
        ("{parameter}_before", Op.BEFORE, "Before this moment. "),
    ),
}


def _parameters() -> Iterator[SessionParameter]:
    yield SessionParameter(
        name="q",
        type=Annotated[str, Field(max_length=TEXT_MOST)],
        description="Words that were all said in one turn, or noted; or a session's id, or its room.",
    )
    for one in FIELDS.values():
        for name, op, words in _OPS.get(one.match, ()):
            yield SessionParameter(
                name=name.format(parameter=one.parameter),
                type=_type(one, op),
                description=words + one.description + _about(one, op),
                op=op,
                field=one,
            )
    yield SessionParameter(
        name="mark",
        type=Annotated[str, Field(max_length=MARK_MOST)],
        description="What analytics marked the session with, such as `node|route|errors`.",
    )
    yield SessionParameter(
        name="mark_over_ms",
        type=Annotated[float, Field(ge=0, le=1e9)],
        description="What `mark` names took so long at least once.",
    )


def _type(one: SessionField, op: Op) -> Any:
    if op is Op.HAS:
        return bool
    if op is Op.MEMBER:
        return str
    if op is Op.ONE_OF:
        return list[one.kind]  # type: ignore[name-defined]  # pydantic reads it when it runs
    if one.kind is datetime:
        return Annotated[datetime, AfterValidator(_usable)]
    if not one.is_text:
        return Annotated[one.kind, Field(ge=0, le=one.most)]
    return Literal[one.values] if one.none in one.values else one.kind


def _about(one: SessionField, op: Op) -> str:
    """What of the text of this filter has a meaning of its own."""
    if op is Op.NAME:
        return f" `support-{PREFIX}`: all names that begin with `support-`."
    return f" `{one.none}`: those that have none." if op is Op.EQUAL and not one.values else ""


PARAMETERS: Final = {one.name: one for one in _parameters()}


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions: each of `values`, by the names of `PARAMETERS`, must hold.

    Raises:
        TypeError: a name is not one of `PARAMETERS`. A filter that is lost would find everything.
    """

    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := self.values.keys() - PARAMETERS:
            raise TypeError(f"no such filter of sessions: {', '.join(sorted(unknown))}")
        held = {
            name: value
            for name, value in self.values.items()
            if value is not None and value is not False and value not in ((), [])
        }
        if not held.get("q", "").strip():
            held.pop("q", None)
        object.__setattr__(self, "values", held)

    @classmethod
    def where(cls, **values: Any) -> Self:
        """The filter with these values; None, False and the empty list ask for nothing."""
        return cls(values)

    def and_where(self, **values: Any) -> Self:
        """The same filter with these values, too."""
        return type(self)({**self.values, **values})

    def query(self) -> dict[str, str | list[str]]:
        """As the API's query has it."""
        return {name: _written(value) for name, value in self.values.items()}


def _written(value: Any) -> Any:
    match value:
        case list() | tuple():
            return [str(one) for one in value]
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case _:
            return str(value)
