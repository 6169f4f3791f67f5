"""Access tokens: what is minted, what is refused, and what is read out of a pasted text."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Final

import jwt
import pytest
from livekit import api
from pydantic import SecretStr

from services.errors import ConfigError, InvalidInputError, SwitchboardError
from services.livekit.grants import NOT_A_GRANT, SECTIONS, from_claims
from services.livekit.target import LiveKitTarget
from services.livekit.tokens import (
    MAX_TTL,
    MIN_TTL,
    PRESETS,
    AgentDispatchSpec,
    Grants,
    MintedToken,
    RoomConfig,
    Signature,
    TokenKind,
    TokenMinter,
    TokenRequest,
    Validity,
    decode,
    mint,
)
from tests.support.secrets import find_secrets

KEY: Final = "APItest"
SECRET: Final = SecretStr("a-secret-of-forty-characters-0123456789x")
NOW: Final = datetime(2026, 11, 24, 12, 0, 0, 900_000, tzinfo=UTC)
CALLER: Final = TokenRequest(identity="nate", room="desk", grants=Grants(room_join=True))
FULL: Final = replace(
    CALLER,
    name="Nate Ö.",
    metadata='{"customer": "4711",\n"tier": 2}',
    attributes={"language": "en", "snake_case": "kept"},
    kind=TokenKind.SIP,
    room_config=RoomConfig(
        name="desk",
        empty_timeout_s=60,
        departure_timeout_s=5,
        max_participants=3,
        metadata="of the room",
        agents=(AgentDispatchSpec(agent_name="pm-agent", metadata="{}"),),
    ),
)
ALL_GRANTS: Final = tuple(field.name for field in fields(Grants))


def minted(request: TokenRequest = CALLER, *, secret: SecretStr = SECRET) -> MintedToken:
    return mint(request, api_key=KEY, api_secret=secret, now=NOW)


def read(text: str, keys: Mapping[str, SecretStr] | None = None) -> Any:
    return decode(text, keys={KEY: SECRET} if keys is None else keys)


def signed(claims: Mapping[str, Any], **header: Any) -> str:
    """A token with any claims, as somebody else's code might make it."""
    key = SECRET.get_secret_value()
    return jwt.encode({"iss": KEY, **claims}, key, algorithm="HS256", headers=header or None)


def part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def raw_token(body: bytes, head: bytes = b'{"alg":"HS256"}') -> str:
    return f"{part(head)}.{part(body)}.{part(b'signature')}"


def with_grant(name: str) -> Grants:
    """A caller's grants with this one changed from what it is by default."""
    default = getattr(Grants(), name)
    changed: Any = not default
    if isinstance(default, str):
        changed = "something"
    elif isinstance(default, tuple):
        changed = ("camera",)
    return replace(Grants(room_join=True), **{name: changed})


# -- minting


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_token_of_each_preset_says_what_was_asked_for(name: str) -> None:
    preset = PRESETS[name]
    request = TokenRequest(
        identity="nate", room="desk", ttl=preset.ttl, grants=preset.grants, kind=preset.kind
    )
    decoded = read(minted(request).token)
    assert decoded.says == request
    assert decoded.signature is Signature.VALID
    assert not decoded.problems
    assert not decoded.ignored
    assert preset.description.endswith(".")


@pytest.mark.parametrize("name", ALL_GRANTS)
def test_every_grant_goes_into_the_token_and_comes_out_again(name: str) -> None:
    request = replace(CALLER, grants=with_grant(name))
    assert read(minted(request).token).says == request


@pytest.mark.parametrize("name", ALL_GRANTS)
def test_livekits_own_verifier_reads_every_grant_as_we_meant_it(name: str) -> None:
    grants = with_grant(name)
    verifier = api.TokenVerifier(KEY, SECRET.get_secret_value())
    token = mint(
        replace(CALLER, grants=grants), api_key=KEY, api_secret=SECRET, now=datetime.now(UTC)
    ).token
    claims = verifier.verify(token)
    for section, prefix, cls in SECTIONS:
        found = getattr(claims, section)
        for field in fields(cls):
            if prefix + field.name == name:
                value = getattr(found, field.name)
                wanted = getattr(grants, name)
                assert (tuple(value) if isinstance(value, list) else value) == wanted


def test_there_is_a_field_for_every_grant_that_livekit_knows_and_no_other() -> None:
    known = chain.from_iterable(
        (prefix + field.name for field in fields(cls)) for _, prefix, cls in SECTIONS
    )
    assert {*known} - {NOT_A_GRANT} == set(ALL_GRANTS)


def test_all_that_a_request_can_hold_goes_into_the_token_and_comes_out_again() -> None:
    decoded = read(minted(FULL).token)
    assert decoded.says == FULL
    assert decoded.claims["roomConfig"]["agents"] == [{"agentName": "pm-agent", "metadata": "{}"}]
    assert decoded.claims["attributes"] == {"language": "en", "snake_case": "kept"}


def test_what_is_not_asked_for_is_not_in_the_token() -> None:
    claims = read(minted().token).claims
    assert set(claims) == {"video", "sub", "iss", "nbf", "exp"}
    assert set(claims["video"]) == {
        "room",
        "roomJoin",
        "canPublish",
        "canSubscribe",
        "canPublishData",
    }


def test_the_times_are_those_of_our_clock_in_whole_seconds() -> None:
    token = minted(replace(CALLER, ttl=timedelta(minutes=5)))
    begin = NOW.replace(microsecond=0)
    assert (token.issued_at, token.expires_at) == (begin, begin + timedelta(minutes=5))
    decoded = read(token.token)
    assert (decoded.not_before, decoded.expires_at) == (token.issued_at, token.expires_at)


def test_a_minter_uses_its_targets_key_pair_and_its_clock() -> None:
    target = LiveKitTarget(
        url="http://x", public_url="ws://x", api_key=KEY, api_secret=SECRET, embedded=True
    )
    minter = TokenMinter(target, lambda: NOW)
    token = minter.mint(CALLER)
    assert token.issued_at == NOW.replace(microsecond=0)
    assert minter.decode(token.token).signature is Signature.VALID
    assert minter.lint(minter.decode(token.token)) == minter.lint(CALLER)


def test_neither_token_nor_secret_shows_in_a_repr() -> None:
    token = minted(FULL)
    decoded = read(token.token)
    for text in (repr(token), repr(decoded), str(decoded)):
        assert not find_secrets(text, token.token, SECRET.get_secret_value())
        assert "4711" not in text


BAD: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("identity", {"identity": ""}),
    ("identity", {"identity": "  "}),
    ("identity", {"identity": "x" * 257}),
    ("identity", {"identity": "ä" * 129}),
    ("identity", {"identity": "nate\n"}),
    ("identity", {"identity": "na\x00te"}),
    ("identity", {"identity": "na\x85te"}),
    ("identity", {"identity": "\ud800"}),
    ("name", {"name": "x" * 257}),
    ("name", {"name": "a\tb"}),
    ("room", {"room": ""}),
    ("room", {"room": "x" * 257}),
    ("room", {"room": "a\x1bb"}),
    ("ttl", {"ttl": MIN_TTL - timedelta(milliseconds=1)}),
    ("ttl", {"ttl": MAX_TTL + timedelta(seconds=1)}),
    ("ttl", {"ttl": timedelta(0)}),
    ("ttl", {"ttl": -timedelta(days=1)}),
    ("metadata", {"metadata": "x" * (512 * 1024 + 1)}),
    ("metadata", {"metadata": "a\x00b"}),
    ("attributes", {"attributes": {"a": "x" * (64 * 1024)}}),
    ("attributes", {"attributes": {str(n): "x" * 1024 for n in range(64)}}),
    ("attributes", {"attributes": {"": "x"}}),
    ("attributes", {"attributes": {"a\n": "x"}}),
    ("kind", {"kind": "person"}),
    ("can_publish_sources", {"grants": Grants(can_publish_sources=("webcam",))}),
    ("destination_room", {"grants": Grants(destination_room="x" * 257)}),
    ("agent_thread_scope", {"grants": Grants(agent_thread_scope="a\nb")}),
    ("agent_thread_thread_ids", {"grants": Grants(agent_thread_thread_ids=("a\nb",))}),
    ("room_config.name", {"room_config": RoomConfig(name="x" * 257)}),
    ("room_config.metadata", {"room_config": RoomConfig(metadata="x" * (512 * 1024 + 1))}),
    ("room_config.empty_timeout_s", {"room_config": RoomConfig(empty_timeout_s=-1)}),
    ("room_config.departure_timeout_s", {"room_config": RoomConfig(departure_timeout_s=2**32)}),
    ("room_config.max_participants", {"room_config": RoomConfig(max_participants=-5)}),
    ("room_config.agents", {"room_config": RoomConfig(agents=(AgentDispatchSpec(agent_name=""),))}),
    (
        "room_config.agents",
        {"room_config": RoomConfig(agents=(AgentDispatchSpec(agent_name="a"),) * 17)},
    ),
)


@pytest.mark.parametrize(("field", "change"), BAD)
def test_what_livekit_would_not_take_is_refused_with_the_field_named(
    field: str, change: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        minted(replace(CALLER, **change))
    assert caught.value.field == field
    assert caught.value.message.endswith(".")
    assert len(str(caught.value)) < 300


def test_the_largest_that_livekit_takes_is_taken() -> None:
    request = replace(
        CALLER,
        identity="ä" * 128,
        room="r" * 256,
        name="n" * 256,
        ttl=MAX_TTL,
        attributes={"a": "x" * (64 * 1024 - 1)},
    )
    token = minted(request)
    assert token.expires_at - token.issued_at == MAX_TTL
    assert minted(replace(CALLER, ttl=MIN_TTL)).token
    assert minted(replace(CALLER, metadata="x" * 512 * 1024)).token


def test_a_token_that_joins_nothing_needs_neither_identity_nor_room() -> None:
    request = TokenRequest(grants=Grants(room_list=True))
    assert read(minted(request).token).says == request


PEM: Final = (
    "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJB\n-----END PUBLIC KEY-----"
)


@pytest.mark.parametrize(("key", "secret"), [("", "x" * 40), (KEY, ""), (KEY, PEM)])
def test_without_a_usable_key_pair_it_says_so_and_shows_no_secret(key: str, secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        mint(CALLER, api_key=key, api_secret=SecretStr(secret), now=NOW)
    assert "LIVEKIT_API_SECRET" in caught.value.hint
    assert "MFww" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# -- reading


TOKEN: Final = minted().token


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"  {TOKEN}\n",
        "\n".join(TOKEN[i : i + 60] for i in range(0, len(TOKEN), 60)),
        f"Bearer {TOKEN}",
        f"Authorization: Bearer {TOKEN}",
        f"bearer\t{TOKEN}",
        f"wss://host/rtc?access_token={TOKEN}&auto_subscribe=1",
        f"https://host/custom?liveKitUrl=ws%3A%2F%2Fx&token={TOKEN}",
        f"https://host/page#token={TOKEN}",
        f"https://host/page#/join?x=1&access_token={TOKEN}#end",
        f"https://host/?token={TOKEN.replace('.', '%2E')}",
        json.dumps({"server_url": "ws://x", "token": TOKEN, "participant_token": TOKEN}),
        f"curl -H 'Authorization: Bearer {TOKEN}' http://x/twirp/livekit.RoomService/ListRooms",
        f"LIVEKIT_TOKEN={TOKEN}",
    ],
)
def test_a_token_is_found_in_what_people_paste(text: str) -> None:
    decoded = read(text)
    assert decoded.says == CALLER
    assert decoded.signature is Signature.VALID


NOT_TOKENS: Final = (
    "",
    "   \n",
    "hello",
    "a.b",
    "a.b.c",
    "eyJhbGciOiJIUzI1NiJ9.e30",
    "https://host/rtc?access_token=nothing",
    f"{TOKEN} {minted(FULL).token}",
    TOKEN.replace(".", "!"),
    "x" * (64 * 1024 + 1),
    raw_token(b"[1, 2]"),
    raw_token(b'"text"'),
    raw_token(b"{}", head=b"[]"),
    raw_token(b"not json"),
    raw_token(b"\xff\xfe\x00"),
    raw_token(b'{"exp": NaN}'),
    raw_token(b'{"exp": ' + b"9" * 5_000 + b"}"),
    raw_token(b'{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
    f"{part(b'{}')}.{part(b'{}')}.a",
)


@pytest.mark.parametrize("text", NOT_TOKENS, ids=range(len(NOT_TOKENS)))
def test_what_is_no_readable_token_gives_a_clear_sentence_without_the_text(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(text)
    error: SwitchboardError = caught.value
    assert error.field == "token"
    assert error.message.endswith(".")
    assert error.hint
    assert not find_secrets(str(error))
    assert error.__suppress_context__ or error.__context__ is None
    for piece in filter(None, (piece[:20] for piece in text.split(".") if len(piece) > 10)):
        assert piece not in str(error)


def test_a_token_of_another_secret_has_a_wrong_signature() -> None:
    other = SecretStr("another-secret-of-forty-characters-01234")
    assert read(minted(secret=other).token).signature is Signature.WRONG


def test_a_token_that_was_changed_has_a_wrong_signature() -> None:
    head, body, signature = TOKEN.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["video"]["roomAdmin"] = True
    changed = read(f"{head}.{part(json.dumps(claims).encode())}.{signature}")
    assert changed.signature is Signature.WRONG
    assert changed.says.grants.room_admin


@pytest.mark.parametrize("keys", [{}, {"APIother": SECRET}, {KEY: SecretStr("")}, {"": SECRET}])
def test_a_key_that_is_not_ours_is_called_unknown(keys: dict[str, SecretStr]) -> None:
    decoded = read(TOKEN, keys)
    assert decoded.signature is Signature.UNKNOWN_KEY
    assert decoded.issuer == KEY


@pytest.mark.parametrize("algorithm", ["none", "HS512", "RS256", "hs256", "", None, 5])
def test_every_algorithm_but_hs256_is_refused(algorithm: object) -> None:
    head = json.dumps({"alg": algorithm, "typ": "JWT"}).encode()
    body = json.dumps({"iss": KEY, "sub": "nate"}).encode()
    assert read(f"{part(head)}.{part(body)}.").signature is Signature.REFUSED


def test_an_hs512_signature_made_with_our_secret_is_refused_too() -> None:
    secret = SECRET.get_secret_value() * 2
    token = jwt.encode({"iss": KEY}, secret, algorithm="HS512")
    assert read(token, {KEY: SecretStr(secret)}).signature is Signature.REFUSED


def test_absent_rights_count_as_livekit_counts_them() -> None:
    grants = read(signed({"video": {"roomJoin": True, "room": "desk"}})).says.grants
    assert (grants.can_publish, grants.can_subscribe, grants.can_publish_data) == (True, True, True)
    silent = read(signed({"video": {"roomJoin": True, "canPublish": False}})).says.grants
    assert (silent.can_publish, silent.can_publish_data) == (False, False)


def test_keys_are_read_in_any_case_as_livekit_reads_them() -> None:
    decoded = read(signed({"SUB": "nate", "Video": {"ROOMADMIN": True, "room": "desk"}}))
    assert decoded.says.grants.room_admin
    assert decoded.says.identity == "nate"


def test_the_token_id_stands_in_for_a_missing_identity() -> None:
    assert read(signed({"jti": "old-style"})).says.identity == "old-style"


def test_claims_that_livekit_does_not_know_are_named() -> None:
    decoded = read(signed({"video": {"room_join": True, "canFly": True}, "role": "king"}))
    assert decoded.ignored == ("role", "video.room_join", "video.canFly")
    assert not decoded.says.grants.room_join


def test_a_thousand_unknown_claims_are_not_all_named() -> None:
    decoded = read(signed({f"claim-{number}-{'x' * 30}": 1 for number in range(1_000)}))
    assert len(decoded.ignored) == 20


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"video": {"roomJoin": "true"}}, "video.roomJoin"),
        ({"video": {"roomJoin": 1}}, "video.roomJoin"),
        ({"video": {"room": 5}}, "video.room"),
        ({"video": {"canPublishSources": "camera"}}, "video.canPublishSources"),
        ({"video": {"canPublishSources": [1]}}, "video.canPublishSources"),
        ({"video": [1]}, "video"),
        ({"sip": {"call": "yes"}}, "sip.call"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": 1e300}, "exp"),
        ({"nbf": -1e18}, "nbf"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"attributes": {"a": 1}}, "attributes"),
        ({"attributes": ["a"]}, "attributes"),
        ({"roomConfig": 5}, "roomConfig"),
        ({"roomConfig": [1]}, "roomConfig"),
        ({"roomConfig": "x"}, "roomConfig"),
        ({"roomConfig": {"emptyTimeout": -1}}, "roomConfig"),
        ({"roomConfig": {"agents": {"a": 1}}}, "roomConfig"),
    ],
)
def test_a_value_of_a_wrong_type_is_a_problem_and_no_crash(
    claims: dict[str, Any], name: str
) -> None:
    token = raw_token(json.dumps({"iss": KEY, **claims}).encode())
    (problem,) = read(token).problems
    assert f"“{name}”" in problem


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"agentThread": "x"}, "agentThread"),
        ({"agentEndpoint": {"call": 1}}, "agentEndpoint.call"),
        ({"agent": {"databaseAdmin": "x"}}, "agent.databaseAdmin"),
    ],
)
def test_a_wrong_type_where_livekit_server_does_not_look_is_no_problem(
    claims: dict[str, Any], name: str
) -> None:
    decoded = read(signed(claims))
    assert decoded.problems == ()
    assert decoded.ignored == (name,)


def test_nulls_count_as_absent() -> None:
    names = ("sub", "name", "metadata", "attributes", "exp", "video", "sip", "roomConfig", "kind")
    decoded = read(signed(dict.fromkeys(names) | {"agent": {"admin": None}}))
    assert not decoded.problems
    assert decoded.says.grants == Grants()
    assert from_claims({}).grants == Grants()


def test_an_unknown_kind_counts_as_standard() -> None:
    assert read(signed({"kind": "ROBOT"})).says.kind == TokenKind.STANDARD
    assert read(signed({"kind": "Agent"})).says.kind == TokenKind.AGENT


def test_half_characters_are_replaced_so_that_they_can_be_shown() -> None:
    decoded = read(raw_token(b'{"sub": "a\\ud800b", "\\udfff": "x"}'))
    assert decoded.says.identity == "a?b"
    json.dumps(dict(decoded.claims), ensure_ascii=False).encode()


def test_how_a_token_stands_in_time() -> None:
    decoded = read(minted(replace(CALLER, ttl=timedelta(minutes=5))).token)
    begin = NOW.replace(microsecond=0)
    assert decoded.validity(begin - timedelta(seconds=61)) is Validity.NOT_YET
    assert decoded.validity(begin - timedelta(seconds=60)) is Validity.NOW
    assert decoded.validity(begin + timedelta(seconds=299)) is Validity.NOW
    assert decoded.validity(begin + timedelta(seconds=300)) is Validity.EXPIRED
    assert decoded.remaining(begin + timedelta(seconds=290)) == timedelta(seconds=10)
    assert decoded.remaining(begin + timedelta(seconds=310)) == -timedelta(seconds=10)


def test_a_token_without_an_end_is_valid_for_ever_and_one_that_ended_in_1970_is_not() -> None:
    assert read(signed({})).validity(NOW) is Validity.FOR_EVER
    assert read(signed({})).remaining(NOW) is None
    assert read(signed({"exp": 0})).validity(NOW) is Validity.EXPIRED
