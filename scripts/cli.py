"""The command line: `switchboard run | worker | doctor | users | test | version`.

`make` puts `switchboard` into `.venv/bin`; `python -m scripts.cli`, from the project's folder, is
the same. Each command imports what it needs by itself, so that help and completion are there at
once. Exit codes: 0 it is well, 1 it is not, 2 it was asked for wrongly or a setting is wrong.
"""

from __future__ import annotations

import asyncio
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from services.access.permissions import Role
from services.errors import ConfigError, InvalidInputError, SwitchboardError

if TYPE_CHECKING:
    from services.scripts.result import ScriptResult
    from services.scripts.script import Script

ROOT: Final = Path(__file__).resolve().parent.parent


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Our own errors as a sentence and an exit code, not as a traceback."""
    try:
        yield
    except SwitchboardError as error:
        click.echo(str(error), err=True)
        sys.exit(2 if isinstance(error, ConfigError | InvalidInputError) else 1)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def switchboard() -> None:
    """The control room for LiveKit voice agents on your own servers.

    Settings come from the environment and from the file .env; .env.example has them all.
    """


@switchboard.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8501,
    show_default=True,
    help="Where the dashboard listens. Each port has a data folder of its own.",
)
@_in_one_sentence()
def run(port: int) -> None:
    """Start the dashboard.

    Without LIVEKIT_URL it brings a livekit-server and a worker of its own. Ctrl-C ends all of it.
    """
    from scripts.run import start

    sys.exit(start(port))


@switchboard.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Serve health and status there, on 127.0.0.1 (default: any free port).",
)
@click.option(
    "--tell", type=click.Path(path_type=Path), hidden=True, help="File for port and process id."
)
@_in_one_sentence()
def worker(port: int, tell: Path | None) -> None:
    """Take jobs for the agents of langgraph.json.

    It may run on any machine, and needs LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET and
    SWITCHBOARD_URL, the address of the dashboard.
    """
    from services.graphs import check_agents_installed

    check_agents_installed("The worker")
    from agents.worker import main as start

    start(port=port, tell=tell)


@switchboard.command()
@click.option("--url", help="The dashboard that runs, where it is not found by itself.")
@click.option("--quick", is_flag=True, help="Open no room to see its webhook arrive.")
@click.option("--deep", is_flag=True, help="Load every graph as well.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@_in_one_sentence()
def doctor(url: str | None, quick: bool, deep: bool, as_json: bool) -> None:
    """Say what is wrong with this installation, and how to fix it.

    It starts nothing. The exit code is 1 where there is a problem, and 0 with warnings alone.
    """
    from services.health.doctor import main as examine

    sys.exit(examine(url=url, quick=quick, deep=deep, as_json=as_json))


@switchboard.group()
def users() -> None:
    """Manage who may sign in, and with which role.

    They are in one file: people.yaml in the data folder, or what SWITCHBOARD_USERS_FILE names.
    """


@users.command()
@click.argument("name")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@click.option(
    "--no-password", is_flag=True, help="For OIDC or a proxy, which ask for their own password."
)
@_in_one_sentence()
def add(name: str, role: str, no_password: bool) -> None:
    """Add the user NAME, or change their ROLE and password.

    The password is asked for at a terminal; else it is the first line of the input.
    """
    from services.access.users import put_person
    from services.settings import load_settings

    path = load_settings().people_file
    password = None if no_password else _password()
    put_person(path, name, Role(role), password=password)
    click.echo(f"{name} is {role} in {path}.")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


@users.command()
@click.argument("name")
@_in_one_sentence()
def remove(name: str) -> None:
    """Remove the user NAME."""
    from services.access.users import remove_person
    from services.settings import load_settings

    path = load_settings().people_file
    remove_person(path, name)
    click.echo(f"{name} is no longer in {path}.")


@users.command("list")
@_in_one_sentence()
def list_users() -> None:
    """List all users with their roles."""
    from services.access.users import People
    from services.settings import load_settings

    for name, person in People(load_settings().people_file).everyone().items():
        click.echo(f"{person.role.value:10}{name}{'' if person.password else '  (no password)'}")


@switchboard.command()
@click.argument("scripts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--url",
    envvar="SWITCHBOARD_URL",
    default="http://localhost:8501",
    show_default=True,
    show_envvar=True,
    help="The dashboard.",
)
@click.option("--junit", type=click.Path(path_type=Path), help="Write the results there, as XML.")
@click.option("--quiet", is_flag=True, help="Print the results alone, not each line as it comes.")
@_in_one_sentence()
def test(scripts: tuple[Path, ...], url: str, junit: Path | None, quiet: bool) -> None:
    """Run scripted test sessions against a dashboard that runs.

    SCRIPTS are YAML files, or folders of them; docs/scripts.md has their form. Where the dashboard
    has a login, SWITCHBOARD_API_KEY holds a key with the scopes read, sessions and agents. The
    exit code is 1 where a script did not pass, and 2 where one cannot be read.
    """
    from services.scripts.result import as_junit, as_text
    from services.scripts.script import read

    results = asyncio.run(_run_scripts(read(scripts), url, quiet=quiet))
    click.echo(as_text(results))
    if junit is not None:
        junit.write_text(as_junit(results), encoding="utf-8")
    sys.exit(0 if all(result.passed for result in results) else 1)


async def _run_scripts(scripts: Sequence[Script], url: str, *, quiet: bool) -> list[ScriptResult]:
    import os

    from services.scripts.api import open_api
    from services.scripts.run import run as run_script

    def tell(text: str) -> None:
        if not quiet:
            click.echo(f"    {text}", err=True)

    async with open_api(url, os.environ.get("SWITCHBOARD_API_KEY", "")) as api:
        return [await run_script(script, api, tell=tell) for script in scripts]


@switchboard.command()
def version() -> None:
    """Print the version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = ".".join(map(str, sys.version_info[:3]))
    click.echo(f"Switchboard {project['version']} (Python {python})")


def main() -> None:
    """Run the command that the arguments name, and end the program."""
    switchboard(prog_name="switchboard")


if __name__ == "__main__":
    main()
