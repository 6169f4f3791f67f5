"""Voice sessions for other programs: create, read, list, end, and fresh tokens.

Takes its own field names and those of LiveKit's TokenSource requests, and answers with both,
so that an unmodified LiveKit front end can use it as its token endpoint.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Query, Response, status
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.deps import SharedRuntime
from services.clock import rfc3339
from services.errors import BadInputError
from services.runtime import Runtime
from services.sessions import CreatedSession, NewSession
from services.store.records import Origin, SessionFilter, SessionRecord, SessionStatus

router = APIRouter(prefix="/voice", tags=["Voice sessions"])

DEFAULT_HOURS: Final = 2.0
_NAME_BYTES: Final = 256  # LiveKit's limit for names and identities

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key and body give the same session again.",
    ),
]


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
            BadInputError: who calls, or which agent is wanted, is not said.
        """
        config = self.room_config or RoomConfig()
        asked = config.agents[0] if config.agents else None
        agent_id = self.agent_id or (asked.agent_name if asked is not None else None)
        user_id = self.user_id or self.participant_identity or self.participant_name
        if not user_id:
            raise BadInputError("user_id: Field required.", hint="Say who calls.", field="user_id")
        if not agent_id:
            raise BadInputError(
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


class SessionList(BaseModel):
    """A page of sessions, newest first; `next_cursor` is null on the last."""

    sessions: list[SessionDetails]
    next_cursor: str | None


class NewToken(BaseModel):
    """Whom the token is for; the session's own caller by default."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    participant_identity: Name | None = None


@router.post("/session", status_code=status.HTTP_201_CREATED, response_model=VoiceSession)
async def create_voice_session(
    body: CreateVoiceSession, runtime: SharedRuntime, idempotency_key: IdempotencyKey = None
) -> Response:
    """Open a room, ask for the agent, and hand out a token for the caller.

    The same `Idempotency-Key` gives the same session again, never a second room. `dispatch_id`
    is known a moment later: read the session for it.
    """
    wanted = body.wanted()
    made = await runtime.acall(
        lambda: runtime.sessions.create(
            wanted, origin=Origin.API, actor="api", idempotency_key=idempotency_key
        ),
        timeout_s=2 * runtime.settings.switchboard_livekit_timeout_s + 2,
    )
    return Response(  # ready: FastAPI would check a model once more before it writes it out
        _with_token(runtime, made).model_dump_json(),
        status_code=status.HTTP_201_CREATED,
        media_type="application/json",
        headers={
            "Location": f"/api/voice/session/{made.session.id}",
            "Cache-Control": "no-store",
        },
    )


@router.get("/session/{session_id}")
async def read_voice_session(session_id: str, runtime: SharedRuntime) -> SessionDetails:
    """The session as it stands."""
    return _details(runtime, await runtime.acall(lambda: runtime.sessions.get(session_id)))


@router.delete("/session/{session_id}")
async def end_voice_session(session_id: str, runtime: SharedRuntime) -> SessionDetails:
    """End the session: its room is deleted, and kept closed. Ending it again changes nothing."""
    ended = await runtime.acall(
        lambda: runtime.sessions.end(session_id, actor="api", reason="Ended by the API."),
        timeout_s=2 * runtime.settings.switchboard_livekit_timeout_s + 2,
    )
    return _details(runtime, ended)


@router.post("/session/{session_id}/token", status_code=status.HTTP_201_CREATED)
async def create_token(
    session_id: str, runtime: SharedRuntime, response: Response, body: NewToken | None = None
) -> VoiceSession:
    """A fresh join token for an open session."""
    identity = body.participant_identity if body is not None else None
    made = await runtime.acall(lambda: runtime.sessions.token(session_id, identity=identity))
    response.headers["Cache-Control"] = "no-store"
    return _with_token(runtime, made)


@router.get("/sessions")
async def list_voice_sessions(
    runtime: SharedRuntime,
    status_is: Annotated[list[SessionStatus] | None, Query(alias="status")] = None,
    agent_id: str | None = None,
    user_id: str | None = None,
    room_name: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> SessionList:
    """Sessions, newest first, of ours and of rooms that others made."""
    for name, moment in (("created_after", created_after), ("created_before", created_before)):
        if moment is not None and (moment.tzinfo is None or not 1970 < moment.year < 9999):
            raise BadInputError(
                f"{name}: has no time zone, or lies too far away.",
                hint="Write it like 2026-01-31T12:00:00Z.",
                field=name,
            )
    wanted = SessionFilter(
        statuses=tuple(status_is or ()),
        agent_name=agent_id,
        user_id=user_id,
        room_name=room_name,
        created_after=created_after,
        created_before=created_before,
    )
    page = await runtime.acall(
        lambda: runtime.store.list_sessions(wanted, cursor=cursor, limit=limit)
    )
    return SessionList(
        sessions=[_details(runtime, session) for session in page.sessions],
        next_cursor=page.next_cursor,
    )


def _details(runtime: Runtime, session: SessionRecord) -> SessionDetails:
    return SessionDetails(
        session_id=session.id,
        room_name=session.room_name,
        agent_id=session.agent_name,
        user_id=session.user_id,
        status=session.status,
        origin=session.origin,
        participant_identity=session.identity,
        dispatch_id=session.dispatch_id,
        created_at=rfc3339(session.created_at),
        started_at=_moment(session.started_at),
        ended_at=_moment(session.ended_at),
        ended_certainty=session.ended_certainty,
        end_reason=session.end_reason,
        expires_at=_moment(session.expires_at),
        people_peak=session.people_peak,
        dashboard_url=f"{runtime.dashboard_url or ''}/session?id={session.id}",
    )


def _with_token(runtime: Runtime, made: CreatedSession) -> VoiceSession:
    details = _details(runtime, made.session).model_dump()
    return VoiceSession(
        **{**details, "participant_identity": made.token.identity},
        server_url=runtime.target.public_url,
        token=made.token.token,
        participant_token=made.token.token,
        token_expires_at=rfc3339(made.token.expires_at),
    )


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None
