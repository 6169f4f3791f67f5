"""Every right that a LiveKit access token can hold, and its place in the token's claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

from livekit.api import access_token as lk


class TrackSource(StrEnum):
    """What a track shows or carries, in LiveKit's own words."""

    CAMERA = "camera"
    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """All rights, flat. The room that the video rights are about is `TokenRequest.room`.

    Names are those of livekit-api 1.2.2 (`livekit/api/access_token.py`), with the section in
    front of those that are not video grants. The `agent_…` rights, except `agent` itself, and
    `inference_…` and `observability_…` mean something to LiveKit Cloud only; livekit-server
    1.13.5 does not know `agentEndpoint` and `agentThread`
    (livekit/protocol auth/grants.go@v1.50.5).
    """

    room_create: bool = False  # also deletes rooms
    room_list: bool = False
    room_record: bool = False
    room_admin: bool = False
    room_join: bool = False
    destination_room: str = ""
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: tuple[str, ...] = ()  # empty: every source, as far as can_publish goes
    can_update_own_metadata: bool = False
    ingress_admin: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False
    can_manage_agent_session: bool = False
    can_subscribe_metrics: bool = False

    sip_admin: bool = False
    sip_call: bool = False

    inference_perform: bool = False

    observability_write: bool = False

    agent_admin: bool = False
    agent_simulation_admin: bool = False
    agent_database_admin: bool = False
    agent_dispatch_admin: bool = False

    agent_endpoint_call: bool = False
    agent_endpoint_agent_name: str = ""
    agent_endpoint_deployment: str = ""

    agent_thread_all: bool = False
    agent_thread_scope: str = ""
    agent_thread_thread_ids: tuple[str, ...] = ()
    agent_thread_list: bool = False
    agent_thread_create: bool = False
    agent_thread_write: bool = False
    agent_thread_read: bool = False
    agent_thread_delete: bool = False


# Name of the section in livekit-api's Claims, what our names have in front, livekit-api's class.
SECTIONS: Final = (
    ("video", "", lk.VideoGrants),
    ("sip", "sip_", lk.SIPGrants),
    ("inference", "inference_", lk.InferenceGrants),
    ("observability", "observability_", lk.ObservabilityGrants),
    ("agent", "agent_", lk.AgentGrants),
    ("agent_endpoint", "agent_endpoint_", lk.AgentEndpointGrants),
    ("agent_thread", "agent_thread_", lk.AgentThreadGrants),
)
NOT_A_GRANT: Final = "room"  # stands among the video grants, but says where, not what
# What livekit-server never reads, so that no value there makes it refuse a token.
_UNREAD_SECTIONS: Final = frozenset({"agent_endpoint", "agent_thread"})
_UNREAD: Final = frozenset({"agent_database_admin", "agent_dispatch_admin"})
_ALWAYS_SAID: Final = frozenset({"can_publish", "can_subscribe", "can_publish_data"})
_DEFAULTS: Final[dict[str, Any]] = {f.name: f.default for f in fields(Grants)}


def to_livekit(grants: Grants, room: str) -> dict[str, Any]:
    """The grant sections of livekit-api's `Claims`; those that allow nothing are left out."""
    sections: dict[str, Any] = {}
    for section, prefix, cls in SECTIONS:
        values: dict[str, Any] = {
            f.name: _plain(getattr(grants, prefix + f.name))
            for f in fields(cls)
            if f.name != NOT_A_GRANT
        }
        said = {k: v for k, v in values.items() if v or k in _ALWAYS_SAID}
        if section == "video":
            sections[section] = lk.VideoGrants(room=room, **said)
        elif said:
            sections[section] = cls(**said)
    return sections


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadGrants:
    """Grants as found in a token's claims.

    `ignored`: claims that allow nothing: LiveKit does not know them, or livekit-server does not
    read them and their type is wrong.
    `broken`: claims of a wrong type; livekit-server refuses the whole token for one.
    """

    grants: Grants
    room: str
    ignored: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


def from_claims(claims: Mapping[str, Any]) -> ReadGrants:
    """The rights that livekit-server would see in these claims.

    Go's JSON reader takes keys in any case; what is absent counts as LiveKit counts it:
    `canPublishData` as `canPublish` (livekit/protocol auth/grants.go@v1.50.5).
    """
    values: dict[str, Any] = {}
    ignored: list[str] = []
    broken: list[str] = []
    room = ""
    for section, prefix, cls in SECTIONS:
        name = _camel(section)
        found = claims.get(name)
        if found is None:
            continue
        if not isinstance(found, Mapping):
            (ignored if section in _UNREAD_SECTIONS else broken).append(name)
            continue
        known = {_camel(f.name).lower(): f.name for f in fields(cls)}
        for key, value in found.items():
            field_name = known.get(key.lower())
            if field_name is None:
                ignored.append(f"{name}.{key}")
            elif value is None:
                continue
            elif field_name == NOT_A_GRANT and isinstance(value, str):
                room = value
            elif field_name != NOT_A_GRANT and _fits(value, _DEFAULTS[prefix + field_name]):
                values[prefix + field_name] = tuple(value) if isinstance(value, list) else value
            else:
                unread = section in _UNREAD_SECTIONS or prefix + field_name in _UNREAD
                (ignored if unread else broken).append(f"{name}.{key}")
    values.setdefault("can_publish_data", values.get("can_publish", True))
    return ReadGrants(
        grants=Grants(**values), room=room, ignored=tuple(ignored), broken=tuple(broken)
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _fits(value: object, default: object) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list) and all(isinstance(part, str) for part in value)
    return type(value) is type(default)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
