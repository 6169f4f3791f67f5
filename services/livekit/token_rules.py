"""Rules of the token lint about everything but rights: who, where, how long, with what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from services.ids import OBSERVER_PREFIX
from services.livekit.token_decode import LEEWAY
from services.livekit.token_findings import Finding, Rule, Subject, danger, notice, warning
from services.livekit.token_presets import Holder
from services.livekit.token_request import TokenKind

AGENT_PREFIX: Final = "agent-"  # identities of livekit-agents: agent-<job id>
_LONG: Final = timedelta(days=1)
_VERY_LONG: Final = timedelta(days=7)
_SECRET_CHARS: Final = 32  # HS256 wants a key of 256 bits (RFC 7518, 3.2)
_KNOWN_PAIRS: Final = frozenset({"devkey", "secret"})  # what livekit-server --dev uses
_URL_BYTES: Final = 7_000

_NAMED_SECRET: Final = re.compile(
    r"""(?:password|passwd|secret|credentials?|api[_-]?key|access[_-]?key|private[_-]?key|token)
        ["']?\s*[:=]\s*["']?(?!\d+\b)[^\s"',}]{6,}""",
    re.I | re.X,
)
_SHAPED_SECRET: Final = re.compile(
    r"""-----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY   # PEM
      | (?<![\w-])eyJ[\w-]{8,}\.eyJ       # a token; not \b, which would make it quadratic
      | \bsk-[\w-]{16,}                     # keys of model providers
      | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b       # keys of a cloud
      | \bgh[pousr]_[A-Za-z0-9]{20,}        # keys of a code host
      | \bxox[abprs]-[\w-]{10,}             # keys of a chat
      | ://[^\s/:@]+:[^\s/@]{3,}@           # a password in a URL
    """,
    re.X,
)


def _who(subject: Subject) -> Iterator[Finding]:
    says, holder = subject.says, subject.holder
    if says.grants.room_join and not says.identity.strip():
        yield warning(
            "no_identity",
            "identity",
            "Nobody is named: LiveKit lets nobody join without an identity.",
            "Give each participant an identity of their own; a second one with the same "
            "identity puts the first one out.",
        )
    if says.identity.startswith(AGENT_PREFIX) and holder is not Holder.AGENT:
        yield warning(
            "identity_like_agent",
            "identity",
            f"An identity that begins with “{AGENT_PREFIX}” is taken for an agent's.",
            "Choose another one.",
        )
    ours = says.identity.startswith(OBSERVER_PREFIX)
    if ours and not (holder is Holder.OBSERVER and says.grants.hidden):
        yield warning(
            "identity_like_observer",
            "identity",
            f"An identity that begins with “{OBSERVER_PREFIX}” is one of our hidden observers: "
            "this dashboard counts and shows it nowhere.",
            "Choose another one.",
        )
    if says.kind != TokenKind.STANDARD and subject.outside:
        yield warning(
            "kind",
            "kind",
            f"The holder joins as “{says.kind}”: others take a person for a machine.",
            "Choose the kind “standard”.",
        )


def _where(subject: Subject) -> Iterator[Finding]:
    says = subject.says
    if says.grants.room_join and not says.room.strip():
        yield danger(
            "no_room",
            "room",
            "No room is named: older LiveKit servers let the holder join any room with it, and "
            "livekit-server 1.13.5 lets them join none.",
            "Name the room.",
        )


def _how_long(subject: Subject) -> Iterator[Finding]:
    if subject.lifetime is None:
        yield danger(
            "no_expiry",
            "ttl",
            "The token never ends: livekit-server takes it for as long as its key exists.",
            "Make a new one with an end. To stop this one, the key must be replaced.",
        )
    elif subject.lifetime > _LONG:
        rate = danger if subject.lifetime > _VERY_LONG else warning
        yield rate(
            "long_life",
            "ttl",
            f"The token is valid for {_days(subject.lifetime)}, and LiveKit cannot take it back.",
            "Minutes are enough: the time counts for joining, not for staying.",
        )
    if subject.begins_at is not None and subject.begins_at > subject.now + LEEWAY:
        yield warning(
            "not_yet_valid",
            "ttl",
            "The token is not valid yet.",
            "If that is not meant, the clock of whoever made it is ahead.",
        )


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:,.0f} days" if days >= 2 else f"{span / timedelta(hours=1):.0f} hours"


def _what_it_carries(subject: Subject) -> Iterator[Finding]:
    says = subject.says
    carried = [("metadata", says.metadata)]
    carried += [("attributes", f"{key}={value}") for key, value in says.attributes.items()]
    if says.room_config is not None:
        carried.append(("room_config.metadata", says.room_config.metadata))
        carried += [("room_config.agents", agent.metadata) for agent in says.room_config.agents]
    carried.append(("room_config", subject.egress))
    for field in dict.fromkeys(name for name, text in carried if _holds_secret(text)):
        yield danger(
            "secret_inside",
            field,
            f"What looks like a password or a key stands in {_PLACES[field]}. A token is signed, "
            "not encrypted: its holder can read it, and the room reads metadata and attributes.",
            "Keep it on the server, and put an id here that stands for it.",
        )
    if subject.holder is not Holder.AGENT and any(key.startswith("lk.") for key in says.attributes):
        yield warning(
            "reserved_attribute",
            "attributes",
            "Attributes that begin with “lk.” are LiveKit's own: agents tell their state there.",
            "Choose other names.",
        )
    if subject.size_bytes > _URL_BYTES:
        yield notice(
            "large",
            "metadata",
            f"The token has about {subject.size_bytes / 1000:,.0f} kB. It travels in an address, "
            "and many proxies take no more than 8 kB there.",
            "Keep metadata and attributes short.",
        )


_PLACES: Final = {
    "metadata": "the metadata",
    "attributes": "the attributes",
    "room_config": "the recording settings",
    "room_config.metadata": "the metadata of the room",
    "room_config.agents": "the metadata for the agent",
}


def _holds_secret(text: str) -> bool:
    return bool(_NAMED_SECRET.search(text) or _SHAPED_SECRET.search(text))


def _room_config(subject: Subject) -> Iterator[Finding]:
    says = subject.says
    if subject.egress:
        yield warning(
            "config_records",
            "room_config",
            "A room that the holder opens is recorded from the start.",
            "Everybody in it should know.",
        )
    if says.room_config is None:
        return
    if not says.grants.room_join:
        yield notice(
            "config_unused",
            "room_config",
            "The room configuration does nothing: it counts only when the holder joins.",
            "Allow joining, or leave it out.",
        )
    elif says.room_config.agents:
        names = ", ".join(agent.agent_name or "(no name)" for agent in says.room_config.agents[:5])
        yield notice(
            "config_dispatches",
            "room_config.agents",
            f"If the holder opens the room, LiveKit asks for an agent by itself: {names}.",
            "It does nothing when the room is open already.",
        )


def _weak_secret(subject: Subject) -> Iterator[Finding]:
    for key, secret in subject.secrets.items():
        value = secret.get_secret_value()
        if value in _KNOWN_PAIRS or key in _KNOWN_PAIRS:
            yield danger(
                "weak_secret",
                "",
                "The key pair is that of livekit-server's development mode: everybody knows it, "
                "and can make any token.",
                "Set a random key and secret at LiveKit and here.",
            )
        elif len(value) < _SECRET_CHARS:
            yield danger(
                "weak_secret",
                "",
                f"The secret has {len(value)} characters: whoever holds one token can guess it, "
                "and then make any token.",
                f"Set a random one of at least {_SECRET_CHARS} characters at LiveKit and here.",
            )


RULES: Final[tuple[Rule, ...]] = (
    _who,
    _where,
    _how_long,
    _what_it_carries,
    _room_config,
    _weak_secret,
)
