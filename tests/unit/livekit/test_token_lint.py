"""The token lint: each finding where it belongs, and nowhere else."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
import pytest
from pydantic import SecretStr

from services.livekit import token_rights, token_rules
from services.livekit.token_lint import Finding, LintContext, Severity, holder_of, lint
from services.livekit.tokens import (
    PRESETS,
    AgentDispatchSpec,
    DecodedToken,
    Grants,
    Holder,
    RoomConfig,
    TokenKind,
    TokenRequest,
    decode,
    mint,
)

KEY: Final = "APItest"
SECRET: Final = SecretStr("a-secret-of-forty-characters-0123456789x")
NOW: Final = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
D, W, N = Severity.DANGER, Severity.WARNING, Severity.NOTICE


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request for which `code` is found with that severity; with `but` it is not."""

    code: str
    severity: Severity
    request: TokenRequest
    but: TokenRequest
    holder: Holder = Holder.PERSON
    but_holder: Holder | None = None  # None: the same


def asks(rights: dict[str, Any] | None = None, **change: Any) -> TokenRequest:
    """A caller who only speaks and hears, changed."""
    grants = replace(PRESETS["caller"].grants, **(rights or {}))
    request = TokenRequest(identity="nate", room="desk", grants=grants)
    return replace(request, **change)


CALLER: Final = asks()


def right(
    code: str,
    severity: Severity,
    name: str,
    *,
    value: Any = True,
    holder: Holder = Holder.PERSON,
    but_holder: Holder = Holder.SERVER,
) -> list[Case]:
    """Found with the right in those hands; not found without it, nor in the other hands."""
    request = asks({name: value})
    return [
        Case(code=code, severity=severity, request=request, but=CALLER, holder=holder),
        Case(
            code=code,
            severity=severity,
            request=request,
            but=request,
            holder=holder,
            but_holder=but_holder,
        ),
    ]


def both(
    code: str,
    severity: Severity,
    request: TokenRequest,
    but: TokenRequest = CALLER,
    holder: Holder = Holder.PERSON,
) -> list[Case]:
    return [Case(code=code, severity=severity, request=request, but=but, holder=holder)]


CONFIG: Final = RoomConfig(agents=(AgentDispatchSpec(agent_name="pm-agent"),))
PEM: Final = "-----BEGIN RSA PRIVATE KEY-----\nabc"
OURS: Final = "switchboard-observer-1"
LISTENER: Final = PRESETS["listener"].grants
OBSERVER: Final = PRESETS["observer"].grants

CASES: Final = [
    *right("room_admin", D, "room_admin"),
    *right("room_admin", D, "room_admin", holder=Holder.OBSERVER),
    *right("room_admin", W, "room_admin", holder=Holder.AGENT),
    *right("room_create", D, "room_create"),
    *right("room_create", W, "room_create", holder=Holder.AGENT),
    *right("room_list", W, "room_list"),
    *right("room_record", D, "room_record"),
    *right("room_record", W, "room_record", holder=Holder.AGENT),
    *both(
        "room_admin_without_room",
        N,
        asks({"room_admin": True}, room=""),
        asks({"room_admin": True}),
    ),
    *right("ingress_admin", D, "ingress_admin"),
    *right("sip", D, "sip_admin"),
    *right("sip", D, "sip_call"),
    *right("inference", D, "inference_perform"),
    *right("observability", W, "observability_write"),
    *right("cloud_agents", D, "agent_admin"),
    *right("cloud_agents", D, "agent_simulation_admin"),
    *right("cloud_agents", D, "agent_database_admin"),
    *right("cloud_agents", D, "agent_dispatch_admin"),
    *right("agent_endpoint", W, "agent_endpoint_call"),
    *right("agent_thread", D, "agent_thread_all"),
    *right("agent_thread", W, "agent_thread_list"),
    *right("agent_thread", W, "agent_thread_create"),
    *right("agent_thread", W, "agent_thread_write"),
    *right("agent_thread", W, "agent_thread_read"),
    *right("agent_thread", W, "agent_thread_delete"),
    *right("agent_grant", D, "agent"),
    *right("agent_grant_in_room", N, "agent", holder=Holder.AGENT),
    *right("manage_agent_session", D, "can_manage_agent_session"),
    *right("data_to_agent", W, "can_publish_data"),
    *right("data_to_agent", W, "can_publish_data", but_holder=Holder.AGENT),
    *both("data_to_agent", W, asks(grants=Grants(room_join=True)), asks(grants=Grants())),
    *right("hidden", D, "hidden", but_holder=Holder.OBSERVER),
    *right("hidden", W, "hidden", holder=Holder.SERVER, but_holder=Holder.OBSERVER),
    *both(
        "hidden_publish",
        W,
        asks({"hidden": True}),
        asks(grants=OBSERVER),
        holder=Holder.OBSERVER,
    ),
    *both(
        "hidden_data",
        D,
        asks(grants=replace(OBSERVER, can_publish_data=True)),
        asks(grants=OBSERVER),
        holder=Holder.OBSERVER,
    ),
    *both("recorder", W, asks({"recorder": True})),
    *both("recorder", N, asks({"recorder": True}), holder=Holder.SERVER),
    *right("own_metadata", W, "can_update_own_metadata", but_holder=Holder.AGENT),
    *right("metrics", N, "can_subscribe_metrics", but_holder=Holder.OBSERVER),
    *both("destination_room", N, asks({"destination_room": "other"})),
    *both("destination_room", W, asks({"destination_room": "other", "room_admin": True})),
    *both(
        "sources_without_publish",
        W,
        asks(grants=replace(LISTENER, can_publish_sources=("camera",))),
        asks(grants=LISTENER),
    ),
    *both(
        "nothing_in_room",
        N,
        asks(grants=replace(LISTENER, can_subscribe=False)),
        asks(grants=LISTENER),
    ),
    *both("nothing_allowed", W, asks(grants=Grants()), asks(grants=Grants(room_list=True))),
    *both("nothing_allowed", W, asks(grants=Grants(hidden=True)), asks(grants=Grants(agent=True))),
    *both("no_identity", W, asks(identity="")),
    *both("no_identity", W, asks(identity="  "), asks(grants=Grants(room_list=True), identity="")),
    *both("identity_like_agent", W, asks(identity="agent-AJ_x"), asks(identity="agents-x")),
    Case(
        code="identity_like_agent",
        severity=W,
        request=asks(identity="agent-AJ_x"),
        but=asks(identity="agent-AJ_x"),
        but_holder=Holder.AGENT,
    ),
    *both("identity_like_observer", W, asks(identity=OURS)),
    *both(
        "identity_like_observer",
        W,
        asks(identity=OURS),  # not hidden: it would be seen by all but us
        asks(identity=OURS, grants=OBSERVER),
        holder=Holder.OBSERVER,
    ),
    *both("kind", W, asks(kind=TokenKind.AGENT)),
    Case(
        code="kind",
        severity=W,
        request=asks(kind=TokenKind.SIP),
        but=asks(kind=TokenKind.SIP),
        but_holder=Holder.SERVER,
    ),
    *both("no_room", D, asks(room=""), asks(grants=Grants(room_list=True), room="")),
    *both("long_life", W, asks(ttl=timedelta(days=1, seconds=1)), asks(ttl=timedelta(days=1))),
    *both("long_life", D, asks(ttl=timedelta(days=7, seconds=1))),
    *both("long_life", W, asks(ttl=timedelta(days=7)), holder=Holder.SERVER),
    *both("secret_inside", D, asks(metadata='{"password": "hunter22"}')),
    *both("secret_inside", D, asks(attributes={"api_key": "0a1b2c3d4e"})),
    *both("secret_inside", D, asks(room_config=RoomConfig(metadata=PEM))),
    *both(
        "secret_inside",
        D,
        asks(
            room_config=RoomConfig(
                agents=(AgentDispatchSpec(agent_name="a", metadata="sk-0123456789abcdefgh"),)
            )
        ),
        asks(room_config=CONFIG),
    ),
    *both("reserved_attribute", W, asks(attributes={"lk.agent.state": "x"})),
    Case(
        code="reserved_attribute",
        severity=W,
        request=asks(attributes={"lk.agent.state": "x"}),
        but=asks(attributes={"lk.agent.state": "x"}),
        but_holder=Holder.AGENT,
    ),
    *both("large", N, asks(metadata="x" * 6_000), asks(metadata="x" * 3_000)),
    *both("large", N, asks(room_config=RoomConfig(metadata="x" * 6_000))),
    *both("config_unused", N, asks(grants=Grants(room_list=True), room_config=CONFIG)),
    *both("config_dispatches", N, asks(room_config=CONFIG), asks(room_config=RoomConfig())),
]
# Those that need more than a request have a test of their own below.
ON_THEIR_OWN: Final = {
    "no_expiry",
    "not_yet_valid",
    "config_records",
    "weak_secret",
    "unknown_source",
}


def look(
    token: TokenRequest | DecodedToken, holder: Holder | None = None, **context: Any
) -> dict[str, Finding]:
    found = lint(token, LintContext(now=NOW, holder=holder, **{"keys": {KEY: SECRET}, **context}))
    return {finding.code: finding for finding in found}


def signed(request: TokenRequest) -> DecodedToken:
    return decode(mint_text(request), keys={KEY: SECRET})


def mint_text(request: TokenRequest) -> str:
    return mint(request, api_key=KEY, api_secret=SECRET, now=NOW).token


def crafted(**claims: Any) -> DecodedToken:
    """A token with any claims, as somebody else's code might make it."""
    body = {"iss": KEY, "sub": "nate", "video": {"roomJoin": True, "room": "desk"}, **claims}
    return decode(jwt.encode(body, SECRET.get_secret_value()), keys={KEY: SECRET})


@pytest.mark.parametrize("case", CASES, ids=[f"{n}-{case.code}" for n, case in enumerate(CASES)])
def test_a_finding_is_there_where_it_belongs_and_only_there(case: Case) -> None:
    found = look(case.request, case.holder)
    assert case.code in found
    finding = found[case.code]
    assert finding.severity is case.severity
    assert finding.message.endswith(".")
    assert finding.hint.endswith(".")
    assert case.code not in look(case.but, case.but_holder or case.holder)


def test_no_finding_is_without_a_test() -> None:
    source = inspect.getsource(token_rights) + inspect.getsource(token_rules)
    codes = {*re.findall(r'(?:rate|danger|warning|notice)[(,]\s*"([a-z_]+)"', source)}
    assert len(codes) > 30
    assert codes == {case.code for case in CASES} | ON_THEIR_OWN


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.request.room and case.request.identity.strip()],
    ids=lambda case: case.code,
)
def test_a_finished_token_is_judged_like_its_request(case: Case) -> None:
    judged = look(case.request, case.holder)
    found = look(signed(case.request), case.holder)
    assert set(found) - {"large"} == set(judged) - {"large"}  # the size is estimated before
    assert found[case.code].severity is case.severity


@pytest.mark.parametrize("name", list(PRESETS))
def test_nothing_is_found_in_the_presets(name: str) -> None:
    preset = PRESETS[name]
    request = TokenRequest(
        identity=f"{preset.identity_prefix}-1",
        room="desk",
        ttl=preset.ttl,
        grants=preset.grants,
        kind=preset.kind,
    )
    assert look(request, preset.holder) == {}
    assert holder_of(request) is preset.holder
    assert look(signed(request)) == {}
    # Even where the agent is known to ask nobody who they are.
    assert look(request, preset.holder, agent_hosts_session=True) == {}


def test_the_worst_comes_first() -> None:
    found = lint(
        asks({"room_admin": True, "can_publish_data": True}, room_config=CONFIG, metadata=PEM),
        LintContext(now=NOW, holder=Holder.PERSON),
    )
    order = [list(Severity).index(finding.severity) for finding in found]
    assert order == sorted(order)
    assert {finding.severity for finding in found} == set(Severity)


def test_what_is_known_of_the_agent_decides_about_data() -> None:
    request = asks({"can_publish_data": True})
    assert look(request, agent_hosts_session=None)["data_to_agent"].severity is W
    assert look(request, agent_hosts_session=True)["data_to_agent"].severity is D
    assert "data_to_agent" not in look(request, agent_hosts_session=False)


@pytest.mark.parametrize(
    ("change", "holder"),
    [
        ({}, Holder.PERSON),
        ({"kind": TokenKind.AGENT}, Holder.AGENT),
        ({"kind": TokenKind.EGRESS}, Holder.SERVER),
        ({"grants": Grants(room_admin=True)}, Holder.SERVER),
        ({"grants": OBSERVER}, Holder.PERSON),
        ({"grants": OBSERVER, "identity": OURS}, Holder.OBSERVER),
        ({"identity": OURS}, Holder.PERSON),
        ({"identity": "agent-1"}, Holder.PERSON),
    ],
)
def test_in_doubt_the_holder_is_a_person(change: dict[str, Any], holder: Holder) -> None:
    assert holder_of(asks(**change)) is holder


def test_a_token_without_an_end_is_dangerous() -> None:
    assert look(crafted())["no_expiry"].severity is D
    assert "no_expiry" not in look(crafted(exp=NOW.timestamp() + 60))


def test_a_life_is_counted_from_now_where_no_beginning_is_said() -> None:
    assert look(crafted(exp=NOW.timestamp() + 8 * 86_400))["long_life"].severity is D
    assert "long_life" not in look(crafted(exp=NOW.timestamp() + 60))


def test_a_source_that_livekit_does_not_know_is_said() -> None:
    def found(*sources: str) -> dict[str, Finding]:
        video = {"roomJoin": True, "room": "desk", "canPublishSources": list(sources)}
        return look(crafted(video=video))

    assert found("camera", "MICROPHONE")["unknown_source"].severity is W
    assert "unknown_source" not in found("camera", "microphone")


def test_a_beginning_that_is_yet_to_come_is_said() -> None:
    def at(seconds: float) -> dict[str, Finding]:
        return look(crafted(nbf=NOW.timestamp() + seconds, exp=NOW.timestamp() + 7_200))

    assert at(3_600)["not_yet_valid"].severity is W
    assert "not_yet_valid" not in at(59)
    assert "not_yet_valid" not in at(-60)


def test_a_room_that_is_recorded_from_the_start_is_said() -> None:
    output = {"filepath": "x", "s3": {"accessKey": "AKIA0123456789ABCDEF", "secret": "0123456789"}}
    recorded = crafted(roomConfig={"egress": {"room": {"fileOutputs": [output]}}})
    found = look(recorded)
    assert found["config_records"].severity is W
    assert found["secret_inside"].field == "room_config"
    assert "config_records" not in look(crafted(roomConfig={"emptyTimeout": 5}))


@pytest.mark.parametrize(
    ("key", "secret"),
    [("APIx", "x" * 31), ("APIx", "secret"), ("devkey", "x" * 40), ("APIx", "")],
)
def test_a_weak_secret_is_dangerous(key: str, secret: str) -> None:
    found = look(CALLER, keys={key: SecretStr(secret)})
    assert found["weak_secret"].severity is D
    assert len(secret) < 10 or secret not in found["weak_secret"].message
    assert "weak_secret" not in look(CALLER, keys={"APIx": SecretStr("x" * 32)})


def test_only_the_key_that_a_token_names_is_judged() -> None:
    keys = {KEY: SECRET, "APIother": SecretStr("short")}
    assert "weak_secret" not in look(signed(CALLER), keys=keys)
    assert "weak_secret" in look(signed(CALLER), keys={KEY: SecretStr("short")})


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "hunter22"}',
        "db_password=hunter22",
        '{"openai_api_key": "abcdef0123"}',
        "apikey: abcdef0123",
        '{"client_secret":"abcdef0123"}',
        '{"accessToken": "abcdef0123"}',
        '{"key": "sk-proj-0123456789abcdef"}',
        "AKIA0123456789ABCDEF",
        "ghp_0123456789abcdefghij0123456789",
        "xoxb-1234567890-abc",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJuIn0.abc",
        "postgresql://app:hunter22@db/calls",
        PEM,
    ],
)
def test_what_looks_like_a_secret_is_found_and_not_repeated(text: str) -> None:
    finding = look(asks(metadata=text))["secret_inside"]
    assert finding.field == "metadata"
    assert "hunter22" not in f"{finding!r}"
    assert "0123" not in f"{finding!r}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"customer": "4711", "language": "en"}',
        '{"tokenizer": "whisper", "max_tokens": 1000000}',
        '{"password": ""}',
        '{"secret": null}',
        "https://host:7880/path?x=1@2",
        "The secret of good coffee: patience",
        '{"task-force": "risk-assessment-2026-winter-term"}',
    ],
)
def test_ordinary_metadata_is_left_alone(text: str) -> None:
    assert "secret_inside" not in look(asks(metadata=text))


def test_a_secret_is_looked_for_in_half_a_megabyte_without_delay() -> None:
    # Each of these would be slow with a pattern that goes back over what it has read.
    for text in ("eyJ-", "token ", "://a:", "-----BEGIN ", 'token="', "password"):
        look(asks(metadata=text * (512 * 1024 // len(text))))
