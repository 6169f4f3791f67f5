"""Identifiers: ours are time-ordered (UUIDv7), so that they sort by age."""

from __future__ import annotations

import re
from typing import Final, NewType

import uuid_utils

SessionId = NewType("SessionId", str)
"""`ses_` + 32 hex digits. Also the LangGraph thread id of the session."""

RoomName = NewType("RoomName", str)
"""A LiveKit room's name. Ours are never used twice."""

OBSERVER_PREFIX: Final = "switchboard-observer-"
"""Identities of our own hidden observers begin so; they are left out of every count."""

DOCTOR_PREFIX: Final = "switchboard-doctor"
"""Rooms and identities of the doctor's own checks begin so; no session is made of them."""

_UUID_AT_END = re.compile(r"-([0-9a-f]{32})\Z")
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]+")


def new_session_id() -> SessionId:
    """A new session id, later than all before it on this machine."""
    return SessionId(f"ses_{uuid_utils.uuid7().hex}")


def new_event_id() -> str:
    """`evt_` + UUIDv7: the id of an event that we made ourselves."""
    return f"evt_{uuid_utils.uuid7().hex}"


def new_command_id() -> str:
    """`cmd_` + UUIDv7: the id of a command to an agent."""
    return f"cmd_{uuid_utils.uuid7().hex}"


def new_audit_id() -> str:
    """`aud_` + UUIDv7: the id of an entry of the audit log, later than all before it."""
    return f"aud_{uuid_utils.uuid7().hex}"


def new_key_id() -> str:
    """`key_` + UUIDv7: the id of an API key; its secret is something else."""
    return f"key_{uuid_utils.uuid7().hex}"


def new_alert_id() -> str:
    """`alt_` + UUIDv7: the id of an alert."""
    return f"alt_{uuid_utils.uuid7().hex}"


def room_name_for(session_id: SessionId, prefix: str) -> RoomName:
    """`<prefix>-<the session's UUID>`: a name that no room had before and none will have again.

    LiveKit can hand a deleted room's id to a room that comes back under its name
    within about 30 s, and then puts people out of it: names are not reused.
    """
    clean = _NOT_IN_A_NAME.sub("-", prefix).strip("-")[:64] or "room"
    return RoomName(f"{clean}-{session_id.removeprefix('ses_')}")


def session_id_in(room_name: str) -> SessionId | None:
    """The session that a name made by `room_name_for` belongs to."""
    found = _UUID_AT_END.search(room_name)
    return SessionId(f"ses_{found[1]}") if found else None


def new_identity(prefix: str) -> str:
    """`<prefix>-<8 hex digits>`: a participant identity for one join."""
    clean = _NOT_IN_A_NAME.sub("-", prefix).strip("-")[:64] or "guest"
    return f"{clean}-{uuid_utils.uuid7().hex[-8:]}"


def is_session_id(text: str) -> bool:
    """Whether `text` has the form of a session id."""
    return re.fullmatch(r"ses_[0-9a-f]{32}", text) is not None
