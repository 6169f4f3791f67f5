"""What is refused before it is read: large bodies, foreign hosts, foreign origins."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.types import Message, Receive, Scope, Send

from api import problems
from api.limits import BodyLimit, CsrfGuard
from services.settings import LOOPBACK

LIMIT = 1000


def client(hosts: frozenset[str] | None = LOOPBACK) -> httpx.AsyncClient:
    app = FastAPI()
    problems.install(app)

    @app.post("/json")
    async def take(body: dict[str, object]) -> dict[str, int]:
        return {"keys": len(body)}

    @app.post("/raw")
    async def raw(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @app.get("/read")
    async def read() -> dict[str, str]:
        return {"said": "hello"}

    app.add_middleware(BodyLimit, limit_bytes=LIMIT)
    app.add_middleware(CsrfGuard, hosts=lambda: hosts, origins=frozenset)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8501")


async def chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(0, total, 100):
        yield b" " * 100


@pytest.mark.parametrize("path", ["/json", "/raw"])
async def test_a_body_over_the_limit_is_refused_by_its_header(path: str) -> None:
    async with client() as http:
        reply = await http.post(path, content=b" " * (LIMIT + 1))
    assert_too_large(reply)


@pytest.mark.parametrize("path", ["/json", "/raw"])
async def test_a_chunked_body_is_refused_as_soon_as_it_is_over_the_limit(path: str) -> None:
    read: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            read.append(1)
            assert len(read) < 100, "it was read on after the limit"
            yield b" " * 100

    headers = {"content-type": "application/json"}
    async with client() as http:
        reply = await http.post(path, content=endless(), headers=headers)
    assert_too_large(reply)


async def test_a_header_that_lies_does_not_get_a_large_body_in() -> None:
    headers = {"content-length": "5", "content-type": "application/json"}
    async with client() as http:
        reply = await http.post("/raw", content=chunks(LIMIT * 3), headers=headers)
    assert_too_large(reply)


async def test_a_body_at_the_limit_is_taken_with_and_without_a_length() -> None:
    async with client() as http:
        assert (await http.post("/raw", content=b" " * LIMIT)).json() == {"bytes": LIMIT}
        assert (await http.post("/raw", content=chunks(LIMIT))).json() == {"bytes": LIMIT}
        assert (await http.post("/json", json={"a": 1})).json() == {"keys": 1}


def assert_too_large(reply: httpx.Response) -> None:
    assert reply.status_code == 413
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.json()["code"], reply.json()["field"]) == ("too_large", "body")
    assert "1,000 bytes" in reply.json()["detail"]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8501", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST:8501"]
)
async def test_our_own_hosts_are_answered(host: str) -> None:
    async with client() as http:
        assert (await http.get("/read", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8501", "", "[::1", "[", "@", "a b",
     "localhost@evil.example", "0.0.0.0", "192.168.1.2:8501"],
)  # fmt: skip
async def test_a_foreign_host_is_refused_because_of_dns_rebinding(host: str) -> None:
    async with client() as http:
        reply = await http.get("/read", headers={"host": host})
    assert reply.status_code == 403
    assert reply.json()["code"] == "permission_denied"
    assert "SWITCHBOARD_ALLOWED_HOSTS" in reply.json()["hint"]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost.evil.example", "http://[", "file://", "x"],
)
async def test_a_page_of_another_origin_may_not_write(origin: str) -> None:
    async with client() as http:
        for method in ("POST", "DELETE", "PUT", "PATCH"):
            reply = await http.request(method, "/raw", headers={"origin": origin})
            assert reply.status_code == 403, method
        assert (await http.get("/read", headers={"origin": origin})).status_code == 200


async def test_our_own_pages_and_programs_without_an_origin_may_write() -> None:
    async with client() as http:
        assert (await http.post("/raw")).status_code == 200
        own = {"origin": "http://localhost:8501"}
        assert (await http.post("/raw", headers=own)).status_code == 200


async def test_allowed_hosts_are_answered_and_their_pages_may_write() -> None:
    async with client(LOOPBACK | {"calls.example"}) as http:
        headers = {"host": "calls.example", "origin": "https://calls.example"}
        assert (await http.post("/raw", headers=headers)).status_code == 200
        headers = {"host": "calls.example", "origin": "https://evil.example"}
        assert (await http.post("/raw", headers=headers)).status_code == 403


async def test_where_others_guard_the_door_any_host_is_answered_but_no_foreign_origin() -> None:
    async with client(None) as http:
        assert (await http.get("/read", headers={"host": "any.example"})).status_code == 200
        headers = {"host": "any.example", "origin": "https://evil.example"}
        assert (await http.post("/raw", headers=headers)).status_code == 403


async def test_a_refusal_repeats_the_host_as_data() -> None:
    async with client() as http:
        reply = await http.get("/read", headers={"host": '"><script>'})
    assert reply.headers["content-type"] == "application/problem+json"
    assert json.loads(reply.text)["status"] == 403


async def handshake(**headers: str) -> list[str]:
    """The kinds of message that a WebSocket's handshake with these headers is answered by."""
    sent: list[str] = []

    async def accepts(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(str(message["type"]))

    app = CsrfGuard(accepts, hosts=lambda: LOOPBACK, origins=frozenset)
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await app({"type": "websocket", "path": "/live", "headers": raw}, receive, send)
    return sent


async def test_a_browsers_websocket_is_looked_at_as_a_write_is() -> None:
    refused = ["websocket.http.response.start", "websocket.http.response.body"]
    assert await handshake(host="localhost:8501", origin="https://evil.example") == refused
    assert await handshake(host="evil.example", origin="http://evil.example") == refused
    assert await handshake(host="evil.example", origin="http://localhost:8501") == refused
    own = await handshake(host="localhost:8501", origin="http://localhost:8501")
    assert own == ["websocket.accept"]


async def test_a_programs_websocket_names_no_origin_and_proves_itself_otherwise() -> None:
    assert await handshake(host="dashboard:8501") == ["websocket.accept"]
