"""Every error of the API has one shape: RFC 9457 problem+json with a stable type."""

from __future__ import annotations

import logging
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Query
from pydantic import BaseModel, Field

from api import problems
from services.errors import (
    InvalidInputError,
    LiveKitTimeoutError,
    LiveKitUnavailableError,
    NotFoundError,
    SwitchboardError,
)


class Inner(BaseModel):
    size: int = Field(gt=0)


class Body(BaseModel):
    name: str
    inner: list[Inner] = Field(default_factory=list)


def client(error: Exception | None = None) -> httpx.AsyncClient:
    app = FastAPI()
    problems.install(app)

    @app.get("/fail")
    async def fail() -> None:
        assert error is not None
        raise error

    @app.post("/take")
    async def take(body: Body, limit: Annotated[int, Query(ge=1)] = 1) -> Body:
        return body

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def assert_problem(reply: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    found: dict[str, object] = reply.json()
    assert {"type", "title", "status", "detail", "code", "hint"} <= set(found)
    assert found["type"] == f"urn:switchboard:problem:{code}"
    assert (found["status"], found["code"]) == (status, code)
    return found


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (NotFoundError("No such room.", hint="Look again."), None),
        (LiveKitUnavailableError("Away.", hint="Wait."), "2"),
        (LiveKitTimeoutError("Late."), "2"),
        (InvalidInputError("Wrong.", field="user_id"), None),
    ],
)
async def test_our_errors_keep_their_words_code_and_status(
    error: SwitchboardError, retry_after: str | None
) -> None:
    async with client(error) as http:
        reply = await http.get("/fail")
    found = assert_problem(reply, error.http_status, error.code)
    assert (found["detail"], found["hint"]) == (error.message, error.hint)
    assert found.get("field") == error.field
    assert reply.headers.get("retry-after") == retry_after


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{}", "name"),
        ('{"name": 5}', "name"),
        ('{"name": "n", "inner": [{"size": 0}]}', "inner.0.size"),
        ('{"name": "n", "inner": {}}', "inner"),
        ("[]", "body"),
        ("5", "body"),
        ("", "body"),
        ("{", "body"),
        ('{"name"', "body"),
    ],
)
async def test_a_wrong_body_names_the_field(body: str, field: str) -> None:
    async with client() as http:
        headers = {"content-type": "application/json"}
        reply = await http.post("/take", content=body, headers=headers)
    found = assert_problem(reply, 422, "invalid_argument")
    assert found["field"] == field
    assert field in str(found["detail"])


async def test_a_wrong_query_names_the_parameter() -> None:
    async with client() as http:
        reply = await http.post("/take?limit=0", json={"name": "n"})
    assert assert_problem(reply, 422, "invalid_argument")["field"] == "limit"


async def test_what_the_caller_sent_is_not_repeated() -> None:
    async with client() as http:
        reply = await http.post("/take", json={"name": ["<script>private</script>"]})
    assert "private" not in reply.text


async def test_unknown_paths_and_methods_are_problems_too() -> None:
    async with client() as http:
        assert_problem(await http.get("/nowhere"), 404, "not_found")
        reply = await http.put("/fail")
        assert_problem(reply, 405, "method_not_allowed")
        assert reply.headers["allow"] == "GET"


async def test_a_fault_of_ours_is_logged_and_says_nothing_of_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        async with client(RuntimeError("inner words")) as http:
            reply = await http.get("/fail")
    found = assert_problem(reply, 500, "internal")
    assert "inner words" not in reply.text
    assert "RuntimeError" in str(found["detail"])
    assert any("unexpected error" in record.message for record in caplog.records)
