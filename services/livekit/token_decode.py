"""Reading an access token that somebody pasted: what it says, and whether it would be believed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote

from google.protobuf.json_format import ParseDict, ParseError
from livekit import api
from pydantic import SecretStr

from services.errors import InvalidInputError
from services.livekit.grants import from_claims
from services.livekit.token_request import AgentDispatchSpec, RoomConfig, TokenKind, TokenRequest

ALGORITHM: Final = "HS256"  # the only one livekit-server takes: protocol auth/verifier.go@v1.50.5
TEXT_LIMIT_BYTES: Final = 64 * 1024
LEEWAY: Final = timedelta(minutes=1)  # what livekit-server allows for clocks that differ, same file

_IN_URL: Final = re.compile(r"(?:^|[?&#;])(?:access_|participant_)?token=([^&#\s]+)", re.I)
_BEARER: Final = re.compile(r"^(?:authorization:)?\s*bearer\s+", re.I)
_TOKEN: Final = re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*", re.A)
_WHOLE: Final = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]*)", re.A)
_TOP_LEVEL: Final = (
    *("identity", "name", "kind", "metadata", "attributes", "sha256", "roomPreset", "roomConfig"),
    *("iss", "sub", "jti", "exp", "nbf", "iat"),
    *("video", "sip", "inference", "observability", "agent", "agentEndpoint", "agentThread"),
)
_EXACT: Final = {name.lower(): name for name in _TOP_LEVEL}
_KNOWN: Final = frozenset(_TOP_LEVEL) | {"aud", "kindDetails"}
_NAMED: Final = 20  # names of unknown claims that are kept
_SHOWN: Final = 256  # characters of a name that the token chose


class Signature(StrEnum):
    """Whether the token was signed with a key that we know."""

    VALID = "valid"
    WRONG = "wrong"  # the key is known, and it did not sign this
    UNKNOWN_KEY = "unknown_key"  # nobody here can tell
    REFUSED = "refused"  # an algorithm that LiveKit does not take


class Validity(StrEnum):
    """How the token stands in time."""

    NOW = "now"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    FOR_EVER = "for_ever"  # livekit-server 1.13.5 takes tokens without an end


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedToken:
    """What a token says. It does not keep the token; `repr` shows no claims.

    `says` is its content as a request would give it; its `ttl` runs from the token's beginning,
    and is zero where beginning or end is not said. `problems` are reasons why LiveKit would
    refuse it, in sentences; `ignored` are claims that LiveKit does not know.
    """

    says: TokenRequest = field(repr=False)
    issuer: str  # the API key that it names
    signature: Signature
    algorithm: str
    issued_at: datetime | None
    not_before: datetime | None
    expires_at: datetime | None
    problems: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    header: Mapping[str, Any] = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)
    size_bytes: int

    def validity(self, now: datetime) -> Validity:
        """How it stands at that time. LiveKit is a minute more generous at both ends.

        We give that minute at the beginning only: a token fresh from a clock ahead is no fault.
        """
        if self.not_before is not None and self.not_before > now + LEEWAY:
            return Validity.NOT_YET
        if self.expires_at is None:
            return Validity.FOR_EVER
        return Validity.NOW if now < self.expires_at else Validity.EXPIRED

    def remaining(self, now: datetime) -> timedelta | None:
        """Until it ends; negative when it has ended; None without an end."""
        return None if self.expires_at is None else self.expires_at - now


def decode(text: str, *, keys: Mapping[str, SecretStr]) -> DecodedToken:
    """Read a token out of pasted text; `keys` are the secrets we know, by API key.

    Takes the bare token (also broken over lines), "Bearer …", a URL with `access_token=` or
    `token=` in its query or fragment, and text such as JSON or a shell command with one token.

    Raises:
        InvalidInputError: there is no token in it, or no readable one. Never holds any of the text.
    """
    token = _find(text)
    head, body, signed_by = token.split(".")
    header, found = _json_object(head, "first"), _json_object(body, "second")
    signature = _bytes(signed_by)
    if signature is None:
        raise _unreadable("third")
    # Go's JSON reader, and so livekit-server, takes keys in any case.
    claims = {_EXACT.get(key.lower(), key): value for key, value in found.items()}
    algorithm, issuer = _word(header.get("alg")), _word(claims.get("iss"))
    reading = _Reading(claims)
    grants = from_claims(claims)
    not_before, issued_at, expires_at = map(reading.moment, ("nbf", "iat", "exp"))
    begins_at = not_before or issued_at
    says = TokenRequest(
        identity=reading.text("sub") or reading.text("jti"),  # as livekit-server falls back
        room=grants.room,
        name=reading.text("name"),
        ttl=expires_at - begins_at if expires_at and begins_at else timedelta(),
        metadata=reading.text("metadata"),
        attributes=reading.attributes(),
        kind=reading.kind(),
        grants=grants.grants,
        room_config=reading.room_config(),
    )
    return DecodedToken(
        says=says,
        issuer=issuer,
        signature=_verdict(algorithm, keys.get(issuer), f"{head}.{body}".encode(), signature),
        algorithm=algorithm,
        issued_at=issued_at,
        not_before=not_before,
        expires_at=expires_at,
        problems=tuple(
            f"“{name}” has a value that LiveKit can't read, so it rejects the token."
            for name in (*reading.broken, *grants.broken)
        ),
        ignored=tuple(_clip(name) for name in (*reading.ignored(), *grants.ignored)[:_NAMED]),
        header=header,
        claims=claims,
        size_bytes=len(token),
    )


class _Reading:
    """Takes values out of claims; what has a wrong type is noted in `broken` and left out."""

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self._claims = claims
        self.broken: list[str] = []

    def text(self, name: str) -> str:
        value = self._claims.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        self.broken.append(name)
        return ""

    def moment(self, name: str) -> datetime | None:
        value = self._claims.get(name)
        if value is None:
            return None
        try:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            pass  # a time that no calendar has is as broken as a word
        self.broken.append(name)
        return None

    def kind(self) -> str:
        kind = self.text("kind").lower()
        return kind if kind in set(TokenKind) else TokenKind.STANDARD  # as livekit-server does

    def attributes(self) -> dict[str, str]:
        found = self._claims.get("attributes")
        if found is None:
            return {}
        if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
            return dict(found)
        self.broken.append("attributes")
        return {}

    def room_config(self) -> RoomConfig | None:
        found = self._claims.get("roomConfig")
        if found is None:
            return None
        try:
            if not isinstance(found, dict):
                raise ParseError("not an object")
            proto = ParseDict(found, api.RoomConfiguration(), ignore_unknown_fields=True)
        except ParseError:
            self.broken.append("roomConfig")
            return None
        return RoomConfig(
            name=proto.name,
            empty_timeout_s=proto.empty_timeout,
            departure_timeout_s=proto.departure_timeout,
            max_participants=proto.max_participants,
            metadata=proto.metadata,
            agents=tuple(
                AgentDispatchSpec(agent_name=agent.agent_name, metadata=agent.metadata)
                for agent in proto.agents
            ),
        )

    def ignored(self) -> list[str]:
        return [name for name in self._claims if name not in _KNOWN]


def _verdict(
    algorithm: str, secret: SecretStr | None, signed: bytes, signature: bytes
) -> Signature:
    if algorithm != ALGORITHM:
        return Signature.REFUSED
    if secret is None or not secret.get_secret_value():
        return Signature.UNKNOWN_KEY
    right = hmac.digest(secret.get_secret_value().encode(), signed, hashlib.sha256)
    return Signature.VALID if hmac.compare_digest(right, signature) else Signature.WRONG


def _find(text: str) -> str:
    """The one token in the text, its three parts well formed."""
    if len(text) > TEXT_LIMIT_BYTES:
        raise InvalidInputError(
            f"That is more than {TEXT_LIMIT_BYTES // 1024} KiB.",
            hint="Paste only the token.",
            field="token",
        )
    if not text.strip():
        raise InvalidInputError("No token.", hint="Paste a token.", field="token")
    bare = "".join(_BEARER.sub("", text.strip()).split())
    if _WHOLE.fullmatch(bare):
        return bare
    in_urls = {token for token in map(unquote, _IN_URL.findall(text)) if _WHOLE.fullmatch(token)}
    found = in_urls or set(_TOKEN.findall(text))
    if len(found) > 1:
        raise InvalidInputError(
            "The text contains more than one token.", hint="Paste one of them.", field="token"
        )
    if not found:
        raise InvalidInputError(
            "The text contains no access token.",
            hint="A token starts with “eyJ” and has three parts separated by dots.",
            field="token",
        )
    return found.pop()


def _json_object(part: str, which: str) -> dict[str, Any]:
    raw = _bytes(part)
    try:
        value = json.loads((raw or b"").decode(), parse_constant=_no_number)
        # Half characters (a lone \\ud800) can be read, but neither shown nor sent.
        value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _unreadable(which)
    return value


def _no_number(word: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def _bytes(part: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        return None


def _unreadable(which: str) -> InvalidInputError:
    return InvalidInputError(
        f"Cannot read the {which} part of the token.",
        hint="A part may be missing. Copy the whole token again.",
        field="token",
    )


def _word(value: object) -> str:
    return _clip(value) if isinstance(value, str) else ""


def _clip(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
