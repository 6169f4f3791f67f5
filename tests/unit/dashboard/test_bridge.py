"""The crossing from Streamlit's threads to the shared loop, inside a real script run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from services.runtime import Runtime, close_runtime, get_runtime
from services.settings import Settings


@pytest.fixture
def shared_runtime(tmp_path: Path) -> Iterator[Runtime]:
    """The process's runtime, with no livekit-server to be had."""
    nothing = tmp_path / "no-such-server"
    settings = Settings(
        switchboard_data_dir=tmp_path / "data", switchboard_livekit_server_bin=nothing
    )
    yield get_runtime(lambda: Runtime(settings))
    close_runtime()


def _slow_read() -> None:
    import asyncio

    import streamlit as st

    from dashboard.ui import bridge

    async def slow() -> str:
        await asyncio.sleep(0.2)  # longer than the bridge waits before it looks up
        return "answered"

    st.write(bridge.read(slow))


def _slow_write() -> None:
    import asyncio

    import streamlit as st

    from dashboard.ui import bridge

    async def slow(caller: object) -> str:
        await asyncio.sleep(0.2)
        return "written"

    st.write(bridge.write(slow))


@pytest.mark.parametrize(("script", "says"), [(_slow_read, "answered"), (_slow_write, "written")])
def test_a_slow_call_is_waited_for_in_a_page(
    shared_runtime: Runtime, script: object, says: str
) -> None:
    app = AppTest.from_function(script).run()  # type: ignore[arg-type]
    assert not app.exception
    assert app.markdown[0].value == says
    assert shared_runtime.alive
