"""The usual tokens: for whom, and with which rights."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from services.ids import OBSERVER_PREFIX
from services.livekit.grants import Grants, TrackSource
from services.livekit.token_request import TokenKind


class Holder(StrEnum):
    """Whose hands a token is made for. The lint judges by it."""

    PERSON = "person"  # in a browser or an app: whatever it may do, the person may do
    AGENT = "agent"
    OBSERVER = "observer"
    SERVER = "server"  # a program of one's own, out of everybody's sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A token for one purpose. `identity_prefix` begins the identity that a form proposes."""

    name: str
    title: str
    description: str
    holder: Holder
    grants: Grants
    ttl: timedelta
    kind: TokenKind = TokenKind.STANDARD
    identity_prefix: str

    @property
    def joins(self) -> bool:
        return self.grants.room_join


_ALL: Final = (
    Preset(
        name="caller",
        title="Caller",
        description=(
            "Talks with the agent: publishes the microphone and subscribes to audio. "
            "Text messages require the permission to send data."
        ),
        holder=Holder.PERSON,
        # No data: whoever may send it reaches the agent's own control channel
        # (`lk.agent.session`), which asks nobody who they are. Typed messages (`lk.chat`)
        # travel the same way, so they are a choice to be made, not a default.
        grants=Grants(
            room_join=True,
            can_publish_sources=(TrackSource.MICROPHONE,),
            can_publish_data=False,
        ),
        ttl=timedelta(minutes=15),
        identity_prefix="caller",
    ),
    Preset(
        name="listener",
        title="Listener",
        description="Sees and hears the room and is visible, but can't publish.",
        holder=Holder.PERSON,
        grants=Grants(room_join=True, can_publish=False, can_publish_data=False),
        ttl=timedelta(minutes=15),
        identity_prefix="listener",
    ),
    Preset(
        name="agent",
        title="Agent",
        description=(
            "Joins as an agent without LiveKit's dispatch: publishes, subscribes, sends data and "
            "sets its state. Workers create their own tokens."
        ),
        holder=Holder.AGENT,
        # Not the grant `agent`: it would let the holder register as a worker and be given jobs
        # of every room (livekit-server pkg/service/agentservice.go@v1.13.5); the kind is enough.
        grants=Grants(room_join=True, can_update_own_metadata=True),
        ttl=timedelta(hours=1),
        kind=TokenKind.AGENT,
        identity_prefix="agent",
    ),
    Preset(
        name="observer",
        title="Observer",
        description=(
            "Hidden, for quality assurance: subscribes, but can't publish or send data. Counts as a "
            "participant and keeps the room open."
        ),
        holder=Holder.OBSERVER,
        grants=Grants(room_join=True, can_publish=False, can_publish_data=False, hidden=True),
        ttl=timedelta(minutes=15),
        identity_prefix=OBSERVER_PREFIX.rstrip("-"),
    ),
    Preset(
        name="admin",
        title="Admin",
        description=(
            "For a program on your server: lists, creates and ends rooms, and administers the room "
            "that it names. Doesn't join. Never send it to a browser."
        ),
        holder=Holder.SERVER,
        grants=Grants(
            room_create=True,
            room_list=True,
            room_admin=True,
            can_publish=False,
            can_subscribe=False,
            can_publish_data=False,
        ),
        ttl=timedelta(minutes=10),
        identity_prefix="admin",
    ),
)
PRESETS: Final = MappingProxyType({preset.name: preset for preset in _ALL})
"""By name, in the order in which to offer them."""
