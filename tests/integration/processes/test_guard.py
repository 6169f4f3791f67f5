"""The guard ends its command whenever we are gone, and keeps its log within bounds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.logs import Redact
from services.processes import guard
from services.processes.log_file import parse_line
from tests.support.waiting import wait_until

GUARD = [sys.executable, "-I", guard.__file__]
STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.1; done"


class Guarded:
    """A guard with a shell command below it."""

    def __init__(self, command: str, *options: str | Path) -> None:
        self.guard = subprocess.Popen(
            [*GUARD, *map(str, options), "--", "/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def read_line(self) -> bytes:
        assert self.guard.stdout is not None
        return self.guard.stdout.readline()

    def event(self) -> dict[str, object]:
        event: dict[str, object] = json.loads(self.read_line())
        return event

    def run_out(self) -> int:
        """Let the command end by itself; the exit code."""
        assert self.guard.stdout is not None
        self.guard.stdout.read()
        code = self.guard.wait(20)
        self.close()
        return code

    def close(self) -> None:
        """Cut the leash."""
        for stream in (self.guard.stdin, self.guard.stdout):
            if stream is not None:
                stream.close()
        self.guard.wait(10)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


@pytest.fixture
def started(log: Path) -> Iterator[Guarded]:
    """A command that would run for ever."""
    guarded = Guarded("echo up; sleep 300", "--log", log)
    yield guarded
    guarded.close()


def runs(pid: object) -> bool:
    """Whether the process is there and not only waiting to be reaped by init."""
    try:
        return psutil.Process(int(str(pid))).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pid: object, within_s: float = 5.0) -> bool:
    """Whether the process ends in time."""
    return wait_until(lambda: not runs(pid), within_s=within_s)


def test_it_tells_the_pid_and_the_exit_code(log: Path) -> None:
    guarded = Guarded("echo hello; exit 7", "--log", log)
    started = guarded.event()
    assert started["event"] == "started"
    assert guarded.event() == {"event": "exited", "code": 7}
    assert guarded.run_out() == 7
    lines = [parse_line(text) for text in log.read_text().splitlines()]
    assert [line.message for line in lines] == [
        "server process started",
        "hello",
        "server process ended",
    ]
    assert lines[0].fields["pid"] == started["pid"]
    assert lines[2].fields["code"] == 7


def test_a_command_that_cannot_be_started_is_told(log: Path) -> None:
    command = [*GUARD, "--log", str(log), "--", "/no/such/program"]
    broken = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, check=False)
    assert broken.returncode == 127
    assert json.loads(broken.stdout)["reason"] == "No such file or directory: /no/such/program"


def test_without_a_log_the_output_passes_through_with_both_streams() -> None:
    guarded = Guarded("echo one; echo two >&2; exit 3")
    assert [guarded.read_line(), guarded.read_line()] == [b"one\n", b"two\n"]
    assert guarded.run_out() == 3


def test_the_command_ends_when_the_leash_is_cut(started: Guarded) -> None:
    pid = started.event()["pid"]
    assert started.guard.stdin is not None
    started.guard.stdin.close()
    assert gone(pid, within_s=2.0)


def test_the_command_ends_on_the_word(started: Guarded) -> None:
    pid = started.event()["pid"]
    assert started.guard.stdin is not None
    started.guard.stdin.write(b"stop\n")
    started.guard.stdin.flush()
    assert gone(pid, within_s=2.0)
    assert started.event() == {"event": "exited", "code": -signal.SIGTERM}


def test_the_command_ends_when_the_guard_is_terminated(started: Guarded) -> None:
    pid = started.event()["pid"]
    started.guard.terminate()
    assert gone(pid, within_s=2.0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_command_ends_when_the_guard_is_killed(started: Guarded) -> None:
    pid = started.event()["pid"]
    started.guard.kill()
    assert gone(pid, within_s=2.0)


def test_a_command_that_ignores_sigterm_is_killed(log: Path) -> None:
    guarded = Guarded(STUBBORN, "--log", log)
    pid = guarded.event()["pid"]
    wait_until(lambda: "up" in log.read_text(), within_s=5)
    began = time.monotonic()
    guarded.close()
    assert not runs(pid)
    assert guard.ORPHAN_S <= time.monotonic() - began < guard.ORPHAN_S + 2
    assert guarded.guard.returncode == 128 + signal.SIGKILL


def test_what_the_command_started_ends_with_it(tmp_path: Path) -> None:
    """Go's compilers are children of `go`."""
    pidfile = tmp_path / "pid"
    guarded = Guarded(f"sleep 300 & echo $! > {pidfile}; echo up; wait")
    assert guarded.read_line() == b"up\n"
    grandchild = int(pidfile.read_text())
    guarded.close()
    assert gone(grandchild)


@pytest.mark.skipif(sys.platform != "linux", reason="the question is put on Linux only")
def test_it_does_not_start_for_a_parent_that_is_gone(tmp_path: Path) -> None:
    done = tmp_path / "done"
    guarded = Guarded(f"touch {done}", "--parent", "1")
    assert guarded.run_out() == 1
    assert not done.exists()


def test_the_log_is_bounded_and_holds_whole_lines(log: Path) -> None:
    command = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line-$i-end; done"
    Guarded(command, "--log", log, "--log-bytes", "8000").run_out()
    older = log.with_name("server.log.1")
    # One chunk from the pipe may be 64 KiB, and a chunk is never cut.
    assert log.stat().st_size <= 8000 + 65536
    assert older.stat().st_size <= 8000 + 65536
    texts = (older.read_text() + log.read_text()).splitlines()
    lines = [text for text in texts if not text.startswith("{")]
    assert len(lines) > 1
    assert all(text.startswith("line-") and text.endswith("-end") for text in lines)
    assert lines[-1] == "line-2000-end"
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_line_without_end_does_not_fill_the_memory(log: Path) -> None:
    command = "head -c 300000 /dev/zero | tr '\\0' x"
    Guarded(command, "--log", log).run_out()
    longest = max(len(text) for text in log.read_text().splitlines())
    assert longest <= 2 * guard.MAX_LINE
    assert log.read_text().count("x") == 300_000


TOKEN = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJhbmEifQ", "c2lnbmF0dXJlLW9mLWl0LWFsbA"))


@pytest.mark.parametrize(
    "text",
    [
        f'{{"error": "invalid token: {TOKEN}, error: token is expired"}}',
        f"GET /rtc?access_token={TOKEN}&protocol=15",
        f"{TOKEN} and {TOKEN.rpartition('.')[0]}.",
        "eyJ is how each begins; eyJhbGci.eyJz is none",
    ],
)
def test_a_token_is_blanked_out_as_in_our_own_log(text: str) -> None:
    cleaned = guard.without_tokens(text.encode()).decode()
    assert cleaned == Redact().clean(text)
    assert "c2lnbmF0dXJl" not in cleaned
    assert ("[token]" in cleaned) is (TOKEN[:36] in text)


def test_no_token_gets_into_the_file_wherever_the_pipe_cuts_the_output(
    log: Path, tmp_path: Path
) -> None:
    words = guard.MAX_LINE // 2 - 20  # so that a line without end is cut off inside the token
    parts = [
        f"one {TOKEN[:30]}",
        f"{TOKEN[30:]} two\n{'x ' * words}{TOKEN[:50]}",
        f"{TOKEN[50:]} three\n",
    ]
    script = tmp_path / "say.py"
    script.write_text(f"import os\nfor part in {parts!r}:\n    os.write(1, part.encode())\n")
    assert Guarded(f"{sys.executable} -I {script}", "--log", log).run_out() == 0
    text = log.read_text()
    assert "c2lnbmF0dXJl" not in text
    assert "one [token] two\n" in text
    assert text.count("[token]") == 2
    assert text.count("x ") == words


def test_a_disk_that_refuses_does_not_stop_the_command(log: Path) -> None:
    bounded = guard.BoundedLog(log, 1000)
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    good = bounded._fd
    bounded._fd = os.open("/dev/full", os.O_WRONLY)
    bounded.write(b"one\ntwo\n")
    os.close(bounded._fd)
    bounded._fd = good
    bounded.write(b"three\n")
    os.close(good)
    first, second = log.read_text().splitlines()
    assert parse_line(first).fields["lost"] == 2
    assert second == "three"
