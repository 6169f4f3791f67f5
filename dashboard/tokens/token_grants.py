"""Every right of an access token in plain words, in the order in which the form asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.livekit.tokens import Grants, TrackSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A right that is there or not. `name` is its field in `Grants`."""

    name: str
    label: str
    text: str
    in_room: bool = False  # means something only to somebody who joins


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A field of `Grants` that is filled in. `several`: one on each line."""

    name: str
    label: str
    help: str
    several: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rights that belong together, under one heading."""

    name: str
    title: str
    icon: str
    rights: tuple[Permission, ...]
    texts: tuple[Text, ...] = ()


SOURCES: Final = {
    TrackSource.MICROPHONE: "Microphone",
    TrackSource.CAMERA: "Camera",
    TrackSource.SCREEN_SHARE: "Screen share",
    TrackSource.SCREEN_SHARE_AUDIO: "Screen share audio",
}

_R = Permission
GROUPS: Final = (
    Group(
        name="room",
        title="In the room",
        icon=":material/meeting_room:",
        rights=(
            _R(name="room_join", label="Join", text="join the room above"),
            _R(
                name="can_subscribe",
                label="Subscribe",
                text="receive tracks of other participants",
                in_room=True,
            ),
            _R(
                name="can_publish",
                label="Publish",
                text="microphone, camera and screen share",
                in_room=True,
            ),
            _R(
                name="can_publish_data",
                label="Send data",
                text="text messages, RPC and data packets, also to agents",
                in_room=True,
            ),
            _R(
                name="can_update_own_metadata",
                label="Update own metadata",
                text="own name, metadata and attributes",
                in_room=True,
            ),
            _R(
                name="can_subscribe_metrics",
                label="Receive metrics",
                text="performance metrics of all participants",
                in_room=True,
            ),
        ),
    ),
    Group(
        name="presence",
        title="Visibility",
        icon=":material/visibility:",
        rights=(
            _R(
                name="hidden",
                label="Hidden",
                text="not visible to other participants",
                in_room=True,
            ),
            _R(
                name="recorder",
                label="Recorder",
                text="marks the room as recorded (deprecated by LiveKit)",
                in_room=True,
            ),
        ),
    ),
    Group(
        name="rooms",
        title="Room administration",
        icon=":material/shield_person:",
        rights=(
            _R(
                name="room_admin",
                label="Administer room",
                text="mute, remove and change permissions of participants in the room above",
            ),
            _R(name="room_create", label="Create and delete rooms", text="any room"),
            _R(name="room_list", label="List rooms", text="names and metadata of all rooms"),
            _R(name="room_record", label="Record rooms", text="any room, to any destination"),
        ),
        texts=(
            Text(
                name="destination_room",
                label="Destination room",
                help="Participants can be forwarded to this room. Requires room administration; "
                "LiveKit Cloud only.",
            ),
        ),
    ),
    Group(
        name="agents",
        title="Agents",
        icon=":material/smart_toy:",
        rights=(
            _R(
                name="can_manage_agent_session",
                label="Manage agent session",
                text="read the agent's instructions, add messages to its conversation",
                in_room=True,
            ),
            _R(name="agent", label="Register as worker", text="receive jobs from all rooms"),
        ),
    ),
    Group(
        name="media",
        title="Telephony and streaming",
        icon=":material/call:",
        rights=(
            _R(name="sip_call", label="Make phone calls", text="at your cost"),
            _R(name="sip_admin", label="Manage telephony", text="trunks and dispatch rules"),
            _R(name="ingress_admin", label="Manage ingress", text="all incoming streams"),
        ),
    ),
    Group(
        name="cloud",
        title="LiveKit Cloud",
        icon=":material/cloud:",
        rights=(
            _R(name="inference_perform", label="Run inference", text="speech and language models"),
            _R(
                name="observability_write",
                label="Write observability data",
                text="traces and metrics",
            ),
            _R(name="agent_admin", label="Manage agents", text="create, change, delete"),
            _R(
                name="agent_simulation_admin",
                label="Manage simulations",
                text="simulations and scenarios",
            ),
            _R(
                name="agent_database_admin",
                label="Manage databases",
                text="databases of the project's agents",
            ),
            _R(
                name="agent_dispatch_admin",
                label="Manage dispatches",
                text="dispatch queue of the project",
            ),
            _R(
                name="agent_endpoint_call",
                label="Call endpoints",
                text="non-public endpoints of agents",
            ),
            _R(
                name="agent_thread_all", label="Manage all threads", text="all stored conversations"
            ),
            _R(name="agent_thread_list", label="List threads", text="in the scope below"),
            _R(name="agent_thread_create", label="Create threads", text="in the scope below"),
            _R(name="agent_thread_write", label="Write threads", text="the threads below"),
            _R(name="agent_thread_read", label="Read threads", text="the threads below"),
            _R(name="agent_thread_delete", label="Delete threads", text="the threads below"),
        ),
        texts=(
            Text(
                name="agent_endpoint_agent_name",
                label="Endpoint agent name",
                help="Leave empty for all agents of the project.",
            ),
            Text(
                name="agent_endpoint_deployment",
                label="Endpoint deployment",
                help="Leave empty for all deployments.",
            ),
            Text(
                name="agent_thread_scope",
                label="Thread scope",
                help="The scope in which threads can be listed and created.",
            ),
            Text(
                name="agent_thread_thread_ids",
                label="Thread IDs",
                help="One ID per line.",
                several=True,
            ),
        ),
    ),
)


def allowed(grants: Grants, group: Group) -> list[Permission]:
    """The rights of the group that the grants hold and that mean something with them."""
    return [
        right
        for right in group.rights
        if getattr(grants, right.name) and (grants.room_join or not right.in_room)
    ]


def livekit_name(name: str) -> str:
    """The claim that a field of `Grants` becomes, as LiveKit writes it: `canPublishData`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
