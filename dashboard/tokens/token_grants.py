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
    TrackSource.SCREEN_SHARE: "Screen",
    TrackSource.SCREEN_SHARE_AUDIO: "Sound of the screen",
}

_R = Permission
GROUPS: Final = (
    Group(
        name="room",
        title="In the room",
        icon=":material/meeting_room:",
        rights=(
            _R(name="room_join", label="Join", text="take part in the room named above"),
            _R(
                name="can_subscribe",
                label="Hear and see",
                text="receive what others publish",
                in_room=True,
            ),
            _R(
                name="can_publish",
                label="Publish",
                text="speak, show a camera or a screen",
                in_room=True,
            ),
            _R(
                name="can_publish_data",
                label="Send data",
                text="typed messages, RPC and other data, to agents too",
                in_room=True,
            ),
            _R(
                name="can_update_own_metadata",
                label="Change own metadata",
                text="own name, metadata and attributes",
                in_room=True,
            ),
            _R(
                name="can_subscribe_metrics",
                label="Receive metrics",
                text="timing figures of everybody in the room",
                in_room=True,
            ),
        ),
    ),
    Group(
        name="presence",
        title="How it shows",
        icon=":material/visibility:",
        rights=(
            _R(
                name="hidden",
                label="Hidden",
                text="nobody in the room sees the holder",
                in_room=True,
            ),
            _R(
                name="recorder",
                label="Recorder",
                text="marks the room as being recorded; LiveKit has given this up",
                in_room=True,
            ),
        ),
    ),
    Group(
        name="rooms",
        title="Rule over rooms",
        icon=":material/shield_person:",
        rights=(
            _R(
                name="room_admin",
                label="Moderate",
                text="mute, remove and change the rights of everybody in the room named above",
            ),
            _R(name="room_create", label="Open and delete", text="any room"),
            _R(name="room_list", label="List", text="names and metadata of all rooms"),
            _R(name="room_record", label="Record", text="any room, to anywhere"),
        ),
        texts=(
            Text(
                name="destination_room",
                label="May forward participants to",
                help="A room's name. Works with the right to moderate, at LiveKit Cloud only.",
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
                label="Manage the agent's session",
                text="read its instructions, put words into its conversation",
                in_room=True,
            ),
            _R(name="agent", label="Register as a worker", text="be given jobs of every room"),
        ),
    ),
    Group(
        name="media",
        title="Telephone and streams",
        icon=":material/call:",
        rights=(
            _R(name="sip_call", label="Call", text="telephone numbers, at your cost"),
            _R(name="sip_admin", label="Manage telephony", text="trunks, and where calls go"),
            _R(name="ingress_admin", label="Manage ingress", text="all streams that come in"),
        ),
    ),
    Group(
        name="cloud",
        title="LiveKit Cloud",
        icon=":material/cloud:",
        rights=(
            _R(name="inference_perform", label="Inference", text="speech and language models"),
            _R(name="observability_write", label="Write observability", text="traces and figures"),
            _R(name="agent_admin", label="Manage agents", text="create, change, delete"),
            _R(
                name="agent_simulation_admin",
                label="Manage simulations",
                text="and scenarios, to evaluate agents",
            ),
            _R(
                name="agent_database_admin",
                label="Manage databases",
                text="of the project's agents",
            ),
            _R(
                name="agent_dispatch_admin",
                label="Manage dispatches",
                text="the queue of the project",
            ),
            _R(
                name="agent_endpoint_call",
                label="Call endpoints",
                text="those of agents that are not public",
            ),
            _R(name="agent_thread_all", label="All threads", text="every stored conversation"),
            _R(name="agent_thread_list", label="List threads", text="of the scope below"),
            _R(name="agent_thread_create", label="Create threads", text="in the scope below"),
            _R(name="agent_thread_write", label="Write threads", text="those named below"),
            _R(name="agent_thread_read", label="Read threads", text="those named below"),
            _R(name="agent_thread_delete", label="Delete threads", text="those named below"),
        ),
        texts=(
            Text(
                name="agent_endpoint_agent_name",
                label="Endpoints of the agent",
                help="Empty: every agent of the project.",
            ),
            Text(
                name="agent_endpoint_deployment",
                label="Endpoints of the deployment",
                help="Empty: every deployment.",
            ),
            Text(
                name="agent_thread_scope",
                label="Scope of threads",
                help="In which threads may be listed and created.",
            ),
            Text(
                name="agent_thread_thread_ids",
                label="Threads",
                help="One id on each line.",
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
