"""The notebook of docs/ reads a running dashboard, with and without a login."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from services.access.permissions import Scope
from tests.support.api_server import ApiServer, Wired
from tests.support.callers import person

NOTEBOOK = Path(__file__).parents[3] / "docs" / "notebooks" / "sessions.ipynb"


def run_cells() -> dict[str, Any]:
    """Every code cell, one after the other, as a kernel would; gives the names that it leaves."""
    names: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    return names


async def notes_of(server: ApiServer, *users: str) -> list[str]:
    """Sessions of these users, by id."""
    return [(await server.create(user_id=user))["session_id"] for user in users]


@pytest.mark.parametrize("login", ["none", "oidc"])
async def test_the_notebook_reads_what_is_there(
    wired: Wired, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    async with wired.api(switchboard_auth_mode=login) as server:
        keys = server.runtime.keys
        _, secret = await server.runtime.acall(
            lambda: keys.make(
                "notebook", [Scope.EXPORT, Scope.SESSIONS], lasts=None, actor=person()
            )
        )
        server.http.headers["authorization"] = f"Bearer {secret}"
        made = await notes_of(server, "ana", "ben")
        monkeypatch.setenv("SWITCHBOARD_URL", str(server.http.base_url).rstrip("/"))
        monkeypatch.setenv("SWITCHBOARD_API_KEY", secret if login != "none" else "")
        left = await asyncio.to_thread(run_cells)
    frame = left["switchboard_frame"]
    assert sorted(frame["session_id"]) == sorted(made)
    assert set(frame["agent_id"]) == {"pm-agent"}
    assert list(left["listen_to"].columns) == ["session_id", "agent_id", "answer_worst_ms", "link"]
