"""The file of people: `python -m scripts.people add NAME ROLE`, `… remove NAME`, `… list`."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence

from services.access.permissions import Role
from services.access.users import People, put_person, remove_person
from services.errors import SwitchboardError
from services.settings import load_settings


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 where it could not be done, which is said."""
    wanted = _arguments(arguments)
    try:
        path = load_settings().people_file
        match wanted.what:
            case "add":
                password = None if wanted.no_password else _password()
                put_person(path, wanted.name, Role(wanted.role), password=password)
                print(f"{wanted.name} is {wanted.role} in {path}.")
            case "remove":
                remove_person(path, wanted.name)
                print(f"{wanted.name} is no longer in {path}.")
            case _:
                for name, person in People(path).everyone().items():
                    print(
                        f"{person.role.value:10}{name}{'' if person.password else '  (no password)'}"
                    )
    except SwitchboardError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _password() -> str:
    """Asked for twice at a terminal; else the first line of the input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    while True:
        first = getpass.getpass("Password: ")
        if first == getpass.getpass("Once more: "):
            return first
        print("They differ. Again:")


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.people", description="Who may use the dashboard, and as what."
    )
    ways = parser.add_subparsers(dest="what", required=True)
    add = ways.add_parser("add", help="add somebody, or change their role and password")
    add.add_argument("name")
    add.add_argument("role", choices=[role.value for role in Role])
    add.add_argument(
        "--no-password", action="store_true", help="for OIDC or a proxy, which ask for their own"
    )
    ways.add_parser("remove", help="remove somebody").add_argument("name")
    ways.add_parser("list", help="list everybody")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
