"""What the token form holds in the browser session, and the request that comes of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any, Final

import streamlit as st

from dashboard.tokens.token_grants import SOURCES
from services.errors import InvalidInputError
from services.ids import new_identity
from services.livekit.tokens import (
    PRESETS,
    AgentDispatchSpec,
    Grants,
    Preset,
    RoomConfig,
    TokenRequest,
)

UNITS: Final = {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1), "days": timedelta(1)}
_ADDRESS: Final = "tokens.address"  # the parameters that we know of


def key(name: str) -> str:
    """The widget key of a part of the form."""
    return f"tokens.{name}"


def get(name: str) -> Any:
    """A part's value; None before it was drawn or filled."""
    return st.session_state.get(key(name))


def put(name: str, value: object) -> None:
    """Fill a part, before it is drawn."""
    st.session_state[key(name)] = value


# -- what the form begins with


def seed() -> None:
    """Fill the form at the first visit, and from an address that somebody came by.

    `?room=` names a room, `?preset=` a preset; what is unknown or absent changes nothing.
    """
    said = st.query_params.to_dict()
    if _ADDRESS not in st.session_state:
        _apply("caller")
    elif said == st.session_state[_ADDRESS]:
        return  # our own: the form may be a step ahead of it
    st.session_state[_ADDRESS] = said
    preset, room = said.get("preset", ""), said.get("room")
    if preset in PRESETS and preset != get("preset"):
        _apply(preset)
    if room:
        put("room", room)


def write_address() -> None:
    """Let the address show the form's room and preset, so that it can be shared. Never more."""
    wanted = {"preset": get("preset"), "room": get("room")}
    said = {name: value for name, value in wanted.items() if value}
    st.session_state[_ADDRESS] = said
    if st.query_params.to_dict() != said:
        st.query_params.from_dict(said)


def _apply(name: str) -> None:
    preset = PRESETS[name]
    put("preset", name)
    put("holder", preset.holder)
    put("kind", preset.kind.value)
    if get("identity") in {None, "", get("proposed")}:  # what somebody typed stays
        put("proposed", new_identity(preset.identity_prefix) if preset.joins else "")
        put("identity", get("proposed"))
    put("ttl.unit", "minutes")
    put("ttl", preset.ttl // UNITS["minutes"])
    _apply_rights(preset)


def _apply_rights(preset: Preset) -> None:
    for name, value in asdict(preset.grants).items():
        several = isinstance(value, tuple) and name != "can_publish_sources"
        put(f"grant.{name}", "\n".join(value) if several else _listed(value))


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def preset_chosen() -> None:
    """Bring the chosen preset's rights, holder and time. Who and where stay."""
    _apply(get("preset"))


def rights_back() -> None:
    """Undo what was changed by hand in the rights."""
    _apply_rights(PRESETS[get("preset")])


# -- what comes of it


def grants() -> Grants:
    """The rights as they are chosen now."""
    values: dict[str, Any] = {}
    for field in fields(Grants):
        value = get(f"grant.{field.name}")
        if isinstance(field.default, tuple):
            lines = value.splitlines() if isinstance(value, str) else value or ()
            value = tuple(line for line in lines if line)
        values[field.name] = field.default if value is None else value
    # The order of choosing means nothing.
    values["can_publish_sources"] = tuple(s for s in SOURCES if s in values["can_publish_sources"])
    return Grants(**values)


def request(grants: Grants) -> TokenRequest:
    """What the whole form asks for, with these rights.

    Raises:
        InvalidInputError: a line of the attributes cannot be read.
    """
    return TokenRequest(
        identity=get("identity") or "",
        name=get("name") or "",
        room=get("room") or "",
        ttl=(get("ttl") or 0) * UNITS[get("ttl.unit")],
        metadata=get("metadata") or "",
        attributes=attributes_in(get("attributes") or ""),
        kind=get("kind"),
        grants=grants,
        room_config=_config(get("config.agents") or ()) if get("config") else None,
    )


def _config(agents: Iterable[str]) -> RoomConfig:
    metadata = get("config.agent_metadata") or ""
    return RoomConfig(
        name=get("config.name") or "",
        empty_timeout_s=get("config.empty_timeout_s") or 0,
        departure_timeout_s=get("config.departure_timeout_s") or 0,
        max_participants=get("config.max_participants") or 0,
        metadata=get("config.metadata") or "",
        agents=tuple(AgentDispatchSpec(agent_name=name, metadata=metadata) for name in agents),
    )


def attributes_in(text: str) -> dict[str, str]:
    """Attributes from lines of `name=value`; empty lines are left out.

    Raises:
        InvalidInputError: a line has no `=`, or a name comes twice.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, sign, value = line.partition("=")
        name = name.strip()
        if not sign or not name:
            raise InvalidInputError(
                f"Line {number} of the attributes is not of the form name=value.",
                hint="Write one attribute per line.",
                field="attributes",
            )
        if name in found:
            raise InvalidInputError(
                f"Line {number} of the attributes repeats a name.",
                hint="Remove one of the two lines.",
                field="attributes",
            )
        found[name] = value.strip()
    return found
