"""Real programs beside the tests: started, watched, killed, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from services.processes import guard
from tests.support.waiting import Ignored, wait_until

_TAIL_CHARS: Final = 4000
_LOG_BYTES: Final = 200_000_000


class StartError(Exception):
    """A program ended early or did not become ready; holds the end of its log."""


class Child:
    """One command under Switchboard's own guard: it ends with the tests, also by kill -9.

    It can be started again after `stop` or `kill`; its output is appended to `log`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.command = [str(part) for part in command]
        self._env = dict(os.environ if env is None else env)
        self._cwd = cwd
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    def start(self) -> None:
        """Start the command; returns once it runs, not once it is ready.

        Raises:
            StartError: it could not be started at all.
        """
        if self.alive:
            raise RuntimeError(f"{self.name} runs already")
        self._close_guard()
        leash = ["--parent", str(os.getpid())]
        options = [*leash, "--log", str(self.log), "--log-bytes", str(_LOG_BYTES)]
        self._guard = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, *options, "--", *self.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,
        )
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        event = json.loads(line) if line else {"reason": "its guard ended at once"}
        if event.get("event") != "started":
            self._close_guard()
            raise StartError(f"{self.name} could not be started: {event.get('reason')}")
        self._pid = int(event["pid"])

    def wait_ready(
        self, check: Callable[[], object], *, within_s: float, ignoring: Ignored = ()
    ) -> None:
        """Until `check` is truthy.

        Raises:
            StartError: the program ended, or `check` was not met in time; with its log.
        """

        def ready_or_dead() -> bool:
            if not self.alive:
                raise StartError(f"{self.name} ended while it was starting.\n{self.tail()}")
            return bool(check())

        try:
            wait_until(ready_or_dead, within_s=within_s, ignoring=ignoring)
        except AssertionError as exc:
            raise StartError(f"{self.name} was not ready: {exc}\n{self.tail()}") from exc

    @property
    def pid(self) -> int:
        """Process id of the program itself, not of its guard."""
        if self._pid is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._pid

    @property
    def alive(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def listens_on(self, port: int) -> bool:
        """Whether this program, or a process that it started, is the one that has the port.

        A stale server of an earlier run would else pass a test silently.
        """
        try:
            root = psutil.Process(self.pid)
            family = [root, *root.children(recursive=True)]
            return any(
                conn.status == psutil.CONN_LISTEN and conn.laddr.port == port
                for process in family
                for conn in process.net_connections(kind="tcp")
            )
        except psutil.NoSuchProcess:
            return False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Neither ended nor answering, as when the network to it is away."""
        process = psutil.Process(self.pid)
        process.suspend()
        try:
            yield
        finally:
            process.resume()

    def kill(self) -> None:
        """SIGKILL to the program itself: no clean-up runs in it. Returns when it is gone."""
        if self.alive:
            os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        self._wait_gone(5)
        self._close_guard()

    def stop(self, *, first: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, wait, then kill. Does nothing when it has ended already."""
        if self._guard is not None and self.alive:
            if first is not signal.SIGTERM:
                os.kill(self.pid, first)
            assert self._guard.stdin is not None
            self._guard.stdin.write(b"stop\n")
            self._guard.stdin.flush()
            self._wait_gone(guard.STOP_S + 5)
        self._close_guard()

    def log_text(self) -> str:
        """All that it has printed, over all its starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self) -> str:
        """The end of its log, with a line that says where the rest is."""
        return f"--- the end of {self.log}\n{self.log_text()[-_TAIL_CHARS:]}"

    def _wait_gone(self, within_s: float) -> None:
        if self._guard is None:
            return
        try:
            self._guard.wait(within_s)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait(5)
            raise AssertionError(
                f"{self.name} did not end in {within_s} s.\n{self.tail()}"
            ) from None

    def _close_guard(self) -> None:
        if self._guard is None:
            return
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                pipe.close()
        self._guard.wait(guard.STOP_S + 5)
        self._guard = None
