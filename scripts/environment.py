"""The virtual environment in `.venv`: `python -m scripts.environment run|dev [PROGRAM …]`.

Made when it is missing or its Python is gone, and installed into only when the requirements have
changed. Several `make` at once wait for each other. Standard library only: it runs before anything
is installed.

uv installs: the one on PATH, else one from PyPI (requirements-uv.txt). Where uv cannot do it, pip
does. With PROGRAM, which is found in `.venv`, livekit-server is built beside the installation, and
this process becomes PROGRAM in the end. The build ends when PROGRAM does.

`python -m scripts.environment launcher FOLDER` writes the command `switchboard` alone.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

ROOT: Final = Path(__file__).resolve().parent.parent
FILES: Final = {"run": "requirements.txt", "dev": "requirements-dev.txt"}
UV_FILE: Final = "requirements-uv.txt"
SETUP_FILE: Final = "requirements-setup.txt"
SUPPORTED: Final = ((3, 11), (3, 14))
_GUARD: Final = ROOT / "services" / "processes" / "guard.py"
_WINDOWS: Final = os.name == "nt"
_SCRIPTS: Final = "Scripts" if _WINDOWS else "bin"

Leash = subprocess.Popen[bytes] | None
"""The build of livekit-server; it ends when its standard input does."""

# pip's options that say where packages come from -> uv's variables for them, the first of which
# is set. uv reads none of pip's files and variables (uv 0.13).
_UV_NAMES: Final = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "find-links": ("UV_FIND_LINKS",),
    "no-index": ("UV_NO_INDEX",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("ALL_PROXY", "HTTPS_PROXY", "all_proxy", "https_proxy"),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
}


def main(kind: str, program: Sequence[str] = ()) -> None:
    """Make `.venv` fit for `kind`, and become `program`; says what it does when it takes time."""
    folder = ROOT / ".venv"
    leash: Leash = None
    with _alone(ROOT / ".venv.lock"):
        if not _usable(folder):
            _create(folder)
        wanted = _digest(folder, kind)
        stamp = folder / f".installed-{kind}"
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
            leash = _install(folder, kind, build=bool(program))
            stamp.write_text(wanted, encoding="utf-8")
            if kind == "dev":  # it holds everything of "run", in the same versions
                covered = folder / ".installed-run"
                covered.write_text(_digest(folder, "run"), encoding="utf-8")
        write_launcher(folder)
    if program:
        _become(folder, program, leash)


def python_in(folder: Path) -> Path:
    """The Python of the virtual environment in `folder`."""
    return folder / _SCRIPTS / ("python.exe" if _WINDOWS else "python")


def write_launcher(folder: Path) -> Path:
    """Put the command `switchboard` beside the Python of `folder`; it works from anywhere.

    pip cannot install it: it takes no `-e .` beside hashes.
    """
    path = folder / _SCRIPTS / ("switchboard.cmd" if _WINDOWS else "switchboard")
    text = launcher(python_in(folder), ROOT, windows=_WINDOWS)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8", newline="")
        path.chmod(0o755)
    return path


def launcher(python: Path, root: Path, *, windows: bool) -> str:
    """A script that runs scripts/cli.py; by `-P` no file of the caller's folder gets in its way."""
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from scripts.cli import main; main()"
    if windows:
        percent = code.replace("%", "%%")
        return f'@"{python}" -P -c "{percent}" %*\r\n'
    return f'#!/bin/sh\nexec {shlex.quote(str(python))} -P -c {shlex.quote(code)} "$@"\n'


def uv_environment(pip_config: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which uv asks where pip would; what is set for uv itself stays.

    `pip_config` is what `pip config list` prints: its files and variables, the last wins.
    """
    found: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in pip_config.splitlines():
            name, equals, value = line.partition("=")
            option = name.removeprefix(section)
            if equals and name.startswith(section) and option in _UV_NAMES:
                found[option] = str(ast.literal_eval(value)).strip()
    env = dict(environ)
    for option, value in found.items():
        names = _UV_NAMES[option]
        if not value or any(env.get(name) for name in names):
            continue
        if option == "find-links":
            value = ",".join(value.split())
        elif option in {"timeout", "default-timeout"}:
            value = str(round(float(value)))
        env[names[0]] = " ".join(value.split())
    if "extra-index-url" in found:  # pip looks into all of them; the hashes choose
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return env


def _usable(folder: Path) -> bool:
    """Whether its Python still runs and is of a version that we support."""
    low, high = SUPPORTED
    check = f"import pip, sys; sys.exit(not {low} <= sys.version_info[:2] < {high})"
    try:
        done = subprocess.run([python_in(folder), "-c", check], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _create(folder: Path) -> None:
    if folder.exists():
        if folder.is_symlink() or not (folder / "pyvenv.cfg").is_file():
            sys.exit(f"{folder} is not a virtual environment. Move it away, then try again.")
        print("The Python of .venv is gone or of another version: making .venv again.", flush=True)
        shutil.rmtree(folder)
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Making .venv with Python {version} …", flush=True)
    # With a uv at hand pip need not be unpacked by ensurepip (5 s of CPU): uv installs it.
    venv.create(folder, with_pip=shutil.which("uv") is None)


def _install(folder: Path, kind: str, *, build: bool) -> Leash:
    for stamp in folder.glob(".installed-*"):  # a half-done installation counts for nothing
        stamp.unlink()
    name = FILES[kind]
    count = sum("==" in line for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    print(f"Installing {count} packages from {name} …", flush=True)
    began = time.monotonic()
    leash: Leash = None
    uv = _find_uv(folder)
    env = uv_environment(_pip_config(folder), os.environ)
    done = uv is not None and _uv_install(uv, folder, SETUP_FILE, env)
    if uv is not None and done:
        leash = _build_livekit_server(folder) if build else None
        done = _uv_install(uv, folder, name, env)
    if not done:
        print("uv cannot install the packages here. pip does it, in some minutes …", flush=True)
        if not (_ensure_pip(folder) and _pip_install(folder, name)):
            sys.exit("The packages could not be installed; pip says above why. Then try again.")
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)
    return leash


def _find_uv(folder: Path) -> str | None:
    """The uv on PATH, else one that pip gets from PyPI into `folder`; None where it cannot."""
    if uv := shutil.which("uv"):
        return uv
    print("Getting uv, which installs faster than pip …", flush=True)
    if not _pip_install(folder, UV_FILE, "--no-deps", "--only-binary", ":all:"):
        return None
    return str(folder / _SCRIPTS / ("uv.exe" if _WINDOWS else "uv"))


def _uv_install(uv: str, folder: Path, name: str, env: Mapping[str, str]) -> bool:
    command = [uv, "pip", "install", "--quiet", "--python", str(python_in(folder))]
    command += ["--require-hashes", "-r", name]
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, check=False)
    except OSError as exc:
        print(f"{uv} does not run: {exc.strerror}.", file=sys.stderr, flush=True)
        return False
    return done.returncode == 0


def _pip_config(folder: Path) -> str:
    """What pip is configured to; of this Python's pip, as long as `folder` has none."""
    for python in (python_in(folder), sys.executable):
        done = subprocess.run(
            [python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return done.stdout
    # No pip at all, but variables for it: mirrors are often named so.
    named = {n[4:].lower().replace("_", "-"): v for n, v in os.environ.items() if n[:4] == "PIP_"}
    return "\n".join(f":env:.{name}={value!r}" for name, value in named.items())


def _ensure_pip(folder: Path) -> bool:
    """Put pip in, where the uv on PATH was to do that and did not."""
    command = [str(python_in(folder)), "-m", "ensurepip", "--default-pip"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


def _pip_install(folder: Path, name: str, *options: str) -> bool:
    command = [str(python_in(folder)), "-m", "pip", "install", "--require-hashes", "-r", name]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    done = subprocess.run(
        [*command, *options, *quiet], cwd=ROOT, stdin=subprocess.DEVNULL, check=False
    )
    return done.returncode == 0


def _build_livekit_server(folder: Path) -> Leash:
    """Begin it, below the guard: it ends when the other end of its pipe is gone, kill -9 too."""
    python = str(python_in(folder))
    guard = [python, "-I", str(_GUARD), "--parent", str(os.getpid()), "--"]
    return subprocess.Popen(
        [*guard, python, "-m", "services.livekit.build"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us, and reaches it by the pipe
    )


def _become(folder: Path, program: Sequence[str], leash: Leash) -> NoReturn:
    """Go on as the program, in this very process where the system can do that.

    The pipe to the build stays open in it, so that the build lives as long.
    """
    if program[0] == "switchboard":
        path = write_launcher(folder)
    else:
        path = folder / _SCRIPTS / f"{program[0]}{'.exe' if _WINDOWS else ''}"
    command = [str(path), *program[1:]]
    if _WINDOWS:  # there `exec` would be a new process, and this one's end the end of the build
        sys.exit(subprocess.run(command, check=False).returncode)
    if leash is not None and leash.stdin is not None:
        os.set_inheritable(leash.stdin.fileno(), True)
    os.execv(path, command)


def _digest(folder: Path, kind: str) -> str:
    """What was installed where: another file, folder or Python means installing again."""
    version = subprocess.run(
        [python_in(folder), "-c", "import sys; print(sys.version, sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    )
    content = (ROOT / FILES[kind]).read_bytes()
    return hashlib.sha256(version.stdout.encode() + content).hexdigest()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One at a time; the lock ends with the process."""
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        if sys.argv[1] == "launcher":
            write_launcher(Path(sys.argv[2]).absolute())
        else:
            main(sys.argv[1], sys.argv[2:])
    except KeyboardInterrupt:  # a build that was begun ends with us
        sys.exit(130)
