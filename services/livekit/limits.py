"""What LiveKit takes: names, metadata and attributes are refused here before it would refuse them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from services.errors import InvalidInputError

NAME_LIMIT_BYTES: Final = 256  # livekit-server pkg/config/config.go@v1.13.5 LimitConfig
METADATA_LIMIT_BYTES: Final = 512 * 1024
ATTRIBUTES_LIMIT_BYTES: Final = 64 * 1024  # names and values together
DATA_LIMIT_BYTES: Final = 64_000  # above about 15 KiB lossy packets split; reliable ones hold this


def check_name(name: str, *, field: str) -> None:
    """Refuse what LiveKit would refuse or what would mislead a reader.

    Raises:
        InvalidInputError: empty, over 256 bytes of UTF-8, or with control characters.
    """
    if not name.strip():
        raise InvalidInputError(f"{field} is empty.", hint="Enter a name.", field=field)
    size = len(name.encode("utf-8", errors="surrogatepass"))
    if size > NAME_LIMIT_BYTES:
        raise InvalidInputError(
            f"{field} has {size} bytes; LiveKit takes at most {NAME_LIMIT_BYTES}.",
            hint="Shorten it.",
            field=field,
        )
    if any(
        ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in name
    ):
        raise InvalidInputError(
            f"{field} has control characters.", hint="Use printable characters.", field=field
        )


def check_metadata(text: str, *, as_json: bool = False, field: str = "metadata") -> None:
    """Refuse metadata over 512 KiB, or that is not JSON where JSON is wanted.

    Raises:
        InvalidInputError: with `field`.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"{field} has half a character (a lone surrogate).",
            hint="Send valid Unicode.",
            field=field,
        ) from None
    if size > METADATA_LIMIT_BYTES:
        raise InvalidInputError(
            f"{field} has {size:,} bytes; LiveKit takes at most {METADATA_LIMIT_BYTES:,}.",
            hint="Shorten it.",
            field=field,
        )
    if as_json and text:
        try:
            json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as exc:
            raise InvalidInputError(
                f"{field} is not JSON: {exc}.", hint="Correct it, or leave it empty.", field=field
            ) from None


def check_attributes(attributes: Mapping[str, str], *, field: str) -> None:
    """Refuse participant attributes over 64 KiB in all.

    Raises:
        InvalidInputError: with `field`.
    """
    for name, value in attributes.items():
        check_metadata(name + value, field=field)
    size = sum(len(name.encode()) + len(value.encode()) for name, value in attributes.items())
    if size > ATTRIBUTES_LIMIT_BYTES:
        raise InvalidInputError(
            f"{field} has {size:,} bytes; LiveKit takes at most {ATTRIBUTES_LIMIT_BYTES:,}.",
            hint="Shorten it.",
            field=field,
        )


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")
