"""Who may open a job's stream: whoever holds the LiveKit secret, for one room, for minutes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import jwt

from services.errors import BadSignatureError
from services.livekit.target import LiveKitTarget
from switchboard_recorder.protocol import AUDIENCE, TOKEN_MOST_S

_LEEWAY_S: Final = 30
_ID_MOST: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamClaims:
    """What a stream's token says, checked."""

    stream_id: str
    room_name: str


def verify(token: str, target: LiveKitTarget) -> StreamClaims:
    """The claims of a stream's token.

    Raises:
        BadSignatureError: not signed by our key, expired, for another audience, or good for
            longer than ten minutes.
    """
    try:
        claims = jwt.decode(
            token,
            target.api_secret.get_secret_value(),
            algorithms=["HS256"],
            audience=AUDIENCE,
            issuer=target.api_key,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except jwt.PyJWTError as exc:
        raise BadSignatureError(
            f"The stream's token is refused ({type(exc).__name__}).",
            hint="The agent needs the dashboard's own LIVEKIT_API_KEY and LIVEKIT_API_SECRET, "
            "and a clock that agrees.",
        ) from None
    if claims["exp"] > time.time() + TOKEN_MOST_S + _LEEWAY_S:
        raise BadSignatureError(
            "The stream's token is good for too long.", hint="Ten minutes are the most."
        )
    stream_id, room_name = claims["sub"], claims.get("room")
    if not isinstance(room_name, str) or not room_name or not stream_id:
        raise BadSignatureError("The stream's token names no room.")
    if len(stream_id) > _ID_MOST:
        raise BadSignatureError("The stream's name is too long.", hint="64 characters at most.")
    return StreamClaims(stream_id=stream_id, room_name=room_name)
