"""Webhooks wait for writes under way, briefly; nothing else waits."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Scope, Send

from api.order import AnswersFirst
from tests.support.waiting import eventually


class App:
    """Notes what reaches it; paths in `held` are answered when their event is set."""

    def __init__(self, *held: str) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.go_on = {path: asyncio.Event() for path in held}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.append(scope["path"])
        if scope["path"] in self.go_on:
            await self.go_on[scope["path"]].wait()
        self.ended.append(scope["path"])


async def _receive() -> Message:
    return {"type": "http.disconnect"}


async def _send(message: Message) -> None:
    raise AssertionError(f"nothing is sent here: {message}")


def ask(app: AnswersFirst, path: str, method: str = "POST") -> asyncio.Task[None]:
    async def asked() -> None:
        await app({"type": "http", "method": method, "path": path}, _receive, _send)

    return asyncio.create_task(asked())


WEBHOOK = "/api/livekit/webhook"


async def test_a_webhook_comes_after_the_write_that_is_under_way() -> None:
    inner = App("/api/write")
    app = AnswersFirst(inner)
    write = ask(app, "/api/write")
    await eventually(lambda: inner.begun == ["/api/write"])
    webhook = ask(app, WEBHOOK)
    await asyncio.sleep(0)
    inner.go_on["/api/write"].set()
    await asyncio.gather(write, webhook)
    assert inner.ended == ["/api/write", WEBHOOK]


async def test_a_write_that_hangs_holds_no_webhook_back_for_long() -> None:
    inner = App("/api/write")
    app = AnswersFirst(inner)
    write = ask(app, "/api/write")
    await eventually(lambda: inner.begun == ["/api/write"])
    await ask(app, WEBHOOK)
    assert inner.ended == [WEBHOOK]
    inner.go_on["/api/write"].set()
    await write


async def test_a_stream_that_is_read_holds_nothing_back() -> None:
    inner = App("/api/live")
    app = AnswersFirst(inner)
    stream = ask(app, "/api/live", "GET")
    await eventually(lambda: inner.begun == ["/api/live"])
    webhook = ask(app, WEBHOOK)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert webhook.done()
    inner.go_on["/api/live"].set()
    await stream
