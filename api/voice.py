"""Voice sessions for other programs: create, read, list, end, and fresh tokens.

Takes its own field names and those of LiveKit's TokenSource requests, and answers with both,
so that an unmodified LiveKit front end can use it as its token endpoint.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response, status
from fastapi.responses import StreamingResponse

from api.deps import MAY_READ, Exporter, SharedRuntime, Tester
from api.streaming import download, pieces_of
from api.voice_models import (
    CreateVoiceSession,
    ExportQuery,
    ListedSession,
    NewToken,
    SessionDetails,
    SessionList,
    SessionQuery,
    VoiceSession,
)
from services.clock import rfc3339
from services.runtime import Runtime
from services.sessions.service import CreatedSession
from services.store.records import Origin, SessionRecord
from services.store.session_search import SessionRow

router = APIRouter(prefix="/voice", tags=["Voice sessions"])

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


@router.post("/session", status_code=status.HTTP_201_CREATED, response_model=VoiceSession)
async def create_voice_session(
    body: CreateVoiceSession,
    runtime: SharedRuntime,
    caller: Tester,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Open a room, ask for the agent, and hand out a token for the caller.

    The same `Idempotency-Key` gives the same session again, never a second room. `dispatch_id`
    is known a moment later: read the session for it.
    """
    wanted = body.wanted()
    made = await runtime.acall(
        lambda: runtime.sessions.create(
            wanted, origin=Origin.API, actor=caller, idempotency_key=idempotency_key
        ),
        timeout_s=2 * runtime.settings.switchboard_livekit_timeout_s + 2,
    )
    return Response(  # ready: a model would be checked once more before it is written out
        json.dumps(_with_token(runtime, made)),
        status_code=status.HTTP_201_CREATED,
        media_type="application/json",
        headers={
            "Location": f"/api/voice/session/{made.session.id}",
            "Cache-Control": "no-store",
        },
    )


@router.get("/session/{session_id}", dependencies=[MAY_READ])
async def read_voice_session(session_id: str, runtime: SharedRuntime) -> SessionDetails:
    """The session as it stands."""
    return _details(runtime, await runtime.acall(lambda: runtime.sessions.get(session_id)))


@router.delete("/session/{session_id}")
async def end_voice_session(
    session_id: str, runtime: SharedRuntime, caller: Tester
) -> SessionDetails:
    """End the session: its room is deleted, and kept closed. Ending it again changes nothing."""
    ended = await runtime.acall(
        lambda: runtime.sessions.end(session_id, actor=caller, reason="Ended by the API."),
        timeout_s=2 * runtime.settings.switchboard_livekit_timeout_s + 2,
    )
    return _details(runtime, ended)


@router.post("/session/{session_id}/token", status_code=status.HTTP_201_CREATED)
async def create_token(
    session_id: str,
    runtime: SharedRuntime,
    response: Response,
    caller: Tester,
    body: NewToken | None = None,
) -> VoiceSession:
    """A fresh join token for an open session."""
    identity = body.participant_identity if body is not None else None
    made = await runtime.acall(
        lambda: runtime.sessions.token(session_id, identity=identity, actor=caller)
    )
    response.headers["Cache-Control"] = "no-store"
    return VoiceSession.model_validate(_with_token(runtime, made))


@router.get("/sessions", dependencies=[MAY_READ])
async def list_voice_sessions(
    runtime: SharedRuntime,
    wanted: Annotated[SessionQuery, Query()],
) -> SessionList:
    """Sessions of ours and of rooms that others made: newest first, unless told otherwise.

    `q` are words that were all said in one turn, or noted; or a session's id, or its room. Words
    are looked for in the newest 5,000 texts that have them.
    """
    page = await runtime.acall(
        lambda: runtime.store.found.page(
            wanted.find(),
            order=wanted.sort,
            ascending=wanted.ascending,
            cursor=wanted.cursor,
            limit=wanted.limit,
        )
    )
    return SessionList(
        sessions=[_listed(runtime, one) for one in page.sessions], next_cursor=page.next_cursor
    )


@router.get("/sessions/export")
async def export_voice_sessions(
    runtime: SharedRuntime,
    caller: Exporter,
    wanted: Annotated[ExportQuery, Query()],
) -> StreamingResponse:
    """All sessions of a view, however many, as `csv`, `parquet` or `jsonl`: docs/exports.md."""
    file = await runtime.acall(
        lambda: runtime.exports.table(
            wanted.find(),
            order=wanted.sort,
            ascending=wanted.ascending,
            written_as=wanted.format,
            actor=caller,
        )
    )
    return download(file.name, file.media_type, pieces_of(runtime, file.pieces))


def _listed(runtime: Runtime, one: SessionRow) -> ListedSession:
    figures = {name: getattr(one, name) for name in ListedSession.FIGURES}
    return ListedSession.model_validate({**_told(runtime, one.session), **figures})


def _details(runtime: Runtime, session: SessionRecord) -> SessionDetails:
    return SessionDetails.model_validate(_told(runtime, session))


def _told(runtime: Runtime, session: SessionRecord) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "room_name": session.room_name,
        "agent_id": session.agent_name,
        "user_id": session.user_id,
        "status": session.status,
        "origin": session.origin,
        "participant_identity": session.identity,
        "dispatch_id": session.dispatch_id,
        "created_at": rfc3339(session.created_at),
        "started_at": _moment(session.started_at),
        "ended_at": _moment(session.ended_at),
        "ended_certainty": session.ended_certainty,
        "end_reason": session.end_reason,
        "expires_at": _moment(session.expires_at),
        "people_peak": session.people_peak,
        "dashboard_url": f"{runtime.dashboard_url or ''}/session?id={session.id}",
    }


def _with_token(runtime: Runtime, made: CreatedSession) -> dict[str, Any]:
    return {
        **_told(runtime, made.session),
        "participant_identity": made.token.identity,
        "server_url": runtime.target.public_url,
        "token": made.token.token,
        "participant_token": made.token.token,
        "token_expires_at": rfc3339(made.token.expires_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None
