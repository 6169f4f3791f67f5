"""What the API of voice sessions takes and gives. Moments are RFC 3339, UTC."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from services.errors import InvalidInputError
from services.events import Provenance
from services.exports.sessions_table import TableFormat
from services.sessions.service import NewSession
from services.store.records import Origin, SessionStatus
from services.store.session_search import PAGE_MOST, TEXT_MOST, Order, SessionFilter

DEFAULT_HOURS: Final = 2.0
_NAME_BYTES: Final = 256  # LiveKit's limit for names and identities


def _printable(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    if len(value.encode("utf-8", errors="surrogatepass")) > _NAME_BYTES:
        raise ValueError(f"has more than {_NAME_BYTES} bytes")
    if any(not char.isprintable() for char in value):
        raise ValueError("has control characters")
    return value


Name = Annotated[str, AfterValidator(_printable)]


class RoomAgent(BaseModel):
    """An agent in LiveKit's RoomConfiguration."""

    model_config = ConfigDict(extra="ignore")

    agent_name: str = Field(validation_alias="agentName", default="")
    metadata: str = ""

    @model_validator(mode="before")
    @classmethod
    def _both_spellings(cls, data: Any) -> Any:
        if isinstance(data, dict) and "agent_name" in data:
            return {"agentName": data["agent_name"], **data}
        return data


class RoomConfig(BaseModel):
    """What a LiveKit front end may say of the room it wants; we use its agents and metadata."""

    model_config = ConfigDict(extra="ignore")

    agents: list[RoomAgent] = Field(default_factory=list, max_length=1)
    metadata: str = ""


class CreateVoiceSession(BaseModel):
    """A session to be created. Unknown fields are refused: a misspelt one would be lost."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    user_id: Name | None = Field(default=None, examples=["nate"], description="Who calls.")
    agent_id: Name | None = Field(
        default=None, examples=["pm-agent"], description="A graph named in langgraph.json."
    )
    session_duration_hours: float = Field(
        default=DEFAULT_HOURS, gt=0, allow_inf_nan=False, strict=True, examples=[2]
    )
    mode: Literal["voice", "text"] = Field(
        default="voice",
        description="text: the agent neither hears nor speaks, it reads and writes.",
    )
    participant_identity: Name | None = None
    participant_name: Name | None = None
    participant_metadata: str | None = None
    participant_attributes: dict[str, str] | None = None
    room_name: Name | None = None
    room_config: RoomConfig | None = None
    metadata: dict[str, Any] | None = Field(
        default=None, description="A JSON object for the room; everybody in it can read it."
    )

    def wanted(self) -> NewSession:
        """The use case's own form.

        Raises:
            InvalidInputError: who calls, or which agent is wanted, is not said.
        """
        config = self.room_config or RoomConfig()
        asked = config.agents[0] if config.agents else None
        agent_id = self.agent_id or (asked.agent_name if asked is not None else None)
        user_id = self.user_id or self.participant_identity or self.participant_name
        if not user_id:
            raise InvalidInputError(
                "user_id: Field required.", hint="Say who calls.", field="user_id"
            )
        if not agent_id:
            raise InvalidInputError(
                "agent_id: Field required.",
                hint="Name the agent; GET /api/agents lists them.",
                field="agent_id",
            )
        room_metadata = json.dumps(self.metadata) if self.metadata else config.metadata
        return NewSession(
            user_id=user_id,
            agent_name=agent_id,
            duration=timedelta(hours=min(self.session_duration_hours, 1_000_000)),
            identity=self.participant_identity,
            participant_name=self.participant_name or "",
            participant_metadata=self.participant_metadata or "",
            participant_attributes=self.participant_attributes or {},
            agent_metadata=asked.metadata if asked is not None else "",
            mode=self.mode,
            room_name=self.room_name,
            room_metadata=room_metadata,
        )


class SessionDetails(BaseModel):
    """A session as it stands. Moments are RFC 3339, UTC."""

    session_id: str
    room_name: str
    agent_id: str
    user_id: str
    status: SessionStatus
    origin: Origin
    participant_identity: str
    dispatch_id: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    ended_certainty: str | None
    end_reason: str
    expires_at: str | None
    people_peak: int
    dashboard_url: str


class VoiceSession(SessionDetails):
    """A session with a token for its caller. `token` and `participant_token` are the same."""

    server_url: str
    token: str
    participant_token: str
    token_expires_at: str


class ListedSession(SessionDetails):
    """A session with its figures. Answers in ms, from the end of speech to the first audio."""

    FIGURES: ClassVar[tuple[str, ...]] = (
        "evidence", "duration_s", "turns", "answer_median_ms", "answer_worst_ms", "interruptions",
        "asks", "errors", "verdict", "version", "assignee", "tags",
    )  # fmt: skip

    evidence: Provenance
    duration_s: float | None
    turns: int
    answer_median_ms: float | None
    answer_worst_ms: float | None
    interruptions: int
    asks: int
    errors: int
    verdict: str
    version: str
    assignee: str
    tags: tuple[str, ...]


class SessionList(BaseModel):
    """A page of sessions; `next_cursor` is null on the last."""

    sessions: list[ListedSession]
    next_cursor: str | None


def _near(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("has no time zone: write it like 2026-01-31T12:00:00Z")
    if not 1970 < moment.year < 9999:
        raise ValueError("lies too far away")
    return moment


Moment = Annotated[datetime, AfterValidator(_near)]


class _View(BaseModel):
    """Which sessions, in which order. Every part that is set must hold."""

    model_config = ConfigDict(hide_input_in_errors=True)

    q: str = Field(default="", max_length=TEXT_MOST)
    status: list[SessionStatus] = []
    agent_id: str | None = None
    user_id: str | None = None
    room_name: str | None = None
    evidence: Provenance | None = None
    verdict: Literal["pass", "fail", "unsure", "none"] | None = None
    tag: str | None = None
    asks: bool = False
    errors: bool = False
    slower_than_ms: float | None = Field(default=None, ge=0, le=600_000)
    median_from_ms: float | None = Field(default=None, ge=0, le=600_000)
    duration_from_s: float | None = Field(default=None, ge=0, le=1e7)
    turns_from: int | None = Field(default=None, ge=0, le=1_000_000)
    interruptions_from: int | None = Field(default=None, ge=0, le=1_000_000)
    version: str | None = Field(default=None, max_length=80)
    assignee: str | None = Field(default=None, max_length=200)
    mark: str | None = Field(default=None, max_length=500)
    mark_over_ms: float | None = Field(default=None, ge=0, le=1e9)
    created_after: Moment | None = None
    created_before: Moment | None = None
    sort: Order = Order.STARTED
    ascending: bool = False

    def find(self) -> SessionFilter:
        """What the store is asked for."""
        same = (
            "room_name", "user_id", "evidence", "verdict", "tag", "asks", "errors",
            "slower_than_ms", "median_from_ms", "duration_from_s", "turns_from",
            "interruptions_from", "version", "assignee", "mark", "mark_over_ms", "created_after",
            "created_before",
        )  # fmt: skip
        return SessionFilter(
            text=self.q,
            statuses=tuple(self.status),
            agent_name=self.agent_id,
            **{name: getattr(self, name) for name in same},
        )


class SessionQuery(_View):
    """A page of such a view."""

    cursor: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=50, ge=1, le=PAGE_MOST)


class ExportQuery(_View):
    """All of such a view, as a file."""

    format: TableFormat = TableFormat.CSV


class NewToken(BaseModel):
    """Whom the token is for; the session's own caller by default."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    participant_identity: Name | None = None
