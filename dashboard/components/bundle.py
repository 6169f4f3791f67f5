"""The way from a Streamlit component to its built bundle, which our own server hands out.

Streamlit takes packaged files only from an installed distribution. So each component is a stub
of a few lines that imports the bundle from our own static mount; browsers keep the bundle, and
the hash in its address makes them fetch a new one. Sources: `frontend/`; build: `make front`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

BUILD_DIR: Final = Path(__file__).resolve().parent / "build"
MOUNT_PATH: Final = "switchboard-assets"  # where streamlit_app.py serves BUILD_DIR


def stub(entry: str) -> str:
    """The component's JavaScript: imports `entry`.js and calls it.

    Several lines on purpose: Streamlit 1.67 takes a one-line string for a file's path.

    Raises:
        FileNotFoundError: the bundle has not been built.
    """
    digest = hashlib.sha256((BUILD_DIR / f"{entry}.js").read_bytes()).hexdigest()[:12]
    return (
        f'const address = new URL("{MOUNT_PATH}/{entry}.js?v={digest}", document.baseURI).href;\n'
        "export default async (args) => (await import(address)).default(args);\n"
    )
