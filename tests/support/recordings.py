"""Real recorded speech for tests: five sentences of a LibriVox reader (public domain).

They are in Debian's package pocketsphinx-testdata; `prepare` installs it where that is allowed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.need import missing

_PACKAGE: Final = "pocketsphinx-testdata"
_FOLDER: Final = Path("/usr/share/pocketsphinx/test/data/librivox")
_APT_S: Final = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is said, and its PCM of 16 bits, mono, 16,000 Hz."""

    text: str
    pcm: bytes


def recordings() -> tuple[Recording, ...]:
    """All of them. Where they are not there the test fails under CI=true, else is skipped."""
    if not _FOLDER.is_dir():
        missing(
            f"There are no recordings in {_FOLDER}. On Debian or Ubuntu install them: "
            f"apt-get install {_PACKAGE}, or run `python -m tests.support.prepare`."
        )
    found = re.findall(r"<s> (.*?) +</s> \((.*)\)", (_FOLDER / "transcription").read_text())
    return tuple(Recording(text=text, pcm=_pcm(_FOLDER / f"{name}.wav")) for text, name in found)


def _pcm(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        pcm: bytes = file.readframes(file.getnframes())
    return pcm


def prepare() -> str:
    """Install them where apt is and we may; gives a sentence that says how it stands."""
    if _FOLDER.is_dir():
        return f"Recorded speech: {_FOLDER}"
    if shutil.which("apt-get") is None:
        return f"Recorded speech: not there, and no apt-get to install {_PACKAGE} with."
    if os.geteuid() != 0:
        return f"Recorded speech: not there. Install it: sudo apt-get install {_PACKAGE}"
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", _PACKAGE]):
        try:
            done = subprocess.run(
                ["apt-get", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_APT_S,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"Recorded speech: apt-get {arguments[0]} was not done in {_APT_S} s."
        if done.returncode:
            last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
            return f"Recorded speech: apt-get {arguments[0]} failed ({last})."
    return f"Recorded speech: {_FOLDER}"
