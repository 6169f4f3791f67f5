"""Speech for scripted callers, made by the agents' own voice in a process of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.graphs import check_agents_installed
from services.scripts.api import ScriptError
from services.settings import PROJECT_DIR

_SPEAK_S: Final = 120.0


async def spoken_files(texts: Sequence[str]) -> dict[str, Path]:
    """A WAV file for each text (16 bits, mono), made where there is none yet.

    Raises:
        ConfigError: what the voice needs is not installed.
        ScriptError: the voice could not be loaded, or took too long.
    """
    check_agents_installed("A script that speaks")
    folder = (
        Path(tempfile.gettempdir())
        / f"switchboard-spoken-{os.getuid() if hasattr(os, 'getuid') else 0}"
    )
    folder.mkdir(mode=0o700, exist_ok=True)
    files = {
        text: folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.wav" for text in texts
    }
    missing = {str(path): text for text, path in files.items() if not path.is_file()}
    if missing:
        await _speak(missing)
    return files


async def _speak(wanted: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agents.speech.say",
        cwd=PROJECT_DIR,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    err = b""
    try:
        async with asyncio.timeout(_SPEAK_S):
            _, err = await process.communicate(json.dumps(wanted).encode())
    except TimeoutError:
        raise ScriptError("Speech synthesis timed out.", hint="Try again with less load.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = err.decode(errors="replace").strip().splitlines()
        raise ScriptError(
            f"Speech synthesis failed: {said[-1] if said else process.returncode}.",
            hint="See docs/speech.md for the requirements. Text scripts need no speech synthesis.",
        )
