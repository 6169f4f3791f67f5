"""Runs one command, and ends it when the program that asked for it is gone: kill -9 too.

A process of its own (`python -I guard.py …`), standard library only, so that it starts
in a few hundredths of a second and nothing of ours can break it. What it promises:

- **stdin is the leash.** `stop` on it ends the command and lets it finish its work
  (`STOP_S`). The end of it without that word means that the parent died: the command
  ends too, with less patience (`ORPHAN_S`). This works on every system.
- On Linux the kernel is asked as well (`PR_SET_PDEATHSIG`): the guard hears of the
  parent's death, and the command dies with the guard. Elsewhere a guard that is itself
  killed with -9 leaves the command behind; `server_process` finds it at the next start.
- With `--log` the command's output goes to a file of bounded size (the older half in
  `<file>.1`), whole lines only and without access tokens, and stdout carries events, one
  JSON object a line: `started` with `pid`, `failed` with `reason`, `exited` with `code`.
  Without it the output is passed through.

livekit-server 1.13.5 loses a SIGTERM in its first 100 ms and takes a second one as "at
once, calls or not" (`cmd/server/main.go`): SIGTERM is repeated until it is heeded.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

STOP_S = 5.0
ORPHAN_S = 1.0
REPEAT_S = 0.4
MAX_LINE = 64 * 1024
# livekit-server 1.13.5 logs a token that it refuses in full (`pkg/service/utils.go`); it
# may be good elsewhere, or again once the clocks agree. The same as in `services/logs.py`.
TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")
TOKEN_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
POSIX = os.name == "posix"
LINUX = sys.platform.startswith("linux")


def without_tokens(text: bytes) -> bytes:
    """The text with each access token blanked out."""
    return TOKEN.sub(b"[token]", text)


def whole_words(text: bytes) -> int:
    """How much of a piece of a line can go without cutting a token in two: more than half."""
    whole = len(text.rstrip(TOKEN_LETTERS))
    return whole if whole > len(text) // 2 else len(text)


class BoundedLog:
    """A file that never grows past `max_bytes`; the part before it stays as `<path>.1`."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._lost = 0
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._fd = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        os.close(self._fd)
        try:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        except OSError:  # Windows, while somebody reads it
            with contextlib.suppress(OSError):
                os.truncate(self._path, 0)
        self._open()

    def write(self, lines: bytes) -> None:
        """Append whole lines. A full disk loses them, says how many, and stops nobody."""
        with self._lock:
            try:
                if self._size and self._size + len(lines) > self._max_bytes:
                    self._rotate()
                if self._lost:
                    note = self._line("log lines were lost: the disk refused them", lost=self._lost)
                    self._size += os.write(self._fd, note)
                    self._lost = 0
                self._size += os.write(self._fd, lines)
            except OSError:
                self._lost += lines.count(b"\n")

    def note(self, message: str, **fields: object) -> None:
        """A line of the guard's own, in the shape of livekit-server's."""
        self.write(self._line(message, **fields))

    @staticmethod
    def _line(message: str, **fields: object) -> bytes:
        entry = {"level": "info", "ts": time.time(), "logger": "guard", "msg": message, **fields}
        return json.dumps(entry).encode() + b"\n"


def die_with_parent(signum: int) -> None:
    """Linux: let the kernel send us `signum` when the thread that started us ends."""
    ctypes.CDLL(None).prctl(1, signum)  # PR_SET_PDEATHSIG


def _in_child() -> None:
    die_with_parent(signal.SIGKILL)


def _signal_group(pid: int, signum: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signum)


class Guard:
    """Holds the one child."""

    def __init__(self, command: list[str], log: BoundedLog | None) -> None:
        self._log = log
        self._ending = threading.Lock()
        output = subprocess.PIPE if log else None
        self.child = subprocess.Popen(  # noqa: S603 - the command is our own caller's
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0 if POSIX else None,
            preexec_fn=_in_child if LINUX else None,  # no thread runs yet
        )

    def pump(self, log: BoundedLog) -> None:
        """Carry the child's output into `log` until its end."""
        if self.child.stdout is None:
            raise RuntimeError("the output is not ours to read")
        fd, pending = self.child.stdout.fileno(), b""
        while chunk := os.read(fd, 65536):
            pending += chunk
            cut = pending.rfind(b"\n") + 1
            if cut:
                log.write(without_tokens(pending[:cut]))
                pending = pending[cut:]
            if len(pending) >= MAX_LINE:
                cut = whole_words(pending)
                log.write(without_tokens(pending[:cut]) + b"\n")
                pending = pending[cut:]
        if pending:
            log.write(without_tokens(pending) + b"\n")

    def end(self, patience_s: float) -> None:
        """Terminate, again and again, then kill."""
        if not self._ending.acquire(blocking=False):
            return
        deadline = time.monotonic() + patience_s
        while self.child.poll() is None and time.monotonic() < deadline:
            if POSIX:
                _signal_group(self.child.pid, signal.SIGTERM)
            else:
                self.child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(REPEAT_S)
        if POSIX:
            _signal_group(self.child.pid, signal.SIGKILL)
        elif self.child.poll() is None:
            self.child.kill()

    def hold_leash(self) -> None:
        """Wait for the parent's word, or for its end."""
        word = b""
        while chunk := os.read(0, 64):
            word += chunk
            if b"stop" in word:
                self.end(STOP_S)
                return
        self.end(ORPHAN_S)


def say(event: str, **fields: object) -> None:
    """One event for the parent, who may be gone."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps({"event": event, **fields}).encode() + b"\n")


def main(argv: list[str]) -> int:
    """Start the command, wait for it, and answer with its exit code (128 + n for signal n)."""
    parser = argparse.ArgumentParser(description="Run a command that ends with its parent.")
    parser.add_argument("--log", type=Path, help="file for the command's output")
    parser.add_argument("--log-bytes", type=int, default=10_000_000)
    parser.add_argument("--nice", type=int, default=0, help="lower the priority by so much")
    parser.add_argument("--parent", type=int, default=0, help="process id of the parent")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args(argv)

    if LINUX:
        die_with_parent(signal.SIGTERM)
        if args.parent and os.getppid() != args.parent:  # it died before we could ask
            return 1
    if POSIX and args.nice:
        os.nice(args.nice)
    log = None
    try:
        log = BoundedLog(args.log, args.log_bytes) if args.log else None
        guard = Guard(args.command, log)
    except OSError as exc:
        say("failed", reason=f"{exc.strerror}: {exc.filename}")
        return 127

    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(
                getattr(signal, name),
                lambda *_: threading.Thread(target=guard.end, args=(ORPHAN_S,)).start(),
            )
    pump = None
    if log:
        log.note("server process started", pid=guard.child.pid)
        say("started", pid=guard.child.pid)
        pump = threading.Thread(target=guard.pump, args=(log,), daemon=True)
        pump.start()
    threading.Thread(target=guard.hold_leash, daemon=True).start()

    code = guard.child.wait()
    if POSIX:
        _signal_group(guard.child.pid, signal.SIGKILL)  # what it may have left behind
    if log and pump:
        pump.join(timeout=2)
        log.note("server process ended", code=code)
        say("exited", code=code)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
