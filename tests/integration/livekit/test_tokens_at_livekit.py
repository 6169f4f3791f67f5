"""What we say of a token is what a real livekit-server makes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
import pytest
from pydantic import SecretStr

from services.livekit.token_lint import LintContext, lint
from services.livekit.tokens import (
    PRESETS,
    DecodedToken,
    Signature,
    TokenRequest,
    Validity,
    decode,
    mint,
)
from tests.support.http import http_status
from tests.support.livekit_server import LiveKitServer

CALL: Final = {"roomJoin": True, "room": "desk"}
SOON: Final = 30  # seconds: within the minute that LiveKit allows for clocks
LATER: Final = 300


def joins(server: LiveKitServer, token: str) -> bool:
    """Whether LiveKit would let the holder join."""
    return http_status(f"{server.url}/rtc/validate?access_token={token}") == 200


def signed(server: LiveKitServer, claims: dict[str, Any]) -> str:
    """A token with any claims at all; PyJWT would refuse some of them."""
    body = json.dumps({"iss": server.api_key, **claims}).encode()
    return jwt.api_jws.encode(body, server.api_secret)


def read(server: LiveKitServer, token: str) -> DecodedToken:
    return decode(token, keys={server.api_key: SecretStr(server.api_secret)})


def in_s(seconds: float) -> int:
    return int(datetime.now(UTC).timestamp() + seconds)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.joins])
def test_livekit_takes_the_token_of_each_preset_that_joins(
    livekit_server: LiveKitServer, name: str
) -> None:
    preset = PRESETS[name]
    request = TokenRequest(identity="nate", room="desk", grants=preset.grants, kind=preset.kind)
    secret = SecretStr(livekit_server.api_secret)
    token = mint(
        request, api_key=livekit_server.api_key, api_secret=secret, now=datetime.now(UTC)
    ).token
    assert joins(livekit_server, token)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "nate", "video": CALL},
        {"jti": "nate", "video": CALL},
        {"sub": None, "jti": "nate", "video": CALL},
        {"SUB": "nate", "Video": {"ROOMJOIN": True, "Room": "desk"}},
        {"sub": "nate", "video": CALL, "kind": "ROBOT"},
        {"sub": "nate", "video": CALL, "nbf": in_s(SOON)},
        {"sub": "nate", "video": {**CALL, "canFly": True}, "role": "king"},
    ],
)
def test_what_we_find_no_problem_in_livekit_takes(
    livekit_server: LiveKitServer, claims: dict[str, Any]
) -> None:
    token = signed(livekit_server, claims)
    decoded = read(livekit_server, token)
    assert decoded.signature is Signature.VALID
    assert not decoded.problems
    assert decoded.says.identity == "nate"
    assert decoded.says.room == "desk"
    assert joins(livekit_server, token)


@pytest.mark.parametrize(
    "change",
    [
        {"video": {**CALL, "roomJoin": 1}},
        {"video": {**CALL, "canPublishSources": "camera"}},
        {"video": []},
        {"attributes": {"a": 1}},
        {"metadata": {"a": 1}},
        {"exp": "tomorrow"},
        {"exp": True},
        {"roomConfig": {"emptyTimeout": -1}},
        {"roomConfig": "x"},
        {"sip": {"call": "yes"}},
    ],
)
def test_what_we_call_a_problem_livekit_refuses(
    livekit_server: LiveKitServer, change: dict[str, Any]
) -> None:
    token = signed(livekit_server, {"sub": "nate", "video": CALL, **change})
    assert read(livekit_server, token).problems
    assert not joins(livekit_server, token)


@pytest.mark.parametrize(
    ("code", "claims"),
    [
        ("no_identity", {"video": CALL}),
        ("no_room", {"sub": "nate", "video": {"roomJoin": True}}),
        ("nothing_allowed", {"sub": "nate", "video": {"room_join": True, "room": "desk"}}),
    ],
)
def test_livekit_lets_nobody_join_where_the_lint_says_so(
    livekit_server: LiveKitServer, code: str, claims: dict[str, Any]
) -> None:
    token = signed(livekit_server, {**claims, "exp": in_s(LATER)})
    found = lint(read(livekit_server, token), LintContext(now=datetime.now(UTC)))
    assert code in {finding.code for finding in found}
    assert not joins(livekit_server, token)


def test_livekit_takes_a_token_that_never_ends_and_so_the_lint_warns(
    livekit_server: LiveKitServer,
) -> None:
    token = signed(livekit_server, {"sub": "nate", "video": CALL})
    assert read(livekit_server, token).validity(datetime.now(UTC)) is Validity.FOR_EVER
    assert joins(livekit_server, token)


def test_times_count_at_livekit_as_we_say(livekit_server: LiveKitServer) -> None:
    for change, validity in (
        ({"exp": in_s(LATER)}, Validity.NOW),
        ({"exp": in_s(-LATER)}, Validity.EXPIRED),
        ({"exp": 0}, Validity.EXPIRED),
        ({"exp": in_s(2 * LATER), "nbf": in_s(LATER)}, Validity.NOT_YET),
    ):
        token = signed(livekit_server, {"sub": "nate", "video": CALL, **change})
        assert read(livekit_server, token).validity(datetime.now(UTC)) is validity
        assert joins(livekit_server, token) is (validity is Validity.NOW)


@pytest.mark.parametrize("verdict", [Signature.WRONG, Signature.UNKNOWN_KEY, Signature.REFUSED])
def test_livekit_refuses_every_signature_that_we_do_not_call_valid(
    livekit_server: LiveKitServer, verdict: Signature
) -> None:
    claims = {"iss": livekit_server.api_key, "sub": "nate", "video": CALL, "exp": in_s(LATER)}
    secret = livekit_server.api_secret
    token = {
        Signature.WRONG: lambda: jwt.encode(claims, "another-secret-of-forty-characters-01234"),
        Signature.UNKNOWN_KEY: lambda: jwt.encode({**claims, "iss": "APIother"}, secret),
        Signature.REFUSED: lambda: jwt.encode(claims, secret * 2, algorithm="HS512"),
    }[verdict]()
    assert read(livekit_server, token).signature is verdict
    assert not joins(livekit_server, token)


def test_the_shortest_token_ends_when_it_says(livekit_server: LiveKitServer) -> None:
    secret = SecretStr(livekit_server.api_secret)
    made_at = datetime.now(UTC) - timedelta(minutes=2)
    request = TokenRequest(
        identity="nate", room="desk", grants=PRESETS["caller"].grants, ttl=timedelta(seconds=10)
    )
    old = mint(request, api_key=livekit_server.api_key, api_secret=secret, now=made_at)
    assert not joins(livekit_server, old.token)
