"""The way of an event: in order, exactly once, whatever happens to the dashboard, job or disk."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from switchboard_recorder import Delivered, Recorder, deliver_orphans
from switchboard_recorder.events import EVENT_BYTES, EventKind
from switchboard_recorder.journal import Journal
from switchboard_recorder.link import Address
from switchboard_recorder.protocol import Ack, Refusal, encode
from switchboard_recorder.spool import OLDEST_S, Owner, Spool
from switchboard_recorder.values import Plain
from tests.support.need import missing
from tests.support.recorder_desk import KEY, SECRET, Desk, frame_of, open_desk
from tests.support.recorders import QUICK, hello, new_recorder, recording
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]


def numbers(desk: Desk, stream_id: str = "str_1") -> list[int]:
    """What the events "step" said, as they were committed."""
    return [data["number"] for data in desk.streams[stream_id].of("step")]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_events_come_in_order_numbered_from_one_and_end_with_a_good_bye(
    tmp_path: Path,
) -> None:
    async with open_desk() as desk:
        async with recording(desk, tmp_path) as recorder:
            for number in range(1_000):
                recorder.emit("step", number=number)
        assert numbers(desk) == list(range(1_000))
        assert desk.told.seqs == list(range(1, 1_002))
        assert desk.told.kinds[-1] == EventKind.JOB_ENDED
        assert [bye.last_seq for bye in desk.told.byes] == [1_001]
        assert (desk.told.repeated, desk.told.lost, desk.rejected) == (0, 0, [])


async def test_what_is_safe_leaves_no_file_behind(tmp_path: Path) -> None:
    async with open_desk() as desk:
        async with recording(desk, tmp_path) as recorder:
            recorder.emit("step", number=0)
            assert await eventually(lambda: files(tmp_path))
        assert list(tmp_path.iterdir()) == []


async def test_a_socket_that_breaks_again_and_again_costs_nothing(tmp_path: Path) -> None:
    async with open_desk() as desk:
        desk.drop_every = 2
        async with recording(desk, tmp_path) as recorder:
            for number in range(200):
                recorder.emit("step", number=number)
                if number % 20 == 19:
                    await desk.until(lambda desk, most=number + 1: desk.count == most)
            desk.drop_every = 0
        assert numbers(desk) == list(range(200))
        assert len(desk.told.hellos) > 1
        assert {one.stream_id for one in desk.told.hellos} == {"str_1"}
        assert desk.rejected == []


async def test_events_of_a_dashboard_that_is_away_come_when_it_is_back(tmp_path: Path) -> None:
    async with open_desk() as desk, recording(desk, tmp_path) as recorder:
        recorder.emit("step", number=0)
        await desk.until(lambda desk: desk.count == 1)
        await desk.stop()
        await eventually(lambda: not recorder.connected)
        for number in range(1, 500):
            recorder.emit("step", number=number)
        await desk.start()
        await desk.until(lambda desk: desk.count == 500)
        assert numbers(desk) == list(range(500))
        assert desk.rejected == []


async def test_a_dashboard_that_forgets_to_acknowledge_gets_nothing_twice_in_its_books(
    tmp_path: Path,
) -> None:
    async with open_desk() as desk:
        desk.forget_acks = 2
        async with recording(desk, tmp_path) as recorder:
            recorder.emit("step", number=0)
            await desk.until(lambda desk: desk.streams and len(desk.told.hellos) >= 2)
            recorder.emit("step", number=1)
            await desk.until(lambda desk: desk.count == 2)
        assert numbers(desk) == [0, 1]
        assert desk.told.repeated == 0  # the welcome said what is safe


async def test_a_slow_dashboard_gets_everything_and_does_not_slow_the_call(tmp_path: Path) -> None:
    async with open_desk() as desk:
        desk.ack_after_s = 0.02
        async with recording(desk, tmp_path) as recorder:
            for number in range(3_000):
                recorder.emit("step", number=number)
            await desk.until(lambda desk: desk.count == 3_000)
        assert numbers(desk) == list(range(3_000))


async def test_a_dashboard_without_a_welcome_is_tried_again(tmp_path: Path) -> None:
    async with open_desk() as desk:
        desk.silent = True
        async with recording(desk, tmp_path) as recorder:
            recorder.emit("step", number=0)
            await desk.until(lambda desk: desk.streams and len(desk.told.hellos) >= 2)
            desk.silent = False
            await desk.until(lambda desk: desk.count == 1)


async def test_a_refusal_for_good_ends_the_tries_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_desk() as desk:
        desk.refusal = Refusal(code="protocol", message="too new")
        recorder = new_recorder(desk, tmp_path)
        recorder.start()
        recorder.emit("step", number=0)
        assert await eventually(lambda: "too new" in caplog.text)
        await recorder.aclose()
        assert len(desk.told.hellos) == 1
        assert files(tmp_path), "what was recorded stays for later"


async def test_a_refusal_for_now_is_tried_again(tmp_path: Path) -> None:
    async with open_desk() as desk:
        desk.refusal = Refusal(code="busy", message="later", again=True)
        async with recording(desk, tmp_path) as recorder:
            recorder.emit("step", number=0)
            await desk.until(lambda desk: desk.streams and len(desk.told.hellos) >= 2)
            desk.refusal = None
            await desk.until(lambda desk: desk.count == 1)


async def test_a_dead_dashboard_costs_one_warning_and_its_return_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "switchboard_recorder")
    async with open_desk(listening=False) as desk, recording(desk, tmp_path) as recorder:
        recorder.emit("step", number=0)
        await eventually(lambda: "is not reachable" in caplog.text)
        desk.status = 503
        await desk.start()
        await desk.until(lambda desk: desk.turned_away >= 2)
        desk.status = 0
        await desk.until(lambda desk: desk.count == 1)
        assert caplog.text.count("is not reachable") == 1
        assert caplog.text.count("is there again") == 1


async def test_frames_that_nobody_knows_are_passed_over(tmp_path: Path) -> None:
    async with open_desk() as desk:
        desk.noise = (frame_of("news", text="from next year"), encode(Ack(seq=10_000)))
        async with recording(desk, tmp_path) as recorder:
            recorder.emit("step", number=0)
            await desk.until(lambda desk: desk.count == 1)
        assert len(desk.told.hellos) == 1
        assert len(desk.told.byes) == 1


async def test_live_words_are_shown_to_who_is_there_and_kept_for_nobody(tmp_path: Path) -> None:
    async with open_desk() as desk, recording(desk, tmp_path) as recorder:
        recorder.live(EventKind.TRANSCRIBED, text="before")
        await eventually(lambda: recorder.connected)
        recorder.live(EventKind.TRANSCRIBED, text="now")
        await desk.until(lambda desk: desk.told.lives)
        assert [live.data["text"] for live in desk.told.lives] == ["now"]
        assert desk.told.records == []


async def test_a_hello_names_the_commands_and_the_stream(tmp_path: Path) -> None:
    async with open_desk() as desk, recording(desk, tmp_path):
        await desk.until(lambda desk: desk.streams)
        assert desk.told.hellos[0].actions == ()
        assert desk.told.hellos[0].late is False


# -- killed


def start_job(desk: Desk, spool_dir: Path, stream_id: str, events: int) -> subprocess.Popen[str]:
    """A job that has said everything and whose loop stands still."""
    command = [sys.executable, "-m", "tests.support.recorder_job"]
    job = subprocess.Popen(
        [*command, desk.url, str(spool_dir), stream_id, str(events)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stdout is not None
    assert job.stdout.readline() == "busy\n"
    return job


def kill(job: subprocess.Popen[str]) -> None:
    job.send_signal(signal.SIGKILL)
    job.wait(10)
    assert job.stdout is not None
    job.stdout.close()


async def deliver(desk: Desk, spool_dir: Path, key: str = KEY) -> Delivered:
    return await deliver_orphans(
        spool_dir, desk.url, api_key=key, api_secret=SECRET, patience=QUICK
    )


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
async def test_nothing_is_lost_when_a_job_is_killed_while_the_dashboard_is_away(
    tmp_path: Path,
) -> None:
    async with open_desk(listening=False) as desk:
        job = await asyncio.to_thread(start_job, desk, tmp_path, "str_killed", 2_000)
        try:
            await eventually(lambda: spooled(tmp_path) == 2_000)
            await desk.start()
            held = await deliver(desk, tmp_path)
            assert (held.streams, held.left) == (0, 1), "its process still runs"
        finally:
            await asyncio.to_thread(kill, job)
        done = await deliver(desk, tmp_path)
        assert done == Delivered(streams=1, events=2_000)
        assert numbers(desk, "str_killed") == list(range(2_000))
        told = desk.streams["str_killed"]
        assert [one.late for one in told.hellos] == [True]
        assert [bye.last_seq for bye in told.byes] == [2_000]
        assert list(tmp_path.iterdir()) == []


def spooled(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.jsonl"))


async def test_another_recorder_delivers_what_a_killed_job_left(tmp_path: Path) -> None:
    async with open_desk(listening=False) as desk:
        job = await asyncio.to_thread(start_job, desk, tmp_path, "str_killed", 50)
        try:
            await eventually(lambda: spooled(tmp_path) == 50)
        finally:
            await asyncio.to_thread(kill, job)
        await desk.start()
        async with recording(desk, tmp_path, stream_id="str_next"):
            await desk.until(lambda desk: "str_killed" in desk.streams)
            await desk.until(lambda desk: desk.streams["str_killed"].byes)
        assert numbers(desk, "str_killed") == list(range(50))


async def test_what_the_dashboard_has_already_is_not_delivered_again(tmp_path: Path) -> None:
    async with open_desk() as desk:
        job = await asyncio.to_thread(start_job, desk, tmp_path, "str_killed", 300)
        try:
            await eventually(lambda: spooled(tmp_path) == 300)
        finally:
            await asyncio.to_thread(kill, job)
        await deliver(desk, tmp_path)
        assert numbers(desk, "str_killed") == list(range(300))
        assert desk.rejected == []


async def test_two_who_deliver_at_once_deliver_each_stream_once(tmp_path: Path) -> None:
    for number in range(5):
        left_behind(tmp_path, f"str_{number}", 30)
    async with open_desk() as desk:
        both = await asyncio.gather(deliver(desk, tmp_path), deliver(desk, tmp_path))
        assert sum(done.streams for done in both) == 5
        assert all(told.seqs == list(range(1, 31)) for told in desk.streams.values())
        assert all(len(told.hellos) == 1 for told in desk.streams.values())


async def test_a_torn_last_line_is_left_out_and_a_damaged_one_becomes_a_gap(
    tmp_path: Path,
) -> None:
    (segment,) = left_behind(tmp_path, "str_torn", 10)
    lines = segment.read_bytes().split(b"\n")
    lines[4] = b'{"seq": 5, "kind'
    segment.write_bytes(b"\n".join(lines)[:-1] + b'\n{"seq": 11, "ki')
    async with open_desk() as desk:
        await deliver(desk, tmp_path)
        assert desk.told.seqs == list(range(1, 11))
        assert desk.told.kinds[4] == EventKind.EVENTS_DROPPED
        assert desk.told.records[4].data["count"] == 1


async def test_recordings_for_another_livekit_are_left_alone_until_they_are_too_old(
    tmp_path: Path,
) -> None:
    (segment,) = left_behind(tmp_path, "str_other", 3)
    async with open_desk() as desk:
        done = await deliver(desk, tmp_path, key="another-key")
        assert (done.streams, done.left) == (0, 1)
        stream = segment.parent / "stream.json"
        old_s = stream.stat().st_mtime - OLDEST_S - 60
        os.utime(stream, (old_s, old_s))
        await deliver(desk, tmp_path, key="another-key")
        assert list(tmp_path.iterdir()) == []
        assert desk.streams == {}


async def test_an_unreadable_spool_does_not_stop_the_others(tmp_path: Path) -> None:
    left_behind(tmp_path, "str_a", 3)
    (tmp_path / "str_a" / "stream.json").write_text("{")
    left_behind(tmp_path, "str_b", 3)
    async with open_desk() as desk:
        done = await deliver(desk, tmp_path)
        assert (done.streams, done.left) == (1, 1)
        assert numbers(desk, "str_b") == [0, 1, 2]


async def test_a_dashboard_that_is_away_leaves_the_recordings_where_they_are(
    tmp_path: Path,
) -> None:
    left_behind(tmp_path, "str_a", 3)
    async with open_desk(listening=False) as desk:
        done = await deliver(desk, tmp_path)
        assert done.streams == 0
        assert done.error
        assert files(tmp_path)


async def test_the_command_line_delivers(tmp_path: Path) -> None:
    left_behind(tmp_path, "str_a", 3)
    async with open_desk() as desk:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "switchboard_recorder", "deliver", str(tmp_path),
            "--url", desk.url,
            cwd=ROOT,
            env={**os.environ, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode == 0
        assert b"Delivered 1 recordings, 3 events; left 0." in said
        assert numbers(desk, "str_a") == [0, 1, 2]


def left_behind(spool_dir: Path, stream_id: str, events: int) -> list[Path]:
    """A stream as a killed job leaves it."""
    spool = Spool.create(spool_dir, Owner(hello=hello(stream_id), url="http://x", api_key=KEY))
    spool.append([line_of(number) for number in range(events)])
    spool.release()
    return sorted(spool.folder.glob("*.jsonl"))


def line_of(number: int) -> bytes:
    record = {"seq": number + 1, "kind": "step", "at": "2026-01-01T00:00:00Z"}
    return json.dumps({**record, "data": {"number": number}}).encode()


# -- disks


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        missing("There is no mount: a full disk cannot be tried here.")
    if made.returncode:
        missing("A tmpfs cannot be mounted here: a full disk cannot be tried. Run as root.")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_costs_one_warning_and_no_event(
    tiny_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_desk(listening=False) as desk:
        recorder = new_recorder(desk, tiny_disk)
        recorder.start()
        for number in range(1_500):
            recorder.emit("step", number=number, text="x" * 500)
        assert await eventually(lambda: "cannot write to its folder" in caplog.text)
        await desk.start()
        await desk.until(lambda desk: desk.count == 1_500)
        await recorder.aclose()
        assert numbers(desk) == list(range(1_500))
        assert caplog.text.count("cannot write to its folder") == 1
        assert desk.rejected == []


async def test_an_unwritable_folder_costs_one_warning_and_no_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    async with open_desk(listening=False) as desk:
        recorder = new_recorder(desk, tmp_path / "file" / "spool")
        recorder.start()
        for number in range(100):
            recorder.emit("step", number=number)
        await desk.start()
        await desk.until(lambda desk: desk.count == 100)
        await recorder.aclose()
        assert numbers(desk) == list(range(100))
        assert caplog.text.count("has no folder") == 1


async def test_files_are_readable_by_their_owner_alone_and_hold_no_secret(tmp_path: Path) -> None:
    async with open_desk(listening=False) as desk:
        recorder = new_recorder(desk, tmp_path / "spool")
        recorder.start()
        recorder.emit("step", number=0, password="hunter2")
        await eventually(lambda: spooled(tmp_path) == 1)
        modes = {stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)}
        text = b"".join(path.read_bytes() for path in files(tmp_path))
        folders = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("spool/*")}
        await recorder.aclose()
        assert (modes, folders) == ({0o600}, {0o700})
        assert SECRET.encode() not in text
        assert b"hunter2" not in text


def journal(spool: Spool | None = None, **bounds: Any) -> Journal:
    made = Journal(spool, Plain(), **bounds)
    made.start(lambda: None)
    return made


async def read_all(book: Journal) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    while more := await book.after(len(lines)):
        lines += [json.loads(line) for line in more]
    return lines


async def test_what_does_not_fit_in_memory_is_counted_in_a_gap(
    caplog: pytest.LogCaptureFixture,
) -> None:
    book = journal(memory_bytes=10_000)
    for number in range(300):
        book.put("step", {"number": number})
    await eventually(lambda: "dropped events" in caplog.text)
    await eventually(lambda: book._queue.empty())
    first = await read_all(book)
    book.acknowledge(len(first))
    book.put("step", {"number": 300})
    await eventually(lambda: book.last_seq == len(first) + 2)
    gap, last = [json.loads(line) for line in await book.after(len(first))]
    assert gap["kind"] == EventKind.EVENTS_DROPPED
    assert gap["data"]["count"] == 300 - len(first)
    assert last["data"] == {"number": 300}
    assert book.close(2)


async def test_disk_and_memory_are_bounded_together_and_nothing_between_is_lost(
    tmp_path: Path,
) -> None:
    spool = Spool.create(tmp_path, Owner(hello=hello(), url="http://x", api_key=KEY))
    book = journal(spool, memory_bytes=20_000, stream_bytes=100_000)
    for number in range(3_000):
        book.put("step", {"number": number})
        if number % 100 == 0:
            await eventually(lambda: book._queue.qsize() < 50)
    await eventually(lambda: book._queue.empty())
    on_disk = sum(path.stat().st_size for path in files(tmp_path))
    assert on_disk < 130_000
    lines = await read_all(book)
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["data"] for line in lines] == [{"number": n} for n in range(len(lines))]
    assert 700 < len(lines) < 3_000
    assert book.close(2)
    book.finish()


async def test_files_go_as_their_events_are_safe(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, Owner(hello=hello(), url="http://x", api_key=KEY))
    book = journal(spool)
    for number in range(600):
        book.put("step", {"number": number, "text": "x" * 4_000})
    await eventually(lambda: book.last_seq == 600 and book.on_disk)
    assert len(list(tmp_path.glob("*/*.jsonl"))) >= 2
    book.acknowledge(600)
    await eventually(
        lambda: sum(path.stat().st_size for path in files(tmp_path)) < 300_000,
        ignoring=(FileNotFoundError,),  # it goes while we look
    )
    book.put("step", {"number": 600})
    await eventually(lambda: book.on_disk and book.last_seq == 601)
    assert json.loads((await book.after(600))[0])["data"] == {"number": 600}
    assert book.close(2)
    book.finish()


async def test_an_event_is_never_longer_than_the_protocol_allows(tmp_path: Path) -> None:
    wide = {f"key {n}": "\x01\U0001f600" * 3_000 for n in range(200)}
    async with open_desk() as desk:
        async with recording(desk, tmp_path) as recorder:
            recorder.emit("step", number=0, wide=wide, deep=[[wide] * 50] * 50)
            recorder.emit("step", number=1, **{f"field {n}": wide for n in range(60)})
        assert numbers(desk) == [0, 1]
        assert all(len(json.dumps(r.data).encode()) < EVENT_BYTES * 6 for r in desk.told.records)


async def test_more_than_can_be_written_down_at_once_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = Journal(None, Plain(), queue=10)
    for number in range(25):
        book.put("step", {"number": number})
    book.start(lambda: None)
    await eventually(lambda: book.last_seq == 11)
    gap, *rest = await read_all(book)
    assert gap["kind"] == EventKind.EVENTS_DROPPED
    assert gap["data"] == {
        "count": 15,
        "reason": "more happened at once than could be written down",
    }
    assert [line["data"] for line in rest] == [{"number": n} for n in range(10)]
    assert book.close(2)


def test_a_token_is_for_one_stream_and_some_minutes_and_its_secret_is_never_shown() -> None:
    address = Address(url="http://localhost:8501/", api_key=KEY, api_secret=SECRET)
    assert address.stream_url() == "ws://localhost:8501/api/agents/stream"
    assert Address(url="https://x", api_key="", api_secret="").stream_url().startswith("wss://x/")
    assert SECRET not in repr(address)
    assert len(address.token(hello()).split(".")) == 3


async def test_a_recorder_without_a_key_keeps_its_events_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIVEKIT_API_KEY", raising=False)
    monkeypatch.delenv("LIVEKIT_API_SECRET", raising=False)
    recorder = Recorder(hello(), url="http://127.0.0.1:9", spool_dir=tmp_path)
    recorder.start()
    recorder.emit("step", number=0)
    await eventually(lambda: spooled(tmp_path) == 1)
    await recorder.aclose()
    assert "LIVEKIT_API_KEY" in caplog.text
