"""Callers who speak, for the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.speaking import SpeakIn


@pytest.fixture
def speak_in(tmp_path: Path) -> Iterator[SpeakIn]:
    """Call it for each caller: `caller = await speak_in(target, room, token)`."""
    callers = SpeakIn.open(tmp_path)
    yield callers
    callers.close()
