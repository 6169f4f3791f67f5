"""livekit-server's log: parsed, followed, and read for the workers it tells of."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.livekit.server_log import (
    LogReader,
    WorkerObserver,
    follow,
)
from services.processes.log_file import last_words, parse_line, tail
from tests.support.waiting import eventually

STARTED = '{"level": "info", "ts": 1795520681.0, "logger": "guard", "msg": "server process started", "pid": 7}'
ENDED = '{"level": "info", "ts": 1795520690.0, "logger": "guard", "msg": "server process ended", "code": 2}'


def logged(msg: str, level: str = "info", ts: float = 1795520681.5, **fields: object) -> str:
    entry = {"level": level, "ts": ts, "logger": "livekit.agents", "caller": "x/y.go:1"}
    return json.dumps({**entry, "msg": msg, **fields})


def registered(worker_id: str, agent_name: str = "pm-agent", job_type: object = "JT_ROOM") -> str:
    return logged(
        "worker registered",
        namespace="",
        jobType=job_type,
        agentName=agent_name,
        workerID=worker_id,
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


def append(log: Path, *lines: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def rotate(log: Path) -> None:
    log.replace(log.with_name("server.log.1"))
    log.touch()


def test_a_line_is_parsed_with_its_fields() -> None:
    line = parse_line(registered("AW_1"))
    assert (line.message, line.level, line.logger) == (
        "worker registered",
        "info",
        "livekit.agents",
    )
    assert line.at == datetime(2026, 11, 24, 11, 44, 41, 500_000, tzinfo=UTC)
    assert line.fields["workerID"] == "AW_1"
    assert "msg" not in line.fields


@pytest.mark.parametrize(
    "text", ["", "listen tcp 127.0.0.1:7880: bind: address already in use", "[1]", "3", '{"a": ']
)
def test_a_line_that_is_no_log_entry_is_its_own_message(text: str) -> None:
    line = parse_line(text)
    assert (line.message, line.level, line.at) == (text, "", None)


@pytest.mark.parametrize("ts", ["soon", 1e300, None, -1e300])
def test_a_time_that_is_none_is_left_out(ts: object) -> None:
    assert parse_line(json.dumps({"msg": "x", "ts": ts})).at is None


def test_the_tail_is_the_end_of_the_log_oldest_first(log: Path) -> None:
    append(log, *(f"line {n} {'x' * 100}" for n in range(5000)))
    found = tail(log, 3000)
    assert len(found) == 3000
    assert found[0].startswith("line 2000 ")
    assert found[-1].startswith("line 4999 ")
    assert tail(log, 1) == found[-1:]


def test_the_tail_reaches_into_the_rotated_file(log: Path) -> None:
    append(log, "one", "two")
    rotate(log)
    append(log, "three")
    assert tail(log, 2) == ("two", "three")
    assert tail(log, 9) == ("one", "two", "three")


def test_the_tail_of_nothing_is_empty(log: Path) -> None:
    assert tail(log, 10) == ()
    append(log, "one")
    assert tail(log, 0) == ()


def test_a_reader_begins_at_the_present_end(log: Path) -> None:
    append(log, "before")
    reader = LogReader(log)
    assert reader.read() == []
    append(log, "after", "ü")
    assert reader.read() == ["after", "ü"]
    assert reader.read() == []


def test_a_reader_waits_for_a_file_that_is_not_there_yet(log: Path) -> None:
    reader = LogReader(log)
    assert reader.read() == []
    append(log, "first")
    assert reader.read() == ["first"]


def test_a_reader_gives_whole_lines_only(log: Path) -> None:
    log.touch()
    reader = LogReader(log)
    with log.open("a", encoding="utf-8") as file:
        file.write("half")
        file.flush()
        assert reader.read() == []
        file.write(" and half\n")
    assert reader.read() == ["half and half"]


def test_a_reader_loses_nothing_at_a_rotation(log: Path) -> None:
    append(log, "old")
    reader = LogReader(log)
    append(log, "one")
    rotate(log)
    append(log, "two")
    assert reader.read() == ["one", "two"]


def test_a_reader_begins_again_where_the_file_was_emptied(log: Path) -> None:
    append(log, "old, and long")
    reader = LogReader(log)
    log.write_text("new\n")
    assert reader.read() == ["new"]


def test_workers_come_and_go() -> None:
    observer = WorkerObserver()
    assert observer.feed([STARTED, registered("AW_1"), registered("AW_2", "echo", 1)])
    assert [(w.worker_id, w.agent_name, w.job_type) for w in observer.workers] == [
        ("AW_1", "pm-agent", "room"),
        ("AW_2", "echo", "publisher"),
    ]
    gone = logged("last worker deregistered", agentName="pm-agent", workerID="AW_1")
    assert observer.feed([gone])
    assert [w.worker_id for w in observer.workers] == ["AW_2"]


def test_a_worker_that_is_not_the_last_of_its_name_is_seen_to_go() -> None:
    """ "last worker deregistered" tells of the last one only; "closing worker" of each."""
    observer = WorkerObserver()
    observer.feed([registered("AW_1"), registered("AW_2")])
    assert observer.feed([logged("closing worker", agentName="pm-agent", workerID="AW_1")])
    assert [w.worker_id for w in observer.workers] == ["AW_2"]


@pytest.mark.parametrize("line", [STARTED, ENDED])
def test_no_worker_outlives_the_server(line: str) -> None:
    observer = WorkerObserver()
    observer.feed([registered("AW_1")])
    assert observer.feed([line])
    assert observer.workers == ()


def test_other_lines_change_nothing() -> None:
    observer = WorkerObserver()
    observer.feed([registered("AW_1")])
    forged = logged("participant joined", identity='"worker registered" workerID AW_9')
    said = [
        "worker registered",
        logged("worker registered"),
        forged,
        logged("job", workerID="AW_1"),
    ]
    assert not observer.feed(said)
    assert [w.worker_id for w in observer.workers] == ["AW_1"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["listen tcp 127.0.0.1:1: bind: address already in use"], "address already in use"),
        (["panic: oh", "", "goroutine 1 [running]:", "main.main()"], "panic: oh"),
        (["goroutine 1 [running]:", "fatal error: out of memory"], "fatal error: out of memory"),
        ([logged("could not start", "error", 1795520689.0, error="no luck")], "start: no luck"),
        ([logged("long ago", "error", 1795520600.0)], ""),
        ([logged("all is well")], ""),
        ([], ""),
    ],
)
def test_the_last_words_say_why_it_ended(log: Path, said: list[str], words: str) -> None:
    append(log, STARTED, "an older run's words", ENDED, STARTED, *said, ENDED)
    assert words in last_words(log)
    assert bool(words) == bool(last_words(log))


async def test_following_hands_over_what_is_new(log: Path) -> None:
    seen: list[str] = []
    task = asyncio.create_task(follow(LogReader(log), seen.extend, every_s=0.01))
    append(log, "one")
    await eventually(lambda: seen == ["one"])
    append(log, "two", "three")
    await eventually(lambda: seen == ["one", "two", "three"])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
