"""`switchboard run`: the dashboard on a port, with a data folder of that port's own."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

import click
from streamlit.web import cli

from services.errors import ConfigError
from services.settings import Settings, load_settings

ROOT: Final = Path(__file__).resolve().parent.parent
DEFAULT_PORT: Final = 8501


def data_dir_for(settings: Settings, port: int) -> Path:
    """The folder that was set, else one for each port: two dashboards do not meet in it."""
    if "switchboard_data_dir" in settings.model_fields_set or port == DEFAULT_PORT:
        return settings.switchboard_data_dir
    default = settings.switchboard_data_dir
    return default.with_name(f"{default.name}-{port}")


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # else a port that was closed a moment ago counts as taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def start(port: int) -> int:
    """Run Streamlit in this process, which gets the signals, until it is asked to end.

    Gives the exit code.

    Raises:
        ConfigError: a setting or the port cannot be used.
    """
    folder = data_dir_for(load_settings(), port)
    if not is_free(port):
        other = port + 99 if port + 99 < 65536 else DEFAULT_PORT
        raise ConfigError(
            f"Port {port} is in use.",
            hint=f"Choose another: make run PORT={other}, or switchboard run --port {other}",
        )
    print(f"Switchboard: http://localhost:{port}   data: {folder}", flush=True)
    os.chdir(ROOT)
    os.environ["SWITCHBOARD_DATA_DIR"] = str(folder)
    arguments = ["run", "streamlit_app.py", "--server.port", str(port)]
    try:
        cli.main(arguments, prog_name="streamlit", standalone_mode=False)
    except click.Abort:  # Ctrl-C, after everything was closed: not a failure
        print("Switchboard has stopped.")
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    return 0
