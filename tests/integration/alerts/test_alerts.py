"""Alert rules on a real server and both databases: what they find, and how it is posted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.alerts.evaluator import Alerts
from services.alerts.rules import KINDS, AlertRule, Severity, Watch
from services.alerts.webhook import Poster
from services.errors import InvalidInputError, NotFoundError, UnavailableError
from services.store.alert_store import AlertRecord
from tests.integration.reviews.test_review_queue import call
from tests.support.api_server import ApiServer, Wired
from tests.support.callers import person
from tests.support.ports import free_port
from tests.support.waiting import eventually

SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, or so").decode()


@dataclass
class Receiver:
    """Takes posts; answers with the codes of `answers` first, then 204."""

    url: str
    answers: list[int] = field(default_factory=list)
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.posts]


@contextmanager
def open_receiver() -> Iterator[Receiver]:
    port = free_port()
    receiver = Receiver(f"http://127.0.0.1:{port}/hook")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.posts.append(({k.lower(): v for k, v in self.headers.items()}, body))
            code = receiver.answers.pop(0) if receiver.answers else 204
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    os_thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    os_thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        os_thread.join(timeout=5)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as opened:
        yield opened


@pytest_asyncio.fixture
async def server(wired: Wired, any_store_url: str, receiver: Receiver) -> AsyncIterator[ApiServer]:
    given = {
        "database_url": SecretStr(any_store_url),
        "switchboard_alert_webhook_url": receiver.url,
        "switchboard_alert_webhook_secret": SecretStr(SECRET),
        "switchboard_url": "https://switchboard.example",
    }
    async with wired.api(**given) as opened:
        yield opened


def alerts_of(server: ApiServer) -> Alerts:
    return server.runtime.alerts


async def keep(server: ApiServer, watch: Watch, threshold: float, **given: Any) -> AlertRule:
    rule = AlertRule(name=watch.value, watch=watch, threshold=threshold, **given)
    alerts = alerts_of(server)
    await server.runtime.acall(lambda: alerts.save_rule(rule, actor=person("ana")))
    return rule


async def firing(server: ApiServer) -> tuple[AlertRecord, ...]:
    await server.runtime.acall(alerts_of(server).look)
    return alerts_of(server).firing


async def test_a_missing_agent_is_told_signed_and_so_is_its_end(
    server: ApiServer, receiver: Receiver
) -> None:
    made = await server.create()
    await keep(server, Watch.AGENT_MISSING, 5, severity=Severity.CRITICAL)

    async def begun() -> bool:
        return len(await firing(server)) == 1

    await eventually(begun)
    await eventually(lambda: len(receiver.posts) == 1)
    headers, body = receiver.posts[0]
    told = json.loads(body)
    assert told["type"] == "alert.began"
    assert told["data"]["session_id"] == made["session_id"]
    assert told["data"]["severity"] == "critical"
    assert told["data"]["url"] == f"https://switchboard.example/session?id={made['session_id']}"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{right}"

    await server.http.delete(f"/api/voice/session/{made['session_id']}")

    async def ended() -> bool:
        return not await firing(server)

    await eventually(ended)
    await eventually(lambda: len(receiver.posts) == 2)
    assert receiver.bodies()[1]["type"] == "alert.ended"
    assert receiver.bodies()[1]["data"]["ended_at"] is not None
    store = server.runtime.store

    async def kept() -> bool:
        (one,) = await server.runtime.acall(lambda: store.alerts.newest(limit=5))
        return one.posted and one.post_error == "" and one.ended_at is not None

    await eventually(kept)


async def test_figures_are_watched(server: ApiServer) -> None:
    for number in range(5):
        await call(server, f"u{number}", answers=(3_000.0,), failed=number == 0)
    await keep(server, Watch.ERRORS, 25)
    assert await firing(server) == ()
    await keep(server, Watch.ERRORS, 10)
    await keep(server, Watch.STUCK, 3600)
    await keep(server, Watch.WEBHOOKS, 1000)
    (errors,) = await firing(server)
    assert errors.text == "Errors in 1 of 5 sessions of the last hour."
    assert await firing(server) == (errors,)  # the same thing, not one more


async def test_a_rule_that_is_deleted_or_off_ends_what_it_found(server: ApiServer) -> None:
    for number in range(5):
        await call(server, f"u{number}", failed=True)
    rule = await keep(server, Watch.ERRORS, 0)
    assert len(await firing(server)) == 1
    alerts = alerts_of(server)
    off = AlertRule(name=rule.name, watch=rule.watch, threshold=0, enabled=False)
    await server.runtime.acall(lambda: alerts.save_rule(off, actor=person("ana")))
    assert await firing(server) == ()
    await server.runtime.acall(lambda: alerts.delete_rule(rule.name, actor=person("ana")))
    assert await server.runtime.acall(alerts.rules) == ()
    (one,) = await server.runtime.acall(lambda: alerts.history())
    assert one.ended_at is not None


async def test_quiet_time_keeps_the_same_from_being_posted_again(
    server: ApiServer, receiver: Receiver
) -> None:
    for number in range(5):
        await call(server, f"u{number}", failed=True)
    alerts = alerts_of(server)
    for _ in range(2):
        await keep(server, Watch.ERRORS, 0, quiet_min=60)
        assert len(await firing(server)) == 1
        await server.runtime.acall(
            lambda: alerts.delete_rule(Watch.ERRORS.value, actor=person("ana"))
        )
        assert await firing(server) == ()
    await eventually(lambda: len(receiver.posts) >= 2)
    assert [one["type"] for one in receiver.bodies()] == ["alert.began", "alert.ended"]
    assert len(await server.runtime.acall(lambda: alerts.history())) == 2


async def test_what_was_the_matter_is_known_after_a_restart(
    wired: Wired, store_url: str, receiver: Receiver
) -> None:
    given: dict[str, Any] = {
        "database_url": SecretStr(store_url),
        "switchboard_alert_webhook_url": receiver.url,
    }
    async with wired.api(**given) as server:
        for number in range(5):
            await call(server, f"u{number}", failed=True)
        await keep(server, Watch.ERRORS, 0)
        (before,) = await firing(server)
        await eventually(lambda: len(receiver.posts) == 1)
    async with wired.api(**given) as server:
        (after,) = await firing(server)
        assert (after.id, after.began_at) == (before.id, before.began_at)
        assert len(await server.runtime.acall(lambda: alerts_of(server).history())) == 1
    assert len(receiver.posts) == 1


async def test_a_rule_is_tested(server: ApiServer, receiver: Receiver) -> None:
    alerts = alerts_of(server)
    await keep(server, Watch.WORKER, 5)
    test = "worker_down"
    assert await server.runtime.acall(lambda: alerts.test(test, actor=person("ana"))) == 0
    assert receiver.bodies()[0]["type"] == "alert.test"
    receiver.answers = [500]
    with pytest.raises(UnavailableError, match="HTTP 500"):
        await server.runtime.acall(lambda: alerts.test(test, actor=person("ana")))
    with pytest.raises(NotFoundError):
        await server.runtime.acall(lambda: alerts.test("none", actor=person("ana")))
    assert await server.runtime.acall(lambda: alerts.history()) == ()


async def test_what_is_not_taken_is_tried_again_and_then_given_up(receiver: Receiver) -> None:
    poster = Poster(receiver.url, SecretStr(""), pauses_s=(0.01, 0.01))
    receiver.answers = [500, 302]
    posted = await poster.post("alt_1_began", 1, {"a": 1})
    assert (posted.tries, posted.error) == (3, "")
    assert {headers["webhook-id"] for headers, _ in receiver.posts} == {"alt_1_began"}
    assert "webhook-signature" not in receiver.posts[0][0]
    receiver.answers = [400, 400, 400]
    assert (await poster.post("alt_2_began", 1, {})).error == "HTTP 400"
    nobody = Poster(f"http://127.0.0.1:{free_port()}/", SecretStr("x"), pauses_s=())
    assert (await nobody.post("alt_3_began", 1, {})).error == "ClientConnectorError"


@pytest.mark.parametrize("watch", list(Watch))
async def test_a_rule_that_makes_no_sense_is_refused(watch: Watch) -> None:
    kind = KINDS[watch]
    good = AlertRule(name="  a  b ", watch=watch, threshold=kind.usual).checked()
    assert good.name == "a b"
    for bad in (
        AlertRule(name=" ", watch=watch, threshold=kind.usual),
        AlertRule(name="x" * 81, watch=watch, threshold=kind.usual),
        AlertRule(name="x", watch=watch, threshold=kind.most + 1),
        AlertRule(name="x", watch=watch, threshold=kind.least - 1),
        AlertRule(name="x", watch=watch, threshold=kind.usual, quiet_min=-1),
    ):
        with pytest.raises(InvalidInputError):
            bad.checked()
