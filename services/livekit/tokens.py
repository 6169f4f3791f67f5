"""Provisional: access tokens, minted without a server. Helper B replaces this file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from livekit import api
from pydantic import SecretStr

from services.clock import Now
from services.livekit.target import LiveKitTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """Video grants."""

    room_join: bool = False
    room_admin: bool = False
    room_create: bool = False
    room_list: bool = False
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What a token should say."""

    identity: str = ""
    room: str = ""
    name: str = ""
    ttl: timedelta = timedelta(minutes=15)
    metadata: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    grants: Grants = field(default_factory=Grants)


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedToken:
    """A signed token; `repr` does not show it."""

    token: str = field(repr=False)
    identity: str
    room: str
    issued_at: datetime
    expires_at: datetime


def mint(
    request: TokenRequest, *, api_key: str, api_secret: SecretStr, now: datetime
) -> MintedToken:
    """Sign the request."""
    g = request.grants
    grants = api.VideoGrants(
        room=request.room,
        room_join=g.room_join,
        can_publish=g.can_publish,
        can_subscribe=g.can_subscribe,
        can_publish_data=g.can_publish_data,
        hidden=g.hidden or None,
        room_admin=g.room_admin or None,
    )
    token = (
        api.AccessToken(api_key, api_secret.get_secret_value())
        .with_identity(request.identity)
        .with_name(request.name)
        .with_metadata(request.metadata)
        .with_attributes(request.attributes)
        .with_ttl(request.ttl)
        .with_grants(grants)
    )
    return MintedToken(
        token=token.to_jwt(),
        identity=request.identity,
        room=request.room,
        issued_at=now,
        expires_at=now + request.ttl,
    )


class TokenMinter:
    """Mints with the target's key pair."""

    def __init__(self, target: LiveKitTarget, now: Now) -> None:
        self._target = target
        self._now = now

    def mint(self, request: TokenRequest) -> MintedToken:
        """A signed token."""
        return mint(
            request,
            api_key=self._target.api_key,
            api_secret=self._target.api_secret,
            now=self._now(),
        )
