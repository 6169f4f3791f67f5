"""The file of people: who has which role, by name or by group, and the hashes of passwords.

```yaml
people:
  nate: {role: admin, password: "$argon2id$…"}   # no password with OIDC or a proxy
  ana@example.org: {role: qa}
groups:
  voice-team: operator
everybody: viewer   # who is signed in and named nowhere else; without it they are refused
```
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.access.permissions import Role
from services.errors import ConfigError, InvalidInputError, NotFoundError

log = logging.getLogger(__name__)

PASSWORD_LEAST: Final = 10
_HASHER: Final = PasswordHash((Argon2Hasher(),))
_NOBODY: Final = _HASHER.hash("nobody has this password")
"""What an unknown name is checked against, so that it takes as long as a known one."""


class Person(BaseModel):
    """One entry. `password` is a hash."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    role: Role
    password: str | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    people: Mapping[str, Person] = Field(default_factory=dict)
    groups: Mapping[str, Role] = Field(default_factory=dict)
    everybody: Role | None = None


class People:
    """The file as it stands now: a change counts at once. `path` None: there is no file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._read = _File()

    def check(self) -> None:
        """Read the file. One that is not there yet is no mistake: nobody can sign in, and that is said.

        Raises:
            ConfigError: it cannot be used; the message names what is wrong, and no hash.
        """
        if not self._now().people and self._path is not None and not self._path.is_file():
            log.warning("nobody can sign in yet: switchboard users add NAME admin")

    def everyone(self) -> Mapping[str, Person]:
        """Those whom the file names. Raises ConfigError."""
        return self._now().people

    def groups(self) -> Mapping[str, Role]:
        """The roles of groups. Raises ConfigError."""
        return self._now().groups

    def role_of(self, name: str, groups: Collection[str] = ()) -> Role | None:
        """The role of who is signed in; by name first, else the highest of the groups.

        None: nobody gave them one. Raises ConfigError.
        """
        file = self._now()
        if (person := file.people.get(name)) is not None:
            return person.role
        order = list(Role)
        found = [file.groups[group] for group in groups if group in file.groups]
        return max(found, key=order.index) if found else file.everybody

    def verified(self, name: str, password: str) -> bool:
        """Whether this is their password. Takes some tens of milliseconds, whoever it is."""
        person = self._now().people.get(name)
        held = person.password if person is not None else None
        try:
            right = _HASHER.verify(password, held or _NOBODY)
        except UnknownHashError:
            return False
        return right and held is not None

    def stamp(self, name: str) -> str | None:
        """Changes with their password; None: there is no such person with a password."""
        person = self._now().people.get(name)
        return None if person is None or person.password is None else person.password[-16:]

    def _now(self) -> _File:
        if self._path is None:
            return self._read
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._read = _parse(self._path.read_text(encoding="utf-8"))
                self._stamp = stamp
        except FileNotFoundError:  # nobody was added yet: nobody is let in
            self._read, self._stamp = _File(), None
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or type(exc).__name__
            raise ConfigError(
                f"Cannot read the users file ({reason}).",
                hint="Check SWITCHBOARD_USERS_FILE, or create the file with `switchboard users`.",
            ) from None
        return self._read


def put_person(path: Path, name: str, role: Role, *, password: str | None) -> None:
    """Write a person into the file, in place of one of that name; the file is made if need be.

    Raises:
        InvalidInputError: no name, or the password is too short.
        ConfigError: the file that is there cannot be used.
    """
    name = name.strip()
    if not name or len(name) > 200:
        raise InvalidInputError("A user name must have 1 to 200 characters.", field="name")
    if password is not None and len(password) < PASSWORD_LEAST:
        raise InvalidInputError(
            f"A password must have at least {PASSWORD_LEAST} characters.",
            hint="Use several words.",
            field="password",
        )
    entry: dict[str, str] = {"role": role.value}
    if password is not None:
        entry["password"] = _HASHER.hash(password)
    held = _held(path)
    held["people"] = {**(held.get("people") or {}), name: entry}
    _replace(path, held)


def remove_person(path: Path, name: str) -> None:
    """Take a person out of the file.

    Raises:
        NotFoundError: there is none of that name.
        ConfigError: the file that is there cannot be used.
    """
    held = _held(path)
    people = dict(held.get("people") or {})
    if people.pop(name, None) is None:
        raise NotFoundError(
            f"The users file has no user {name!r}.", hint="Run `switchboard users list`."
        )
    held["people"] = people
    _replace(path, held)


def _held(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    _parse(text)
    held: dict[str, Any] = yaml.safe_load(text) or {}
    return held


def _replace(path: Path, held: Mapping[str, Any]) -> None:
    """Whole or not at all, and readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".people-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        yaml.safe_dump(dict(held), file, allow_unicode=True, sort_keys=False)
    Path(name).replace(path)


def _parse(text: str) -> _File:
    try:
        return _File.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError:
        raise ConfigError(
            "The users file is not valid YAML.", hint="See docs/access.md for the format."
        ) from None
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise ConfigError(
            f"Invalid users file: {where}: {first['msg']}.",
            hint="See docs/access.md for the format.",
        ) from None
