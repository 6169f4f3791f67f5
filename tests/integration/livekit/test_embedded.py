"""The supervisor's states, with scripts in the place of livekit-server for its faults."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from services.errors import ConfigError, LiveKitUnavailableError, RuntimeClosedError
from services.livekit import embedded
from services.livekit.embedded import EmbeddedState, Phase, Timing, open_embedded
from services.livekit.server_config import PortReservation, open_folder
from services.settings import Settings
from tests.support.waiting import eventually

FAST = Timing(  # no deadline is short: a loaded machine must not fail a test
    check_s=0.05,
    check_timeout_s=10,
    check_at_start_s=0.02,
    missed_checks=2,
    backoff_first_s=0.02,
    backoff_most_s=0.1,
    lock_s=0.05,
    lock_patience_s=0.2,
    log_s=0.02,
)
ANSWERS = """
exec {python} -c '
import http.server, json, sys
port = json.load(open(sys.argv[2]))["port"]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
' "$@"
"""


class Bench:
    """Settings whose livekit-server is a script, and all states that were told."""

    def __init__(self, folder: Path) -> None:
        self.binary = folder / "server"
        self.starts = folder / "starts"
        self.data_dir = folder / "data"
        self.settings = Settings(
            switchboard_data_dir=self.data_dir,
            switchboard_cache_dir=folder / "cache",
            switchboard_livekit_server_bin=self.binary,
        )
        self.states: list[EmbeddedState] = []

    def server_does(self, what: str) -> None:
        new = self.binary.with_name("server.new")
        new.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = --version ]; then echo livekit-server version 9.9.9; exit; fi\n'
            f"echo started >> {self.starts}\n{what}\n"
        )
        new.chmod(0o755)
        new.replace(self.binary)

    @property
    def phases(self) -> list[Phase]:
        return [state.phase for state in self.states]

    async def state(self, phase: Phase) -> EmbeddedState:
        """The first state of `phase` that was told, once it was."""
        found = await eventually(lambda: [s for s in self.states if s.phase is phase])
        return found[0]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def answering() -> str:
    return ANSWERS.replace("{python}", sys.executable)


async def test_address_and_keys_are_known_at_once_and_ready_comes_later(bench: Bench) -> None:
    bench.server_does(answering())
    timing = Timing(check_at_start_s=0.02)
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=bench.states.append, timing=timing
    ) as server:
        assert server.state.message == "Looking for livekit-server."
        assert server.target.url == server.state.url
        assert server.target.api_secret.get_secret_value()
        await server.wait_ready(60)
        assert server.state.phase is Phase.READY
        assert server.state.binary == bench.binary
        assert server.state.pid is not None
        assert bench.phases == [Phase.STARTING, Phase.READY]
        assert "9.9.9" in server.state.message
        pid = server.state.pid
    assert bench.phases[-1] is Phase.STOPPED
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_server_that_dies_at_once_is_started_again_with_its_words(bench: Bench) -> None:
    bench.server_does('echo "could not parse config: line 3" >&2; exit 1')
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=bench.states.append, timing=FAST
    ) as server:
        await eventually(lambda: server.state.restarts >= 4)
        told = await bench.state(Phase.RESTARTING)
        assert "exit code 1: could not parse config: line 3" in told.message
        assert told.error
        assert told.hint
        with pytest.raises(LiveKitUnavailableError):
            await server.wait_ready(0.01)
    assert Phase.READY not in bench.phases


async def test_the_waits_between_starts_grow(bench: Bench) -> None:
    bench.server_does("exit 1")
    timing = Timing(backoff_first_s=0.1, backoff_most_s=60)
    loop = asyncio.get_running_loop()
    times: list[float] = []

    def on_change(state: EmbeddedState) -> None:
        if state.phase is Phase.STARTING:
            times.append(loop.time())

    async with open_embedded(bench.settings, webhook_url=None, on_change=on_change, timing=timing):
        await eventually(lambda: len(times) >= 4)
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits[0] >= 0.08
    assert waits[1] >= 0.16
    assert waits[2] >= 0.32


async def test_a_server_that_never_answers_is_given_up_and_started_again(bench: Bench) -> None:
    bench.server_does("exec sleep 300")
    async with open_embedded(
        bench.settings,
        webhook_url=None,
        on_change=bench.states.append,
        timing=replace(FAST, start_deadline_s=0.6),
    ):
        told = await bench.state(Phase.RESTARTING)
        assert "did not answer within" in told.message


async def test_a_server_that_stops_answering_is_started_again(bench: Bench) -> None:
    bench.server_does(answering())
    timing = Timing(check_s=0.05, check_timeout_s=1, missed_checks=2, backoff_first_s=0.02)
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=bench.states.append, timing=timing
    ) as server:
        await server.wait_ready(60)
        assert server.state.pid is not None
        os.kill(server.state.pid, signal.SIGSTOP)
        told = await bench.state(Phase.RESTARTING)
        assert "did not answer 2 times in a row" in told.message
        await server.wait_ready(60)
        assert server.state.restarts >= 1


async def test_ready_needs_our_own_process_on_the_port(bench: Bench) -> None:
    """Somebody else who answers there is not our server."""
    bench.server_does("exec sleep 300")
    reservation = PortReservation(open_folder(bench.data_dir))
    reservation.release()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK")
        writer.close()

    stranger: list[asyncio.Server] = []
    async with open_embedded(
        bench.settings,
        webhook_url=None,
        on_change=bench.states.append,
        timing=replace(FAST, start_deadline_s=2),
    ) as server:
        await eventually(bench.starts.exists)
        port = int(server.target.url.rpartition(":")[2])
        stranger.append(await asyncio.start_server(answer, "127.0.0.1", port))
        await bench.state(Phase.RESTARTING)
    stranger[0].close()
    await stranger[0].wait_closed()
    assert Phase.READY not in bench.phases


async def test_a_port_lost_before_the_first_ready_is_replaced(bench: Bench, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    bench.server_does(
        f'if [ "$(wc -l < {bench.starts})" = 1 ]; then\n'
        f"while [ ! -e {go_on} ]; do sleep 0.02; done\n"
        'echo "listen tcp 127.0.0.1:1: bind: address already in use"; exit 0; fi\n' + answering()
    )
    timing = Timing(backoff_first_s=0.02)
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=bench.states.append, timing=timing
    ) as server:
        await eventually(bench.starts.exists)
        before = server.target.url
        with socket.create_server(("127.0.0.1", int(before.rpartition(":")[2]))):
            go_on.touch()
            told = await bench.state(Phase.RESTARTING)
            assert "address already in use" in told.message
            assert "Another program took one of its ports" in told.hint
            await server.wait_ready(60)
        assert server.target.url == server.state.url != before


async def test_a_binary_that_is_not_there_fails_until_somebody_tries_again(bench: Bench) -> None:
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=bench.states.append, timing=FAST
    ) as server:
        told = await bench.state(Phase.FAILED)
        assert "SWITCHBOARD_LIVEKIT_SERVER_BIN" in told.message
        assert told.hint
        with pytest.raises(LiveKitUnavailableError) as caught:
            await server.wait_ready(60)
        assert caught.value.hint == told.hint
        bench.server_does(answering())
        await server.restart()
        assert server.state.phase is not Phase.FAILED
        await server.wait_ready(60)


async def test_a_binary_that_vanishes_is_looked_for_again(bench: Bench) -> None:
    bench.server_does(f"rm {bench.binary}; exit 1")
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=bench.states.append, timing=FAST
    ):
        told = await bench.state(Phase.FAILED)
        assert "does not run" in told.message


async def test_a_restart_is_told_at_once_and_gives_a_new_process(bench: Bench) -> None:
    bench.server_does(answering())
    timing = Timing(check_at_start_s=0.02)
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=bench.states.append, timing=timing
    ) as server:
        await server.wait_ready(60)
        first = server.state.pid
        await server.restart()
        assert server.state.phase is Phase.RESTARTING
        await server.wait_ready(60)
        assert server.state.pid != first
        assert server.state.restarts == 1


async def test_a_second_switchboard_on_the_same_folder_waits_for_the_first(bench: Bench) -> None:
    bench.server_does(answering())
    others: list[EmbeddedState] = []
    timing = Timing(check_at_start_s=0.02, lock_s=0.05, lock_patience_s=0.2)
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=bench.states.append, timing=timing
    ) as first:
        await first.wait_ready(60)
        pid = first.state.pid
        async with open_embedded(
            bench.settings, webhook_url=None, on_change=others.append, timing=timing
        ) as second:
            assert second.target == first.target
            await eventually(lambda: second.state.phase is Phase.FAILED)
            assert "Another Switchboard uses" in second.state.message
            assert "SWITCHBOARD_DATA_DIR" in second.state.hint
            assert first.state.phase is Phase.READY
        assert first.state.pid == pid
    assert [state.phase for state in others] == [Phase.LOOKING, Phase.FAILED, Phase.STOPPED]
    assert len(bench.starts.read_text().splitlines()) == 1


async def test_the_second_takes_over_when_the_first_has_closed(bench: Bench) -> None:
    bench.server_does(answering())
    timing = Timing(check_at_start_s=0.02, lock_s=0.05)
    first = open_embedded(bench.settings, webhook_url=None, on_change=bench.states.append)
    await (await first.__aenter__()).wait_ready(60)
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=lambda _state: None, timing=timing
    ) as second:
        await first.__aexit__(None, None, None)
        await second.wait_ready(60)


async def test_a_failing_listener_does_not_end_the_server(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.server_does(answering())

    def on_change(_state: EmbeddedState) -> None:
        raise RuntimeError("a mistake of the listener's")

    async with open_embedded(bench.settings, webhook_url=None, on_change=on_change) as server:
        await server.wait_ready(60)
    assert "a listener to the embedded server failed" in caplog.text


async def test_a_mistake_of_the_supervisors_own_is_told_and_can_be_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench.server_does(answering())

    async def broken(*_args: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "find_or_build", broken)
        async with open_embedded(
            bench.settings, webhook_url=None, on_change=bench.states.append
        ) as server:
            told = await bench.state(Phase.FAILED)
            assert "ZeroDivisionError" in told.error
            assert "the supervisor of livekit-server failed" in caplog.text
            patch.undo()
            await server.restart()
            await server.wait_ready(60)


async def test_after_the_end_every_call_says_that_it_is_over(bench: Bench) -> None:
    bench.server_does(answering())
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=bench.states.append
    ) as server:
        pass
    assert server.state.phase is Phase.STOPPED
    assert server.workers == ()
    with pytest.raises(RuntimeClosedError):
        await server.wait_ready(1)
    with pytest.raises(RuntimeClosedError):
        await server.restart()


async def test_workers_in_the_log_are_told(bench: Bench) -> None:
    entry = {
        "level": "info",
        "ts": 1795520681.5,
        "logger": "livekit.agents",
        "msg": "worker registered",
        "jobType": "JT_ROOM",
        "agentName": "pm-agent",
        "workerID": "AW_1",
    }
    bench.server_does(f"echo '{json.dumps(entry)}'\n{answering()}")
    async with open_embedded(
        bench.settings, webhook_url=None, on_change=bench.states.append, timing=FAST
    ) as server:
        worker = (await eventually(lambda: server.workers))[0]
        assert (worker.worker_id, worker.agent_name) == ("AW_1", "pm-agent")
        assert any("worker registered" in line for line in server.tail(10))


async def test_an_error_in_the_body_comes_out_as_it_is(bench: Bench) -> None:
    bench.server_does(answering())
    with pytest.raises(LookupError, match="mine"):
        async with open_embedded(bench.settings, webhook_url=None, on_change=bench.states.append):
            raise LookupError("mine")
    assert bench.phases[-1] is Phase.STOPPED


async def test_a_data_folder_that_cannot_be_used_stops_the_start(bench: Bench) -> None:
    bench.data_dir.write_text("a file")
    with pytest.raises(ConfigError, match="data folder"):
        async with open_embedded(bench.settings, webhook_url=None, on_change=bench.states.append):
            pass
