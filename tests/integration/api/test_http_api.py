"""The HTTP API on a real livekit-server: what it promises, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
import pytest
import pytest_asyncio

from services.clock import utc_now
from services.ids import is_session_id
from tests.support.api_server import ApiServer, open_api, settings_for
from tests.support.livekit_server import LiveKitServer
from tests.support.participants import People
from tests.support.secrets import assert_no_secrets_in_files
from tests.support.silent_server import open_silent_server
from tests.support.waiting import eventually

GOOD = {"user_id": "nate", "agent_id": "pm-agent", "session_duration_hours": 2}
JSON = {"content-type": "application/json"}


@pytest_asyncio.fixture
async def server(livekit_server: LiveKitServer, tmp_path: Path) -> AsyncIterator[ApiServer]:
    """The API with a data folder of its own, on the shared livekit-server."""
    async with open_api(settings_for(livekit_server, tmp_path / "data")) as running:
        yield running


def assert_problem(reply: httpx.Response, status: int, field: str | None = None) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = reply.json()
    assert found["status"] == status
    assert found["type"].startswith("urn:switchboard:problem:")
    assert found["detail"]
    if field is not None:
        assert found.get("field") == field, found
    return found


async def dispatch_told(server: ApiServer, session_id: str) -> bool:
    """A moment after the answer: LiveKit's id of the dispatch is read back."""
    dispatch_id: str = (await server.session(session_id))["dispatch_id"]
    return dispatch_id.startswith("AD_")


# -- creating


async def test_the_call_of_the_issue_works_exactly_so(
    server: ApiServer, livekit_server: LiveKitServer, join_room: People
) -> None:
    body = '{"user_id": "nate", "agent_id": "pm-agent", "session_duration_hours": 2}'
    reply = await server.http.post("/api/voice/session", content=body, headers=JSON)
    assert reply.status_code == 201
    made = reply.json()
    assert is_session_id(made["session_id"])
    assert reply.headers["location"] == f"/api/voice/session/{made['session_id']}"
    assert reply.headers["cache-control"] == "no-store"
    assert (made["user_id"], made["agent_id"], made["status"]) == ("nate", "pm-agent", "created")
    assert made["server_url"] == livekit_server.ws_url
    assert made["token"] == made["participant_token"]
    await eventually(lambda: dispatch_told(server, made["session_id"]))
    assert made["dashboard_url"].endswith(f"/session?id={made['session_id']}")
    lasts = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert lasts == timedelta(hours=2)

    person = await join_room(livekit_server.target, made["room_name"], token=made["token"])
    assert person.identity == made["participant_identity"]
    claims = jwt.decode(made["token"], options={"verify_signature": False})
    assert claims["video"]["room"] == made["room_name"]
    assert not claims["video"].get("roomAdmin")
    expires = datetime.fromisoformat(made["token_expires_at"]).timestamp()
    assert abs(claims["exp"] - expires) < 2


WRONG_VALUES: Final[list[tuple[dict[str, Any], str]]] = [
    ({"user_id": 5}, "user_id"),
    ({"user_id": None, "participant_name": None}, "user_id"),
    ({"user_id": ""}, "user_id"),
    ({"user_id": "  "}, "user_id"),
    ({"user_id": ["nate"]}, "user_id"),
    ({"user_id": {"a": 1}}, "user_id"),
    ({"user_id": "x" * 257}, "user_id"),
    ({"user_id": "ü" * 129}, "user_id"),
    ({"user_id": "na\x00te"}, "user_id"),
    ({"user_id": "na\nte"}, "user_id"),
    ({"user_id": "\x7f"}, "user_id"),
    ({"user_id": "na\u202ete"}, "user_id"),
    ({"user_id": "\ud800"}, "user_id"),
    ({"agent_id": 5}, "agent_id"),
    ({"agent_id": ""}, "agent_id"),
    ({"agent_id": None}, "agent_id"),
    ({"agent_id": "no-such-agent"}, "agent_id"),
    ({"agent_id": "x" * 1000}, "agent_id"),
    ({"agent_id": "\ud800"}, "agent_id"),
    ({"session_duration_hours": 0}, "session_duration_hours"),
    ({"session_duration_hours": -1}, "session_duration_hours"),
    ({"session_duration_hours": -0.0}, "session_duration_hours"),
    ({"session_duration_hours": 10_000}, "session_duration_hours"),
    ({"session_duration_hours": 1e308}, "session_duration_hours"),
    ({"session_duration_hours": 1e-300}, "session_duration_hours"),
    ({"session_duration_hours": float("nan")}, "session_duration_hours"),
    ({"session_duration_hours": float("inf")}, "session_duration_hours"),
    ({"session_duration_hours": float("-inf")}, "session_duration_hours"),
    ({"session_duration_hours": "2"}, "session_duration_hours"),
    ({"session_duration_hours": True}, "session_duration_hours"),
    ({"session_duration_hours": None}, "session_duration_hours"),
    ({"session_duration_hours": [2]}, "session_duration_hours"),
    ({"session_duration_hours": 10**400}, "session_duration_hours"),
    ({"surprise": 1}, "surprise"),
    ({"room_name": "x" * 257}, "room_name"),
    ({"room_name": "a\tb"}, "room_name"),
    ({"participant_identity": "x" * 257}, "participant_identity"),
    ({"participant_name": "\x1b[31m"}, "participant_name"),
    ({"participant_metadata": "\ud800"}, "participant_metadata"),
    ({"participant_metadata": "x" * 600_000}, "participant_metadata"),
    ({"participant_attributes": {"a": 1}}, "participant_attributes.a"),
    ({"participant_attributes": {"a": "\ud800"}}, "participant_attributes"),
    ({"participant_attributes": {"a": "x" * 70_000}}, "participant_attributes"),
    ({"metadata": []}, "metadata"),
    ({"metadata": {"a": float("nan")}}, "metadata"),
    ({"room_config": {"agents": [{"agentName": "nope"}]}, "agent_id": None}, "agent_id"),
    ({"room_config": {"agents": [{}, {}]}}, "room_config.agents"),
    ({"room_config": {"metadata": "not json"}}, "metadata"),
    ({"room_config": {"metadata": "[1]"}}, "metadata"),
    ({"room_config": {"metadata": '{"a": NaN}'}}, "metadata"),
]


async def test_a_wrong_value_is_refused_with_the_field_named(
    server: ApiServer, subtests: pytest.Subtests
) -> None:
    for given, field in WRONG_VALUES:
        with subtests.test(given=repr(given)[:80]):
            body = json.dumps(GOOD | given)
            reply = await server.http.post("/api/voice/session", content=body, headers=JSON)
            assert_problem(reply, 422, field)
    listed = await server.http.get("/api/voice/sessions", params={"user_id": "nate"})
    assert listed.json()["sessions"] == []


async def test_a_missing_field_is_named(server: ApiServer) -> None:
    for missing in ("user_id", "agent_id"):
        body = {name: value for name, value in GOOD.items() if name != missing}
        assert_problem(await server.http.post("/api/voice/session", json=body), 422, missing)


NO_OBJECTS: Final[list[tuple[bytes, dict[str, str], int]]] = [
    (b"", JSON, 422),
    (b"{", JSON, 422),
    (b"not json", JSON, 422),
    (b"[]", JSON, 422),
    (b'"text"', JSON, 422),
    (b"null", JSON, 422),
    (b"\xff\xfe\x00", JSON, 400),
    (b"[" * 100_000, JSON, 400),
    (b'{"metadata": ' + b'{"a":' * 50_000, JSON, 400),
    (b'{"session_duration_hours": ' + b"9" * 5000 + b"}", JSON, 400),
    (json.dumps(GOOD).encode(), {"content-type": "text/plain"}, 422),
    (json.dumps(GOOD).encode(), {"content-type": "application/x-www-form-urlencoded"}, 422),
    (json.dumps(GOOD).encode(), {}, 422),
    (b"user_id=nate&agent_id=pm-agent", JSON, 422),
]


async def test_what_is_not_a_json_object_is_refused(
    server: ApiServer, subtests: pytest.Subtests
) -> None:
    for body, headers, status in NO_OBJECTS:
        with subtests.test(body=repr(body[:80]), headers=repr(headers)):
            reply = await server.http.post("/api/voice/session", content=body, headers=headers)
            assert_problem(reply, status)
            assert reply.json()["field"]


async def test_twenty_megabytes_are_refused_without_being_read(server: ApiServer) -> None:
    body = json.dumps(GOOD | {"participant_metadata": "x" * 20_000_000})
    reply = await server.http.post("/api/voice/session", content=body, headers=JSON)
    assert assert_problem(reply, 413, "body")["code"] == "too_large"


async def test_names_at_the_limit_and_beyond_ascii_are_taken(
    server: ApiServer, livekit_server: LiveKitServer, join_room: People
) -> None:
    made = await server.create(user_id="ü" * 128, participant_name="Zoë 🎧", room_name="Büro/1")
    assert made["user_id"] == "ü" * 128
    person = await join_room(livekit_server.target, made["room_name"], token=made["token"])
    assert person.identity == made["participant_identity"]
    assert (await server.http.get("/api/rooms/B%C3%BCro%2F1")).json()["people"] == 1
    assert (await server.http.delete("/api/rooms/B%C3%BCro%2F1")).json() == {"ended": True}


async def test_an_unmodified_livekit_front_end_is_served_by_its_own_fields(
    server: ApiServer, livekit_server: LiveKitServer
) -> None:
    body = {
        "room_name": f"front-{utc_now().timestamp():.0f}",
        "participant_identity": "web-1",
        "participant_name": "Web caller",
        "participant_metadata": "about me",
        "participant_attributes": {"tier": "gold"},
        "room_config": {
            "agents": [{"agent_name": "pm-agent", "metadata": '{"topic": "standup"}'}],
            "name": "ignored",
        },
    }
    reply = await server.http.post("/api/voice/session", json=body)
    assert reply.status_code == 201, reply.text
    made = reply.json()
    assert {"server_url", "participant_token", "room_name", "participant_name"} - set(made) <= {
        "participant_name"
    }
    claims = jwt.decode(made["participant_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["name"]) == ("web-1", "Web caller")
    assert (claims["metadata"], claims["attributes"]) == ("about me", {"tier": "gold"})
    dispatches = await server.runtime.acall(
        lambda: server.runtime.livekit.list_dispatches(body_room(body))
    )
    (told,) = [json.loads(d.metadata) for d in dispatches if d.agent_name]
    assert told == {
        "topic": "standup",
        "session_id": made["session_id"],
        "user_id": "web-1",
        "mode": "voice",
    }
    camel = {**body, "room_name": f"{body['room_name']}-2"}
    camel["room_config"] = {"agents": [{"agentName": "pm-agent"}]}
    assert (await server.http.post("/api/voice/session", json=camel)).status_code == 201
    assert (await server.http.post("/api/voice/session", json=camel)).status_code == 409


def body_room(body: dict[str, Any]) -> str:
    return str(body["room_name"])


# -- idempotency


async def test_the_same_key_gives_the_same_session_also_after_a_restart(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    settings = settings_for(livekit_server, tmp_path / "data")
    key = {"Idempotency-Key": "order-1"}
    body = GOOD | {"participant_attributes": {"tier": "gold"}}
    async with open_api(settings) as server:
        first = (await server.http.post("/api/voice/session", json=body, headers=key)).json()
    async with open_api(settings) as server:
        again = await server.http.post("/api/voice/session", json=body, headers=key)
        assert again.status_code == 201
        for name in ("session_id", "room_name", "participant_identity", "created_at"):
            assert again.json()[name] == first[name]
        claims = jwt.decode(again.json()["token"], options={"verify_signature": False})
        assert claims["attributes"] == {"tier": "gold"}
        other = await server.http.post(
            "/api/voice/session", json=body | {"user_id": "eve"}, headers=key
        )
        assert_problem(other, 409, "Idempotency-Key")


async def test_two_at_once_with_one_key_make_one_room(server: ApiServer) -> None:
    key = {"Idempotency-Key": "twice"}
    replies = await asyncio.gather(
        *(server.http.post("/api/voice/session", json=GOOD, headers=key) for _ in range(8))
    )
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["session_id"] for reply in replies}) == 1
    listed = (await server.http.get("/api/voice/sessions?user_id=nate")).json()["sessions"]
    assert len(listed) == 1


async def test_a_key_that_cannot_be_kept_is_refused(
    server: ApiServer, subtests: pytest.Subtests
) -> None:
    for key in (b"", b"a b", b"x" * 256, "ümlaut".encode(), b"a\tb"):
        with subtests.test(key=repr(key[:80])):
            reply = await server.http.post(
                "/api/voice/session", json=GOOD, headers=[(b"Idempotency-Key", key)]
            )
            assert_problem(reply, 422, "Idempotency-Key")


async def test_a_key_whose_session_is_over_does_not_open_a_second_room(server: ApiServer) -> None:
    key = {"Idempotency-Key": "over"}
    made = (await server.http.post("/api/voice/session", json=GOOD, headers=key)).json()
    await server.http.delete(f"/api/voice/session/{made['session_id']}")
    assert_problem(await server.http.post("/api/voice/session", json=GOOD, headers=key), 409)


# -- LiveKit is away


async def test_without_livekit_nothing_is_created_and_the_answer_says_so_in_time(
    restartable_livekit: LiveKitServer, tmp_path: Path
) -> None:
    settings = settings_for(
        restartable_livekit, tmp_path / "data", switchboard_livekit_timeout_s=1.0
    )
    key = {"Idempotency-Key": "k"}
    async with open_api(settings) as server:
        restartable_livekit.kill()
        began = utc_now()
        reply = await server.http.post("/api/voice/session", json=GOOD, headers=key)
        assert utc_now() - began < timedelta(seconds=2)
        found = assert_problem(reply, 503)
        assert found["code"] == "livekit_unavailable"
        assert "Cannot reach LiveKit" in found["detail"]
        assert found["hint"]
        assert reply.headers["retry-after"]
        assert (await server.http.get("/api/voice/sessions")).json()["sessions"] == []
        assert (await server.http.get("/api/health")).status_code == 200
        ready = await server.http.get("/api/ready")
        assert ready.status_code == 503

        restartable_livekit.start()
        await eventually(lambda: server.runtime.rooms.snapshot.error is None)
        assert server.runtime.rooms.snapshot.rooms == ()
        again = await server.http.post("/api/voice/session", json=GOOD, headers=key)
        assert again.status_code == 201  # the same key works once LiveKit is back
        await eventually(lambda: len(server.runtime.rooms.snapshot.rooms) == 1)


async def test_a_silent_livekit_gives_503_within_the_timeout(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with open_silent_server() as silent:
        settings = settings_for(
            livekit_server,
            tmp_path / "data",
            livekit_url=silent.url,
            switchboard_livekit_timeout_s=0.3,
        )
        async with open_api(settings) as server:
            began = utc_now()
            reply = await server.http.post("/api/voice/session", json=GOOD)
            assert utc_now() - began < timedelta(seconds=1.5)
            assert assert_problem(reply, 503)["code"] == "livekit_timeout"
            assert (await server.http.get("/api/voice/sessions")).json()["sessions"] == []


async def test_a_wrong_key_is_told_apart_from_an_absent_server(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    settings = settings_for(livekit_server, tmp_path / "data", livekit_api_key="APIwrong")
    async with open_api(settings) as server:
        reply = await server.http.post("/api/voice/session", json=GOOD)
        found = assert_problem(reply, 502)
        assert found["code"] == "livekit_rejected"
        assert "LIVEKIT_API_SECRET" in found["hint"]


# -- reading and ending


async def test_a_session_is_read_listed_given_a_new_token_and_ended(server: ApiServer) -> None:
    made = await server.create()
    path = f"/api/voice/session/{made['session_id']}"
    read = await server.session(made["session_id"])
    assert "token" not in read
    assert read["room_name"] == made["room_name"]
    token = await server.http.post(f"{path}/token", json={"participant_identity": "second"})
    assert token.status_code == 201
    assert token.json()["participant_identity"] == "second"
    assert (await server.http.post(f"{path}/token")).json()["participant_identity"] == made[
        "participant_identity"
    ]
    ended = await server.http.delete(path)
    assert (ended.status_code, ended.json()["status"]) == (200, "ended")
    assert ended.json()["ended_certainty"] == "observed"
    assert (await server.http.delete(path)).json()["ended_at"] == ended.json()["ended_at"]
    assert_problem(await server.http.post(f"{path}/token"), 409)


UNKNOWN: Final = (
    "x", "ses_" + "0" * 32, "ses_%00", "%00", "..%2f..", "ses_" + "0" * 3000, "%F0%9F%8E%A7",
)  # fmt: skip


async def test_an_unknown_session_is_not_found_whatever_its_name(
    server: ApiServer, subtests: pytest.Subtests
) -> None:
    for session_id in UNKNOWN:
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/token")):
            with subtests.test(session_id=session_id[:80], method=method):
                reply = await server.http.request(method, f"/api/voice/session/{session_id}{path}")
                assert_problem(reply, 404)


WRONG_QUERIES: Final = [
    ("limit=0", "limit"),
    ("limit=501", "limit"),
    ("limit=x", "limit"),
    ("status=open", "status.0"),
    ("cursor=x", "cursor"),
    ("cursor=%C3%BC", "cursor"),
    ("cursor=" + "x" * 600, "cursor"),
    ("sort=loudest", "sort"),
    ("sort=assignees", "sort"),
    ("agent=echo", "agent"),
    ("max_turns=-1", "max_turns"),
    ("verdict=great", "verdict"),
    ("min_latency_max_ms=-1", "min_latency_max_ms"),
    ("mark=node%7Croute&mark_over_ms=nan", "mark_over_ms"),
    ("q=" + "x" * 300, "q"),
    ("created_after=yesterday", "created_after"),
    ("created_after=2026-01-01T00:00:00", "created_after"),
    ("created_before=0001-01-01T00:00:00%2B23:59", "created_before"),
]


async def test_a_wrong_query_is_refused_with_the_parameter_named(
    server: ApiServer, subtests: pytest.Subtests
) -> None:
    for query, field in WRONG_QUERIES:
        with subtests.test(query=query[:80]):
            assert_problem(await server.http.get(f"/api/voice/sessions?{query}"), 422, field)


async def test_filters_take_any_text(server: ApiServer) -> None:
    await server.create()
    for text in ("%00", "'; drop table sessions; --", "%25", "%F0%9F%8E%A7", "x" * 5000):
        for name in ("user_id", "agent_name", "room_name"):
            reply = await server.http.get(f"/api/voice/sessions?{name}={text}")
            assert (reply.status_code, reply.json()["sessions"]) == (200, [])
    assert len((await server.http.get("/api/voice/sessions?user_id=nate")).json()["sessions"]) == 1


async def test_the_list_goes_on_by_cursor_without_gaps(server: ApiServer) -> None:
    made = [(await server.create(user_id="pager"))["session_id"] for _ in range(5)]
    found: list[str] = []
    cursor = ""
    for _ in range(10):
        query = {"user_id": "pager", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await server.http.get("/api/voice/sessions", params=query)).json()
        found += [one["session_id"] for one in page["sessions"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == made[::-1]


async def test_sessions_are_found_by_what_was_noted_and_told_with_their_figures(
    server: ApiServer,
) -> None:
    made, _ = await server.create(user_id="ana"), await server.create(user_id="ben")
    where = f"/api/voice/session/{made['session_id']}"
    await server.http.post(f"{where}/notes", json={"text": "Grüne Laterne", "tags": ["odd"]})
    await server.http.post(f"{where}/verdict", json={"verdict": "fail"})
    query = {"q": "laterne grü", "tag": "odd", "verdict": "fail", "sort": "turns"}
    (found,) = (await server.http.get("/api/voice/sessions", params=query)).json()["sessions"]
    assert (found["session_id"], found["tags"], found["turns"]) == (made["session_id"], ["odd"], 0)
    assert (found["verdict"], found["provenance"]) == ("fail", "observed")
    nobody = await server.http.get("/api/voice/sessions", params={**query, "errors": "true"})
    assert nobody.json() == {"sessions": [], "next_cursor": None}


async def test_rooms_are_listed_read_and_ended(
    server: ApiServer, livekit_server: LiveKitServer, join_room: People
) -> None:
    made = await server.create()
    await join_room(livekit_server.target, made["room_name"], "guest")
    path = f"/api/rooms/{made['room_name']}"
    room = (await server.http.get(path)).json()
    assert room["people"] == 1
    assert [p["identity"] for p in room["participants"]] == ["guest"]
    names = [row["name"] for row in (await server.http.get("/api/rooms")).json()["rooms"]]
    assert made["room_name"] in names
    assert (await server.http.delete(path)).json() == {"ended": True}
    assert_problem(await server.http.delete(path), 404)
    assert_problem(await server.http.get(path), 404)


async def test_ending_a_room_that_is_not_there_does_not_close_its_name(server: ApiServer) -> None:
    assert_problem(await server.http.delete("/api/rooms/never-opened"), 404)
    made = await server.create(room_name="never-opened")
    await eventually(lambda: server.runtime.rooms.snapshot.get("never-opened"))
    assert (await server.session(made["session_id"]))["status"] == "created"


# -- nothing leaks


async def test_the_token_is_in_no_log_no_file_and_no_database(
    livekit_server: LiveKitServer, tmp_path: Path, join_room: People
) -> None:
    data = tmp_path / "data"
    secrets = [livekit_server.api_secret]
    async with open_api(settings_for(livekit_server, data)) as server:
        key = {"Idempotency-Key": "leak"}
        made: dict[str, Any] = {}
        for _ in range(2):
            made = (await server.http.post("/api/voice/session", json=GOOD, headers=key)).json()
            secrets.append(made["token"])
        await join_room(livekit_server.target, made["room_name"], token=made["token"])
        secrets += [token.split(".")[2] for token in secrets[1:]]
        await server.http.post(f"/api/voice/session/{made['session_id']}/token")
        await server.http.delete(f"/api/voice/session/{made['session_id']}")
        await server.http.post("/api/livekit/webhook", headers={"Authorization": made["token"]})
        assert_no_secrets_in_files(data, *secrets)
        assert (data / "switchboard.db").stat().st_size > 0
    assert_no_secrets_in_files(data, *secrets)


async def test_the_documentation_needs_nothing_from_outside(server: ApiServer) -> None:
    page = await server.http.get("/api/docs")
    assert page.status_code == 200
    links = re.findall(r"""(?:src|href)=["']([^"']+)|url: ?["']([^"']+)""", page.text)
    urls = {first or second for first, second in links}
    assert urls
    for url in urls:
        assert "://" not in url, url
        assert not url.startswith("//"), url
        assert (await server.http.get(url)).status_code == 200, url
    schema = (await server.http.get("/api/openapi.json")).json()
    assert "/voice/session" in json.dumps(list(schema["paths"]))
    assert "http://" not in page.text.replace("http://www.w3.org", "")


async def test_health_ready_and_metrics_answer(server: ApiServer) -> None:
    assert (await server.http.get("/api/health")).json()["status"] == "ok"

    async def ready() -> bool:
        return (await server.http.get("/api/ready")).status_code == 200

    await eventually(ready)
    metrics = (await server.http.get("/api/metrics")).text
    assert "switchboard_livekit_up 1.0" in metrics
    assert "switchboard_webhooks_refused 0.0" in metrics


async def test_agents_are_those_of_langgraph_json_and_unknown_workers_are_not_invented(
    server: ApiServer,
) -> None:
    found = (await server.http.get("/api/agents")).json()
    assert [agent["agent_id"] for agent in found["agents"]] == ["pm-agent", "echo"]
    assert found["workers"] is None
