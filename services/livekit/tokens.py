"""LiveKit access tokens: made and read without a server, without reading or writing anything.

    minted = TokenMinter(target, utc_now).mint(TokenRequest(identity="nate", room="desk", …))
    decoded = decode(pasted, keys={api_key: api_secret})

Neither token nor secret stands in a `repr`, an exception or a log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from livekit import api
from livekit.api.access_token import Claims
from pydantic import SecretStr

from services.clock import Now
from services.errors import ConfigError
from services.livekit.grants import Grants, TrackSource, to_livekit
from services.livekit.target import LiveKitTarget
from services.livekit.token_decode import (
    ALGORITHM,
    DecodedToken,
    Signature,
    Validity,
    decode,
)
from services.livekit.token_lint import Finding, LintContext, Severity, holder_of, lint
from services.livekit.token_presets import PRESETS, Holder, Preset
from services.livekit.token_request import (
    MAX_TTL,
    MIN_TTL,
    AgentDispatchSpec,
    RoomConfig,
    TokenKind,
    TokenRequest,
    check,
)

__all__ = [
    "MAX_TTL",
    "MIN_TTL",
    "PRESETS",
    "AgentDispatchSpec",
    "DecodedToken",
    "Finding",
    "Grants",
    "Holder",
    "MintedToken",
    "Preset",
    "RoomConfig",
    "Severity",
    "Signature",
    "TokenKind",
    "TokenMinter",
    "TokenRequest",
    "TrackSource",
    "Validity",
    "check",
    "decode",
    "holder_of",
    "mint",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedToken:
    """A signed token; `repr` does not show it. Its times are whole seconds, as the claims are."""

    token: str = field(repr=False)
    identity: str
    room: str
    issued_at: datetime
    expires_at: datetime


def mint(
    request: TokenRequest, *, api_key: str, api_secret: SecretStr, now: datetime
) -> MintedToken:
    """Check the request and sign it.

    The claims are put together by livekit-api; the times are ours, because its
    `AccessToken.to_jwt` reads the clock itself (livekit/api/access_token.py@1.2.2).

    Raises:
        InvalidInputError: LiveKit would not take it; `field` names the part.
        ConfigError: there is no usable key pair.
    """
    check(request)
    if not api_key or not api_secret.get_secret_value():
        raise ConfigError(
            "No LiveKit API key and secret to sign with.",
            hint="Set LIVEKIT_API_KEY and LIVEKIT_API_SECRET.",
        )
    issued_at = now.astimezone(UTC).replace(microsecond=0)
    expires_at = (issued_at + request.ttl).replace(microsecond=0)
    claims = _claims(request).asdict() | {
        "sub": request.identity,
        "iss": api_key,
        "nbf": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    try:
        token = jwt.encode(claims, api_secret.get_secret_value(), algorithm=ALGORITHM)
    except jwt.InvalidKeyError:
        raise ConfigError(
            "The LiveKit secret is a certificate or a public key.",
            hint="LIVEKIT_API_SECRET must be the secret that belongs to LIVEKIT_API_KEY.",
        ) from None
    return MintedToken(
        token=token,
        identity=request.identity,
        room=request.room,
        issued_at=issued_at,
        expires_at=expires_at,
    )


class TokenMinter:
    """Mints and reads with the target's key pair."""

    def __init__(self, target: LiveKitTarget, now: Now) -> None:
        self._target = target
        self._now = now

    def mint(self, request: TokenRequest) -> MintedToken:
        """A signed token. Raises what `mint` raises."""
        return mint(
            request,
            api_key=self._target.api_key,
            api_secret=self._target.api_secret,
            now=self._now(),
        )

    def decode(self, text: str) -> DecodedToken:
        """What a pasted token says, and whether our key signed it. Raises what `decode` raises."""
        return decode(text, keys=self._keys())

    def lint(
        self, token: TokenRequest | DecodedToken, *, holder: Holder | None = None
    ) -> tuple[Finding, ...]:
        """What to know about a token that our key signs, the worst first.

        Without `holder` it is judged for whom the token seems to be (`holder_of`).
        """
        context = LintContext(now=self._now(), holder=holder, keys=self._keys())
        return lint(token, context)

    def _keys(self) -> dict[str, SecretStr]:
        return {self._target.api_key: self._target.api_secret}


def _claims(request: TokenRequest) -> Claims:
    kind = "" if request.kind == TokenKind.STANDARD else str(request.kind)  # absent means standard
    return Claims(
        name=request.name,
        kind=kind,
        metadata=request.metadata,
        attributes=dict(request.attributes) or None,
        room_config=None if request.room_config is None else _room_config(request.room_config),
        **to_livekit(request.grants, request.room),
    )


def _room_config(config: RoomConfig) -> api.RoomConfiguration:
    values: dict[str, Any] = {
        "name": config.name,
        "empty_timeout": config.empty_timeout_s,
        "departure_timeout": config.departure_timeout_s,
        "max_participants": config.max_participants,
        "metadata": config.metadata,
    }
    agents = [
        api.RoomAgentDispatch(agent_name=agent.agent_name, metadata=agent.metadata)
        for agent in config.agents
    ]
    return api.RoomConfiguration(**values, agents=agents)
