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

_ON_THE_SERVER: Final = "Do this on your server, and remove this permission."


def _rooms(subject: Subject) -> Iterator[Finding]:
    grants, room = subject.grants, subject.says.room
    if grants.room_admin and not room:
        yield notice(
            "room_admin_without_room",
            "room_admin",
            "Room administration has no effect without a room.",
            "Enter the room, or remove the permission.",
        )
    if subject.holder is Holder.SERVER:
        return
    rate = danger if subject.outside else warning
    if grants.room_admin and room:
        yield rate(
            "room_admin",
            "room_admin",
            "The holder can mute and remove all participants and change their permissions, "
            "including their own.",
            _ON_THE_SERVER,
        )
    if grants.room_create:
        yield rate(
            "room_create",
            "room_create",
            "The holder can create any number of rooms and delete any room.",
            "Joining doesn't need it: LiveKit creates the room when the first participant joins.",
        )
    if grants.room_list:
        yield warning(
            "room_list",
            "room_list",
            "The holder can read the names and metadata of all rooms.",
            _ON_THE_SERVER,
        )
    if grants.room_record:
        yield rate(
            "room_record",
            "room_record",
            "The holder can record any room to any destination.",
            _ON_THE_SERVER,
        )


_NOT_FOR_OUTSIDE: Final = (
    (danger, "ingress_admin", "ingress_admin", "see, change and delete every ingress, stream keys included"),
    (danger, "sip", "sip_admin", "see and change your SIP trunks and dispatch rules"),
    (danger, "sip", "sip_call", "make phone calls at your cost"),
    (danger, "inference", "inference_perform", "use the models of LiveKit Cloud at your cost"),
    (warning, "observability", "observability_write", "write false traces into your observability data"),
    (danger, "cloud_agents", "agent_admin", "create, change and delete your agents at LiveKit Cloud"),
    (danger, "cloud_agents", "agent_simulation_admin", "manage simulations at LiveKit Cloud"),
    (danger, "cloud_agents", "agent_database_admin", "access the databases of your agents at LiveKit Cloud"),
    (danger, "cloud_agents", "agent_dispatch_admin", "manage the queue of agent dispatches at LiveKit Cloud"),
    (warning, "agent_endpoint", "agent_endpoint_call", "call the non-public HTTP endpoints of your agents"),
    (danger, "agent_thread", "agent_thread_all", "access the stored conversations of all agents"),
    (warning, "agent_thread", "agent_thread_list", "list stored conversations of agents"),
    (warning, "agent_thread", "agent_thread_create", "create stored conversations of agents"),
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
            "The holder can register as an agent worker and receive jobs from all rooms.",
            "Only workers need this permission, and they create their own tokens.",
        )
    elif grants.agent and subject.holder is Holder.AGENT and grants.room_join:
        yield notice(
            "agent_grant_in_room",
            "agent",
            "The kind “agent” is enough to join one room as an agent. This permission also lets "
            "the holder register as a worker.",
            "Remove it.",
        )
    if grants.can_manage_agent_session and subject.outside:
        yield danger(
            "manage_agent_session",
            "can_manage_agent_session",
            "The holder can control the agent's session: read its instructions and conversation, "
            "and add messages to it.",
            "Remove it. Operators see the session on its page.",
        )
    reaches_agent = grants.room_join and grants.can_publish_data and not grants.hidden
    if reaches_agent and subject.outside and subject.agent_hosts_session is not False:
        known = subject.agent_hosts_session is True
        rate = danger if known else warning
        yield rate(
            "data_to_agent",
            "can_publish_data",
            ("The agent hosts" if known else "An agent built with livekit-agents hosts")
            + " “lk.agent.session” without authentication: anyone who can send data can read the "
            "agent's instructions and add messages to its conversation.",
            "Remove it for untrusted callers (they then can't send text messages), or start the "
            "agent's session with session_host=False.",
        )


def _presence(subject: Subject) -> Iterator[Finding]:
    """How the holder shows in the room."""
    grants = subject.grants
    if grants.hidden and subject.holder is not Holder.OBSERVER:
        rate = danger if subject.holder is Holder.PERSON else warning
        yield rate(
            "hidden",
            "hidden",
            "Participants can't see that the holder listens.",
            "Only observers need it. A hidden participant keeps the room open and counts as a participant.",
        )
    if grants.hidden and grants.room_join and grants.can_publish:
        yield warning(
            "hidden_publish",
            "can_publish",
            "Hidden, but can publish: others could hear a participant that they can't see.",
            "Observers don't publish. Remove the permission to publish.",
        )
    if grants.hidden and grants.room_join and grants.can_publish_data:
        yield danger(
            "hidden_data",
            "can_publish_data",
            "Data from a hidden participant has no sender, like data from your server. The holder "
            "can impersonate your server.",
            "Remove the permission to send data.",
        )
    if grants.recorder:
        rate = warning if subject.outside else notice
        yield rate(
            "recorder",
            "recorder",
            "The room is marked as recorded while the holder is connected.",
            "LiveKit has deprecated this permission: egress joins with the kind “egress”.",
        )
    if grants.can_update_own_metadata and subject.outside:
        yield warning(
            "own_metadata",
            "can_update_own_metadata",
            "The holder can change their own name, metadata and attributes, also while joining.",
            "Remove it if an agent or your code trusts these values.",
        )
    if grants.can_subscribe_metrics and subject.holder is Holder.PERSON:
        yield notice(
            "metrics",
            "can_subscribe_metrics",
            "The holder receives performance metrics of all participants.",
            "Remove it, unless the browser shows them.",
        )
    if grants.destination_room:
        rate = warning if grants.room_admin else notice
        yield rate(
            "destination_room",
            "destination_room",
            "Together with room administration, the holder can forward or move participants to "
            "another room. The open-source livekit-server doesn't support it.",
            "Remove it, unless you use LiveKit Cloud.",
        )


def _contradictions(subject: Subject) -> Iterator[Finding]:
    """Rights that do not do what they seem to."""
    grants = subject.grants
    if grants.can_publish_sources and not grants.can_publish:
        yield warning(
            "sources_without_publish",
            "can_publish_sources",
            "Sources are selected, but publishing is off: the holder can't publish.",
            "Turn publishing on, or clear the sources.",
        )
    unknown = [name for name in grants.can_publish_sources if name not in set(TrackSource)]
    if unknown and grants.can_publish:
        yield warning(
            "unknown_source",
            "can_publish_sources",
            "LiveKit doesn't know one of the sources, so it allows no track. Names are lowercase.",
            f"Use one of: {', '.join(TrackSource)}.",
        )
    if grants.room_join:
        if not (grants.can_publish or grants.can_subscribe or grants.can_publish_data):
            yield notice(
                "nothing_in_room",
                "can_subscribe",
                "The holder can join, but can't send or receive anything.",
                "Allow at least one of the two.",
            )
    elif not _any_right(subject):
        yield warning(
            "nothing_allowed",
            "room_join",
            "The token has no permissions.",
            "Allow joining a room, or another permission.",
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
