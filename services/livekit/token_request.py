"""What an access token should say, and whether LiveKit would take it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from services.errors import InvalidInputError
from services.livekit.grants import Grants, TrackSource

# livekit-server pkg/config/config.go@v1.13.5 LimitConfig; it counts bytes.
NAME_LIMIT_BYTES: Final = 256
METADATA_LIMIT_BYTES: Final = 512 * 1024
ATTRIBUTES_LIMIT_BYTES: Final = 64 * 1024
MIN_TTL: Final = timedelta(seconds=10)
MAX_TTL: Final = timedelta(days=30)
AGENTS_LIMIT: Final = 16
_UINT32_MAX: Final = 2**32 - 1
_LINE_ENDS: Final = frozenset("\t\n\r")
_LABELS: Final = {
    "attributes": "An attribute",
    "empty_timeout_s": "The empty timeout",
    "departure_timeout_s": "The departure timeout",
    "max_participants": "The maximum of participants",
    "room_config.name": "The name of the room's configuration",
    "room_config.metadata": "The metadata of the room",
    "room_config.agents": "The agent metadata",
}


class TokenKind(StrEnum):
    """As what the holder joins (livekit/protocol ParticipantInfo.Kind@v1.50.5)."""

    STANDARD = "standard"
    INGRESS = "ingress"
    EGRESS = "egress"
    SIP = "sip"
    AGENT = "agent"
    CONNECTOR = "connector"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDispatchSpec:
    """An agent that LiveKit asks for by itself when the token opens its room."""

    agent_name: str
    metadata: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """How the room is made if the holder is the first to join it. Zeros: LiveKit's defaults.

    A room that is open already keeps its own configuration. `name` chooses a configuration
    that LiveKit Cloud keeps under it.
    """

    name: str = ""
    empty_timeout_s: int = 0
    departure_timeout_s: int = 0
    max_participants: int = 0
    metadata: str = ""
    agents: tuple[AgentDispatchSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What a token should say. `check` tells whether LiveKit would take it."""

    identity: str = ""
    room: str = ""
    name: str = ""
    ttl: timedelta = timedelta(minutes=15)
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: str = TokenKind.STANDARD
    grants: Grants = field(default_factory=Grants)
    room_config: RoomConfig | None = None


def check(request: TokenRequest) -> None:
    """Refuse what LiveKit would refuse or cut, before anything is signed.

    Raises:
        InvalidInputError: `field` names the part, such as `identity` or `room_config.agents`.
    """
    _line(request.identity, "identity")
    _line(request.name, "name")
    _line(request.room, "room")
    if request.grants.room_join:
        _needed(
            request.identity,
            "identity",
            "Enter a unique identity: two participants can't share one.",
        )
        _needed(request.room, "room", "Enter the room.")
    if not MIN_TTL <= request.ttl <= MAX_TTL:
        raise InvalidInputError(
            "A token must be valid for 10 seconds to 30 days.",
            hint="A short time is safer: tokens can't be revoked.",
            field="ttl",
        )
    if request.kind not in set(TokenKind):
        raise InvalidInputError(
            "Unknown participant kind.",
            hint=f"Use one of: {', '.join(TokenKind)}.",
            field="kind",
        )
    _text(request.metadata, "metadata", METADATA_LIMIT_BYTES)
    _attributes(request.attributes)
    _grants(request.grants)
    if request.room_config is not None:
        _room_config(request.room_config)


def _grants(grants: Grants) -> None:
    unknown = [source for source in grants.can_publish_sources if source not in set(TrackSource)]
    if unknown:
        raise InvalidInputError(
            "Unknown track source.",
            hint=f"Use one of: {', '.join(TrackSource)}.",
            field="can_publish_sources",
        )
    for name in ("destination_room", "agent_endpoint_agent_name", "agent_endpoint_deployment"):
        _line(getattr(grants, name), name)
    _line(grants.agent_thread_scope, "agent_thread_scope")
    for thread_id in grants.agent_thread_thread_ids:
        _line(thread_id, "agent_thread_thread_ids")


def _attributes(attributes: Mapping[str, str]) -> None:
    total = 0
    for key, value in attributes.items():
        _needed(key, "attributes", "Enter a name for each attribute.")
        total += _line(key, "attributes") + _text(value, "attributes", ATTRIBUTES_LIMIT_BYTES)
    if total > ATTRIBUTES_LIMIT_BYTES:
        raise InvalidInputError(
            f"The attributes have {total:,} bytes; LiveKit takes at most {ATTRIBUTES_LIMIT_BYTES:,}.",
            hint="Names and values count together.",
            field="attributes",
        )


def _room_config(config: RoomConfig) -> None:
    _line(config.name, "room_config.name")
    _text(config.metadata, "room_config.metadata", METADATA_LIMIT_BYTES)
    for name in ("empty_timeout_s", "departure_timeout_s", "max_participants"):
        if not 0 <= getattr(config, name) <= _UINT32_MAX:
            raise InvalidInputError(
                f"{_label(name)} must be a whole number from 0 to {_UINT32_MAX:,}.",
                hint="0 leaves LiveKit's default.",
                field=f"room_config.{name}",
            )
    if len(config.agents) > AGENTS_LIMIT:
        raise InvalidInputError(
            f"A token can dispatch at most {AGENTS_LIMIT} agents.", field="room_config.agents"
        )
    for agent in config.agents:
        _needed(
            agent.agent_name, "room_config.agents", "Use the agent name of the registered worker."
        )
        _line(agent.agent_name, "room_config.agents")
        _text(agent.metadata, "room_config.agents", METADATA_LIMIT_BYTES)


def _needed(text: str, name: str, hint: str) -> None:
    if not text.strip():
        raise InvalidInputError(f"{_label(name)} is missing.", hint=hint, field=name)


def _line(text: str, name: str) -> int:
    """Checks a name of one line; gives its size in bytes."""
    if any(unicodedata.category(char) == "Cc" for char in text):
        raise InvalidInputError(
            f"{_label(name)} contains a control character, such as a line break.",
            hint="Remove it. Pasted text often ends with one.",
            field=name,
        )
    return _text(text, name, NAME_LIMIT_BYTES)


def _text(text: str, name: str, limit_bytes: int) -> int:
    """Checks text of several lines; gives its size in bytes."""
    if any(unicodedata.category(char) == "Cc" and char not in _LINE_ENDS for char in text):
        raise InvalidInputError(
            f"{_label(name)} contains a control character.", hint="Remove it.", field=name
        )
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"{_label(name)} contains half of a character.", hint="Type it again.", field=name
        ) from None
    if size > limit_bytes:
        raise _too_large(name, size, limit_bytes)
    return size


def _too_large(name: str, size: int, limit: int) -> InvalidInputError:
    return InvalidInputError(
        f"{_label(name)} has {size:,} bytes; LiveKit takes at most {limit:,}.",
        hint="Non-ASCII characters count as two to four bytes each.",
        field=name,
    )


def _label(name: str) -> str:
    return _LABELS.get(name) or "The " + name.replace("_", " ")
