"""`python -m agents.speech.say`: speak texts into WAV files, for callers that are no people.

Standard input is a JSON object {path: text}. Files are written whole or not at all.
"""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import Mapping
from pathlib import Path

from agents.speech import speaking, wire


def say(wanted: Mapping[str, str]) -> None:
    """Write each text as 16-bit mono PCM at `wire.SPOKEN_HZ` to its path."""
    voice = speaking.load(known=None)
    for path, text in wanted.items():
        part = Path(f"{path}.part")
        with wave.open(str(part), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(wire.SPOKEN_HZ)
            for piece in speaking.pieces(text):
                file.writeframes(voice.speak(piece))
        part.replace(path)


if __name__ == "__main__":
    say(json.load(sys.stdin))
