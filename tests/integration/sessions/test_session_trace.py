"""A session for those who look inside or take it away: its trace, its states, its exports."""

from __future__ import annotations

import ast
import asyncio
import csv
import io
import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.agents.session_feed import VALUES_BYTES, session_topic
from services.clock import utc_now
from services.live.hub import read
from tests.support.api_server import ApiServer, Wired
from tests.support.job_stream import JobStream, open_stream
from tests.support.waiting import eventually

HOSTILE = '=cmd()|\'<script>alert(1)</script> --> مرحبا 😀 & "quoted"\nline two'


@pytest.fixture
async def server(wired: Wired, any_store_url: str) -> AsyncIterator[ApiServer]:
    async with wired.api(database_url=SecretStr(any_store_url)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _addresses_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """httpx logs each address, and a ticket stands in it as in a browser's."""
    caplog.set_level(logging.WARNING, "httpx")


@pytest.fixture
async def made(server: ApiServer, wired: Wired) -> dict[str, Any]:
    """A session of which a recorder told a turn, a tool, and a short and a long state."""
    made = await server.create()
    async with open_stream(
        f"http://127.0.0.1:{wired.port}", wired.target, made["room_name"], stream_id="str_x"
    ) as job:
        await tell(job)
    return made


async def tell(job: JobStream) -> None:
    now = utc_now()

    def at(seconds: float) -> datetime:
        return now + timedelta(seconds=seconds)

    ids = {"run": "r", "task": "t", "node": "ask", "step": 1, "ns": ""}
    said = {"role": "user", "id": "m1", "text": HOSTILE, "metrics": {}}
    answer = {"role": "assistant", "id": "m2", "text": "Yes.", "interrupted": True, "metrics": {}}
    await job.send(
        job.record("user_state_changed", at(0), old="listening", new="speaking"),
        job.record("user_state_changed", at(1), old="speaking", new="listening"),
        job.record("conversation_item_added", at(1), **said),
        job.record("node_started", at(1.1), **ids),
        job.record("tool_started", at(1.2), call="c", tool="look_up", node="ask", args={}),
        job.record("tool_finished", at(1.3), call="c", tool="look_up", ms=100, error="no"),
        job.record("node_finished", at(1.5), **ids, ms=400, update={}, error=None),
        job.record("checkpoint_saved", at(1.6), run="r", step=1, values={"a": 1}, changed=["a"]),
        job.record("checkpoint_saved", at(1.7), run="r", step=2, values={"a": "x" * VALUES_BYTES}),
        job.record("conversation_item_added", at(2), **answer),
        job.record("node_started", at(3), **{**ids, "task": "never"}),
    )


def ticket(server: ApiServer, *topics: str) -> str:
    return server.runtime.tickets.issue(topics)


async def trace(server: ApiServer, session_id: str, **params: Any) -> dict[str, Any]:
    params = {"ticket": ticket(server, session_topic(session_id)), **params}
    reply = await server.http.get(f"/api/voice/session/{session_id}/trace", params=params)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def export(server: ApiServer, session_id: str, wanted: str) -> httpx.Response:
    where = f"/api/voice/session/{session_id}/export"
    reply = await server.http.get(where, params={"format": wanted})
    assert reply.status_code == 200, reply.text
    assert session_id in reply.headers["content-disposition"]
    return reply


async def test_the_trace_has_every_event_in_pages_and_no_states_values(
    server: ApiServer, made: dict[str, Any]
) -> None:
    session_id = made["session_id"]
    whole = await trace(server, session_id)
    assert whole["session"]["open"] is True
    kinds = [event["kind"] for event in whole["events"]]
    assert {"session_created", "job_connected", "node_started", "checkpoint_saved"} <= set(kinds)
    saved = [event for event in whole["events"] if event["kind"] == "checkpoint_saved"]
    assert [event["data"]["step"] for event in saved] == [1, 2]
    assert all("values" not in event["data"] for event in saved)

    paged: list[str] = []
    page = await trace(server, session_id, limit=4)
    while page["more"]:
        paged += [event["id"] for event in page["events"]]
        page = await trace(server, session_id, limit=4, after=page["last"])
    paged += [event["id"] for event in page["events"]]
    before = [event["id"] for event in whole["events"]]
    assert paged[: len(before)] == before  # more may have happened meanwhile
    assert len(paged) == len(set(paged))


async def test_a_saved_state_is_given_whole_when_somebody_looks(
    server: ApiServer, made: dict[str, Any]
) -> None:
    session_id = made["session_id"]
    events = (await trace(server, session_id))["events"]
    short, long = (event["id"] for event in events if event["kind"] == "checkpoint_saved")
    params = {"ticket": ticket(server, session_topic(session_id))}
    where = f"/api/voice/session/{session_id}/saved"
    assert (await server.http.get(f"{where}/{short}", params=params)).json()["values"] == {"a": 1}
    found = (await server.http.get(f"{where}/{long}", params=params)).json()["values"]
    assert len(found["a"]) == VALUES_BYTES
    other = next(event["id"] for event in events if event["kind"] == "node_started")
    assert (await server.http.get(f"{where}/{other}", params=params)).json()["values"] is None
    assert (await server.http.get(f"{where}/nothing", params=params)).status_code == 404


async def test_only_the_sessions_own_ticket_opens_it(
    server: ApiServer, made: dict[str, Any]
) -> None:
    where = f"/api/voice/session/{made['session_id']}/trace"
    for wrong, status in ((ticket(server, "rooms"), 403), ("forged", 401), (None, 422)):
        params = {} if wrong is None else {"ticket": wrong}
        assert (await server.http.get(where, params=params)).status_code == status


async def test_the_live_topic_tells_every_event_once_and_leaves_long_states_out(
    server: ApiServer, wired: Wired
) -> None:
    made = await server.create()
    topic = session_topic(made["session_id"])
    runtime, rows = server.runtime, dict[str, dict[str, Any]]()

    async def listen() -> None:
        async for _, message in read(runtime.hub, (topic,)):
            if message is not None:
                body = json.loads(message.body)
                for row in [*body.get("rows", []), *body.get("upsert", [])]:
                    rows[row["id"]] = row

    listening = runtime.acall(listen, timeout_s=30)
    aio_task = asyncio.create_task(listening)
    url = f"http://127.0.0.1:{wired.port}"
    async with open_stream(url, wired.target, made["room_name"], stream_id="str_y") as job:
        await tell(job)
        await eventually(
            lambda: sum(row["kind"] == "checkpoint_saved" for row in rows.values()) == 2
        )
        await server.http.delete(f"/api/voice/session/{made['session_id']}")
        await eventually(lambda: any(row["kind"] == "session_ending" for row in rows.values()))
    aio_task.cancel()
    states = [row["data"] for row in rows.values() if row["kind"] == "checkpoint_saved"]
    assert ["values" in data for data in sorted(states, key=lambda one: one["step"])] == [
        True,
        False,
    ]
    sources = {row["source"] for row in rows.values()}
    assert {"agent", "system"} <= sources


async def test_a_session_is_exported_whole_as_json(server: ApiServer, made: dict[str, Any]) -> None:
    whole = json.loads((await export(server, made["session_id"], "json")).text)
    assert whole["schema"] == "switchboard.session/1"
    assert whole["session"]["id"] == made["session_id"]
    assert whole["turns"][0]["caller"] == HOSTILE
    states = [one["data"]["values"] for one in whole["events"] if one["kind"] == "checkpoint_saved"]
    assert states[0] == {"a": 1}
    assert len(states[1]["a"]) == VALUES_BYTES
    assert made["token"] not in json.dumps(whole)


async def test_the_transcript_is_safe_as_text_vtt_and_csv(
    server: ApiServer, made: dict[str, Any]
) -> None:
    session_id = made["session_id"]
    text = (await export(server, session_id, "txt")).text
    assert "Agent: Yes. [interrupted]" in text
    assert "Caller: =cmd()|" in text

    vtt = (await export(server, session_id, "vtt")).text
    assert vtt.startswith("WEBVTT\n\n00:0")
    cues = [line for line in vtt.splitlines() if " --> " in line]
    assert len(cues) == 2  # the arrow in what was said is none
    assert "<script>" not in vtt
    assert "&lt;script&gt;" in vtt

    rows = list(csv.DictReader(io.StringIO((await export(server, session_id, "csv")).text)))
    assert [row["who"] for row in rows] == ["Caller", "Agent"]
    assert rows[0]["text"] == f"'{HOSTILE}"
    assert rows[1]["interrupted"] == "yes"


async def test_the_timeline_opens_in_perfetto(server: ApiServer, made: dict[str, Any]) -> None:
    """The shape that Chrome's trace format documents: complete events, instants, names."""
    whole = json.loads((await export(server, made["session_id"], "chrome")).text)
    events = whole["traceEvents"]
    lanes = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    spans = [e for e in events if e["ph"] == "X"]
    assert all(isinstance(e["ts"], int) and e["dur"] >= 0 and e["tid"] in lanes for e in spans)
    named = {(lanes[e["tid"]], e["name"]): e for e in spans}
    assert named["Caller", "speaks"]["dur"] == pytest.approx(1_000_000, abs=1_000)
    assert named["Tools", "look_up"]["args"] == {"error": "no"}
    nodes = [e for e in spans if lanes[e["tid"]] == "Nodes"]
    assert len(nodes) == 2  # the one that never ended, too
    assert {e["ph"] for e in events} <= {"M", "X", "i"}
    assert any(e["ph"] == "i" and lanes[e["tid"]] == "Room" for e in events)


async def test_an_export_of_nothing_or_as_nothing_is_refused(
    server: ApiServer, made: dict[str, Any]
) -> None:
    gone = f"/api/voice/session/ses_{'0' * 32}/export"
    assert (await server.http.get(gone)).status_code == 404
    where = f"/api/voice/session/{made['session_id']}/export"
    assert (await server.http.get(where, params={"format": "exe"})).status_code == 422


async def test_a_session_as_a_test_holds_what_was_said_as_literals_alone(
    server: ApiServer, wired: Wired
) -> None:
    made = await server.create()
    where = f"/api/voice/session/{made['session_id']}/export"
    nothing = await server.http.get(where, params={"format": "pytest"})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "conflict")

    hostile = 'a"""\n\\ \u2028 {x} \'] + __import__("os").abort() # ' + HOSTILE
    ids = {"run": "r", "task": "t", "node": hostile, "step": 1, "ns": ""}
    human = {"type": "human", "id": "m1", "content": [{"type": "text", "text": hostile}]}
    cut = {"type": "ai", "id": "m2", "content": "long… [cut: 70,000 characters]"}
    url = f"http://127.0.0.1:{wired.port}"
    async with open_stream(url, wired.target, made["room_name"], stream_id="str_h") as job:
        now = utc_now()
        await job.send(
            job.record("run_started", now, run="r", thread_id="x", cause="message"),
            job.record("node_started", now, **ids),
            job.record("node_started", now, **{**ids, "ns": "sub", "node": "inner"}),
            job.record("checkpoint_saved", now, run="r", step=1, values={"messages": [human, cut]}),
            job.record("run_finished", now, run="r", ms=1, next=[], interrupts=[]),
            job.record("run_started", now, run="s", thread_id="x", cause="message"),
            job.record("node_started", now, **{**ids, "run": "s"}),
            job.record("run_failed", now, run="s", ms=1, error=hostile, cancelled=False),
        )
    text = (await server.http.get(where, params={"format": "pytest"})).text
    turns = next(
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TURNS"
    )
    assert isinstance(turns, ast.List)
    said, failed = (turn for turn in turns.elts if isinstance(turn, ast.Call))
    assert ast.literal_eval(said.args[0]) == hostile
    assert {word.arg: ast.literal_eval(word.value) for word in said.keywords} == {"path": hostile}
    assert ast.unparse(failed) == "Begins()"
