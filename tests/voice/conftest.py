"""What only the voice tests need: callers who speak."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.speaking import SpeakIn


@pytest.fixture(scope="session")
def _callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeakIn]:
    callers = SpeakIn.open(tmp_path_factory.mktemp("callers"))
    yield callers
    callers.close()


@pytest_asyncio.fixture(loop_scope="session")
async def speak_in(_callers: SpeakIn) -> AsyncIterator[SpeakIn]:
    """Call it for each caller who really speaks; all hang up at the end of the test."""
    yield _callers
    await _callers.all_leave()
