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
            "Missing identity. LiveKit requires one to join.",
            "Use a unique identity for each participant. A second participant with the same "
            "identity disconnects the first.",
        )
    if says.identity.startswith(AGENT_PREFIX) and holder is not Holder.AGENT:
        yield warning(
            "identity_like_agent",
            "identity",
            f"LiveKit uses identities that start with “{AGENT_PREFIX}” for agents.",
            "Choose another identity.",
        )
    ours = says.identity.startswith(OBSERVER_PREFIX)
    if ours and not (holder is Holder.OBSERVER and says.grants.hidden):
        yield warning(
            "identity_like_observer",
            "identity",
            f"Switchboard uses identities that start with “{OBSERVER_PREFIX}” for hidden "
            "observers. It doesn't show or count them.",
            "Choose another identity.",
        )
    if says.kind != TokenKind.STANDARD and subject.outside:
        yield warning(
            "kind",
            "kind",
            f"A user would join as “{says.kind}” and look like a program to others.",
            "Choose the kind “standard”.",
        )


def _where(subject: Subject) -> Iterator[Finding]:
    says = subject.says
    if says.grants.room_join and not says.room.strip():
        yield danger(
            "no_room",
            "room",
            "Missing room. Older LiveKit servers let the holder join any room; livekit-server "
            "1.13.5 rejects the token.",
            "Enter the room.",
        )


def _how_long(subject: Subject) -> Iterator[Finding]:
    if subject.lifetime is None:
        yield danger(
            "no_expiry",
            "ttl",
            "The token never expires: livekit-server accepts it as long as its API key exists.",
            "Create a token that expires. To revoke this one, replace the API key.",
        )
    elif subject.lifetime > _LONG:
        rate = danger if subject.lifetime > _VERY_LONG else warning
        yield rate(
            "long_life",
            "ttl",
            f"The token is valid for {_days(subject.lifetime)}, and can't be revoked.",
            "Minutes are enough: the time limits joining, not the length of the call.",
        )
    if subject.begins_at is not None and subject.begins_at > subject.now + LEEWAY:
        yield warning(
            "not_yet_valid",
            "ttl",
            "The token is not valid yet.",
            "If you expected a valid token, the clock of its issuer is ahead.",
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
            f"Possible password or key in {_PLACES[field]}. A token is signed, not encrypted: its "
            "holder can read it, and participants can read metadata and attributes.",
            "Keep it on the server, and use an ID here instead.",
        )
    if subject.holder is not Holder.AGENT and any(key.startswith("lk.") for key in says.attributes):
        yield warning(
            "reserved_attribute",
            "attributes",
            "Attributes that start with “lk.” are reserved for LiveKit: agents publish their state there.",
            "Choose other names.",
        )
    if subject.size_bytes > _URL_BYTES:
        yield notice(
            "large",
            "metadata",
            f"The token has about {subject.size_bytes / 1000:,.0f} kB. It is sent in a URL, and "
            "many proxies limit URLs to 8 kB.",
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
            "If the holder creates the room, it is recorded from the start.",
            "Tell all participants.",
        )
    if says.room_config is None:
        return
    if not says.grants.room_join:
        yield notice(
            "config_unused",
            "room_config",
            "The room configuration has no effect: it applies only when the holder joins.",
            "Allow joining, or remove it.",
        )
    elif says.room_config.agents:
        names = ", ".join(agent.agent_name or "(no name)" for agent in says.room_config.agents[:5])
        yield notice(
            "config_dispatches",
            "room_config.agents",
            f"If the holder creates the room, LiveKit dispatches: {names}.",
            "This has no effect if the room is already open.",
        )


def _weak_secret(subject: Subject) -> Iterator[Finding]:
    for key, secret in subject.secrets.items():
        value = secret.get_secret_value()
        if value in _KNOWN_PAIRS or key in _KNOWN_PAIRS:
            yield danger(
                "weak_secret",
                "",
                "The API key and secret are those of livekit-server's development mode. Anyone can "
                "create valid tokens.",
                "Set a random API key and secret in LiveKit and here.",
            )
        elif len(value) < _SECRET_CHARS:
            yield danger(
                "weak_secret",
                "",
                f"The API secret has only {len(value)} characters. It can be guessed from one token "
                "and then signs any token.",
                f"Set a random secret of at least {_SECRET_CHARS} characters in LiveKit and here.",
            )


RULES: Final[tuple[Rule, ...]] = (
    _who,
    _where,
    _how_long,
    _what_it_carries,
    _room_config,
    _weak_secret,
)
