"""What the API of voice sessions takes and gives. Moments are RFC 3339, UTC."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    create_model,
    model_validator,
)

from services.clock import rfc3339
from services.errors import InvalidInputError
from services.exports.sessions_table import TableFormat
from services.sessions.service import NewSession
from services.store.records import Origin, SessionStatus
from services.store.session_fields import (
    DEFAULT_SORT,
    FIELDS,
    PARAMETERS,
    SORTS,
    Op,
    SessionFilter,
)
from services.store.session_search import PAGE_MOST

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


Model = TypeVar("Model", bound=BaseModel)


def with_session_fields(model: type[Model]) -> type[Model]:
    """The model with every field of the catalogue (`services/store/session_fields.py`)."""
    return _with(
        model,
        {
            one.name: (
                _on_the_wire(one.annotation),
                Field(title=one.label, description=one.description),
            )
            for one in FIELDS.values()
        },
    )


def with_session_parameters(model: type[Model]) -> type[Model]:
    """The model with every filter of the catalogue, each of which can be left out, and `sort`."""
    added: dict[str, Any] = {
        one.name: (
            one.type if one.op is Op.ONE_OF else one.type | None,
            Field(default=[] if one.op is Op.ONE_OF else None, description=one.description),
        )
        for one in PARAMETERS.values()
    }
    sort = Field(default=DEFAULT_SORT, description="A field; `-`: the greatest or newest first.")
    return _with(model, {**added, "sort": (Literal[SORTS], sort)})


def _with(model: type[Model], added: dict[str, Any]) -> type[Model]:
    made: type[Model] = create_model(
        model.__name__, __base__=model, __doc__=model.__doc__, __module__=__name__, **added
    )
    return made


def _on_the_wire(annotation: Any) -> Any:
    """Moments as everywhere in the API: RFC 3339 with a `Z`."""
    if annotation == datetime:
        return WireMoment
    return WireMoment | None if annotation == datetime | None else annotation


WireMoment = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


@with_session_fields
class ListedSession(BaseModel):
    """A session with what it is listed by. Units are in the names."""

    dashboard_url: str


class SessionList(BaseModel):
    """A page of sessions; `next_cursor` is null on the last."""

    sessions: list[ListedSession]
    next_cursor: str | None


class _View(BaseModel):
    """Which sessions, in which order. A misspelt filter is refused: without it, all are found."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    sort: str = DEFAULT_SORT

    def filter(self) -> SessionFilter:
        """What the store is asked for."""
        return SessionFilter({name: getattr(self, name) for name in PARAMETERS})


@with_session_parameters
class SessionQuery(_View):
    """A page of such a view."""

    cursor: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=50, ge=1, le=PAGE_MOST)


@with_session_parameters
class ExportQuery(_View):
    """All of such a view, as a file."""

    format: TableFormat = TableFormat.CSV
    page_pass: str | None = Field(default=None, alias="pass", description="Of the page's link.")


class NewToken(BaseModel):
    """Whom the token is for; the session's own caller by default."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    participant_identity: Name | None = None
