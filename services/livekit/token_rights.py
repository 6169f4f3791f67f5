"""Rules of the token lint about rights: what the holder could do with them.

What livekit-server does with each right was read in its pkg/service/auth.go, roomservice.go,
egress.go, agentservice.go and pkg/rtc/participant.go@v1.13.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from services.livekit.grants import TrackSource
from services.livekit.token_findings import Finding, Rule, Subject, danger, notice, warning
from services.livekit.token_presets import Holder

_ON_THE_SERVER: Final = "Let a program on your server do that, and leave this right out."


def _rooms(subject: Subject) -> Iterator[Finding]:
    grants, room = subject.grants, subject.says.room
    if grants.room_admin and not room:
        yield notice(
            "room_admin_without_room",
            "room_admin",
            "Room admin without a room does nothing: the right is for the one room it names.",
            "Name the room, or leave the right out.",
        )
    if subject.holder is Holder.SERVER:
        return
    rate = danger if subject.outside else warning
    if grants.room_admin and room:
        yield rate(
            "room_admin",
            "room_admin",
            "The holder can mute and remove everybody in the room and change anybody's rights, "
            "also their own.",
            _ON_THE_SERVER,
        )
    if grants.room_create:
        yield rate(
            "room_create",
            "room_create",
            "The holder can open rooms without end, and delete any room with everybody in it.",
            "Joining needs no such right: LiveKit opens the room for the first one in it.",
        )
    if grants.room_list:
        yield warning(
            "room_list",
            "room_list",
            "The holder can read the names and the metadata of all rooms.",
            _ON_THE_SERVER,
        )
    if grants.room_record:
        yield rate(
            "room_record",
            "room_record",
            "The holder can record any room, and send the recording anywhere.",
            _ON_THE_SERVER,
        )


_NOT_FOR_OUTSIDE: Final = (
    (danger, "ingress_admin", "ingress_admin", "see, change and delete every ingress, stream keys included"),
    (danger, "sip", "sip_admin", "see and change your telephone trunks and where calls go"),
    (danger, "sip", "sip_call", "make telephone calls at your cost"),
    (danger, "inference", "inference_perform", "use the models of LiveKit Cloud at your cost"),
    (warning, "observability", "observability_write", "write false traces into your observability data"),
    (danger, "cloud_agents", "agent_admin", "create, change and delete your agents at LiveKit Cloud"),
    (danger, "cloud_agents", "agent_simulation_admin", "manage simulations at LiveKit Cloud"),
    (danger, "cloud_agents", "agent_database_admin", "reach the databases of your agents at LiveKit Cloud"),
    (danger, "cloud_agents", "agent_dispatch_admin", "manage the queue of agent dispatches at LiveKit Cloud"),
    (warning, "agent_endpoint", "agent_endpoint_call", "call the non-public HTTP endpoints of your agents"),
    (danger, "agent_thread", "agent_thread_all", "reach the stored conversations of all agents"),
    (warning, "agent_thread", "agent_thread_list", "list stored conversations of agents"),
    (warning, "agent_thread", "agent_thread_create", "begin stored conversations of agents"),
    (warning, "agent_thread", "agent_thread_write", "write into stored conversations of agents"),
    (warning, "agent_thread", "agent_thread_read", "read stored conversations of agents"),
    (warning, "agent_thread", "agent_thread_delete", "delete stored conversations of agents"),
)  # fmt: skip


def _machinery(subject: Subject) -> Iterator[Finding]:
    """Rights over things beside rooms, which no browser needs."""
    if not subject.outside:
        return
    for rate, code, right, can in _NOT_FOR_OUTSIDE:
        if getattr(subject.grants, right):
            yield rate(code, right, f"The holder can {can}.", _ON_THE_SERVER)


def _agents(subject: Subject) -> Iterator[Finding]:
    grants = subject.grants
    if grants.agent and subject.outside:
        yield danger(
            "agent_grant",
            "agent",
            "The holder can register as an agent worker, and LiveKit would give it calls of "
            "every room.",
            "Only workers need this right, and they make their own tokens.",
        )
    elif grants.agent and subject.holder is Holder.AGENT and grants.room_join:
        yield notice(
            "agent_grant_in_room",
            "agent",
            "To take part in one room as an agent the kind “agent” is enough; this right also "
            "lets the holder register as a worker.",
            "Leave it out.",
        )
    if grants.can_manage_agent_session and subject.outside:
        yield danger(
            "manage_agent_session",
            "can_manage_agent_session",
            "The holder may take the agent's session over: read its instructions and the "
            "conversation, and put words into it.",
            "Leave it out; the room's page shows the session to operators.",
        )
    reaches_agent = grants.room_join and grants.can_publish_data and not grants.hidden
    if reaches_agent and subject.outside and subject.agent_hosts_session is not False:
        known = subject.agent_hosts_session is True
        rate = danger if known else warning
        yield rate(
            "data_to_agent",
            "can_publish_data",
            ("The agent hosts" if known else "An agent made with livekit-agents hosts")
            + " “lk.agent.session”, which asks nobody who they are: whoever can send data can "
            "read its instructions and put words into the conversation.",
            "Leave it out for callers you do not trust (then they cannot type to the agent), or "
            "start the agent's session with session_host=False.",
        )


def _presence(subject: Subject) -> Iterator[Finding]:
    """How the holder shows in the room."""
    grants = subject.grants
    if grants.hidden and subject.holder is not Holder.OBSERVER:
        rate = danger if subject.holder is Holder.PERSON else warning
        yield rate(
            "hidden",
            "hidden",
            "Nobody in the room would see that the holder listens.",
            "Only an observer needs this. It also keeps the room open and takes a place in it.",
        )
    if grants.hidden and grants.room_join and grants.can_publish:
        yield warning(
            "hidden_publish",
            "can_publish",
            "Hidden, and may publish: others could hear somebody they cannot see.",
            "An observer has nothing to publish: leave it out.",
        )
    if grants.hidden and grants.room_join and grants.can_publish_data:
        yield danger(
            "hidden_data",
            "can_publish_data",
            "Data from a hidden participant carries no sender, exactly like data from your "
            "server: it can be forged with this token.",
            "Leave the right to send data out.",
        )
    if grants.recorder:
        rate = warning if subject.outside else notice
        yield rate(
            "recorder",
            "recorder",
            "The room is marked as being recorded while the holder is in it.",
            "LiveKit has given this right up: its own egress joins with the kind “egress”.",
        )
    if grants.can_update_own_metadata and subject.outside:
        yield warning(
            "own_metadata",
            "can_update_own_metadata",
            "The holder can change their own name, metadata and attributes, while joining too.",
            "Leave it out where an agent or your own code believes what stands there.",
        )
    if grants.can_subscribe_metrics and subject.holder is Holder.PERSON:
        yield notice(
            "metrics",
            "can_subscribe_metrics",
            "The holder is sent timing figures of everybody in the room.",
            "Leave it out, unless the browser shows them.",
        )
    if grants.destination_room:
        rate = warning if grants.room_admin else notice
        yield rate(
            "destination_room",
            "destination_room",
            "Participants may be forwarded or moved to another room, together with room admin. "
            "The open-source livekit-server does not do it.",
            "Leave it out, unless you use LiveKit Cloud.",
        )


def _contradictions(subject: Subject) -> Iterator[Finding]:
    """Rights that do not do what they seem to."""
    grants = subject.grants
    if grants.can_publish_sources and not grants.can_publish:
        yield warning(
            "sources_without_publish",
            "can_publish_sources",
            "Sources are chosen, but publishing is off: the holder can publish nothing.",
            "Switch publishing on, or choose no sources.",
        )
    unknown = [name for name in grants.can_publish_sources if name not in set(TrackSource)]
    if unknown and grants.can_publish:
        yield warning(
            "unknown_source",
            "can_publish_sources",
            "A source is named that LiveKit does not know, so it allows nothing. It reads these "
            "names in small letters only.",
            f"Known are {', '.join(TrackSource)}.",
        )
    if grants.room_join:
        if not (grants.can_publish or grants.can_subscribe or grants.can_publish_data):
            yield notice(
                "nothing_in_room",
                "can_subscribe",
                "The holder can join, but neither send nor receive anything.",
                "Allow at least one of them.",
            )
    elif not _any_right(subject):
        yield warning(
            "nothing_allowed",
            "room_join",
            "The token allows nothing.",
            "Allow joining a room, or one of the other rights.",
        )


_IN_A_ROOM: Final = frozenset(
    {
        "can_publish",
        "can_subscribe",
        "can_publish_data",
        "can_publish_sources",
        "can_update_own_metadata",
        "can_subscribe_metrics",
        "can_manage_agent_session",
        "hidden",
        "recorder",
        "destination_room",
        "agent_endpoint_agent_name",
        "agent_endpoint_deployment",
        "agent_thread_scope",
        "agent_thread_thread_ids",
    }
)


def _any_right(subject: Subject) -> bool:
    rights = {field.name for field in fields(subject.grants)} - _IN_A_ROOM
    return any(getattr(subject.grants, right) for right in rights)


RIGHTS: Final[tuple[Rule, ...]] = (_rooms, _machinery, _agents, _presence, _contradictions)
