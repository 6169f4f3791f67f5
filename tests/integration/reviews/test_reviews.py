"""What people think of a session: kept with who and when, over a restart, and bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from services.clock import rfc3339, utc_now
from services.errors import ConfigError
from services.events import Kind
from services.reviews.service import questions_of
from tests.support.api_server import ApiServer, Wired


@pytest.fixture
async def server(wired: Wired, any_store_url: str) -> AsyncIterator[ApiServer]:
    async with wired.api(database_url=SecretStr(any_store_url)) as opened:
        yield opened


async def test_notes_and_verdicts_are_kept_with_who_and_when(server: ApiServer) -> None:
    made = await server.create()
    where = f"/api/voice/session/{made['session_id']}"
    early = rfc3339(utc_now() - timedelta(minutes=5))
    late = await server.http.post(f"{where}/notes", json={"text": "  Later <b>  "})
    first = {"text": "Früh 😀", "pinned_at": early, "tags": ["slow", " slow ", ""]}
    written = await server.http.post(f"{where}/notes", json=first)
    assert (late.status_code, written.status_code) == (201, 201)

    found = (await server.http.get(f"{where}/review")).json()
    assert [note["text"] for note in found["notes"]] == ["Früh 😀", "Later <b>"]
    assert found["notes"][0]["tags"] == ["slow"]
    assert {note["author"] for note in found["notes"]} == {"api"}
    asked = found["questions"]

    gone = await server.http.delete(f"{where}/notes/{written.json()['note_id']}")
    assert gone.status_code == 204
    again = await server.http.delete(f"{where}/notes/{written.json()['note_id']}")
    assert again.status_code == 404

    for verdict, scores in (("fail", {}), ("pass", {asked[0]: "yes", asked[1]: "no"})):
        body = {"verdict": verdict, "remark": "so", "scores": scores}
        assert (await server.http.post(f"{where}/verdict", json=body)).status_code == 204
    found = (await server.http.get(f"{where}/review")).json()
    assert [note["text"] for note in found["notes"]] == ["Later <b>"]
    assert [one["verdict"] for one in found["verdicts"]] == ["pass", "fail"]
    assert found["verdicts"][0]["scores"] == {asked[0]: "yes", asked[1]: "no"}


async def test_reviews_outlive_the_events_of_their_session(server: ApiServer) -> None:
    made = await server.create()
    where = f"/api/voice/session/{made['session_id']}"
    await server.http.post(f"{where}/notes", json={"text": "stay"})
    store = server.runtime.store
    had = await server.runtime.acall(lambda: store.events(session_id=made["session_id"]))
    before = utc_now() + timedelta(hours=1)
    assert await server.runtime.acall(lambda: store.prune_events(before)) > 0
    left = await server.runtime.acall(lambda: store.events(session_id=made["session_id"]))
    # LiveKit's events may still come in after it
    old = {one.seq for one in had}
    assert {one.event.kind for one in left if one.seq in old} == {Kind.NOTE_ADDED}
    assert len((await server.http.get(f"{where}/review")).json()["notes"]) == 1


NO_REVIEWS: Final[list[tuple[str, dict[str, object]]]] = [
    ("notes", {"text": ""}),
    ("notes", {"text": "   "}),
    ("notes", {"text": "x" * 4_001}),
    ("notes", {"text": "x", "pinned_at": "2026-01-01T00:00:00"}),
    ("notes", {"text": "x", "tags": ["t" * 41]}),
    ("notes", {"text": "x", "tags": ["t"] * 11}),
    ("notes", {"text": "x", "author": "me"}),
    ("verdict", {"verdict": "maybe"}),
    ("verdict", {"verdict": "pass", "scores": {"Who are you?": "yes"}}),
    ("verdict", {"verdict": "pass", "scores": {"Was it fast enough?": "very"}}),
]


async def test_what_cannot_be_a_review_is_refused(
    server: ApiServer, subtests: pytest.Subtests
) -> None:
    made = await server.create()
    where = f"/api/voice/session/{made['session_id']}"
    for path, body in NO_REVIEWS:
        with subtests.test(path=path, body=repr(body)[:80]):
            reply = await server.http.post(f"{where}/{path}", json=body)
            assert reply.status_code == 422, reply.text
    found = (await server.http.get(f"{where}/review")).json()
    assert (found["notes"], found["verdicts"]) == ([], [])


def test_a_scorecard_is_a_question_a_line(tmp_path: Path) -> None:
    file = tmp_path / "scorecard.txt"
    file.write_text("Was it kind?\n\n  Was it short?  \nWas it kind?\n", encoding="utf-8")
    assert questions_of(file) == ("Was it kind?", "Was it short?")
    assert len(questions_of(None)) == 3
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="0 questions"):
        questions_of(file)
    with pytest.raises(ConfigError, match="Cannot read"):
        questions_of(tmp_path / "gone.txt")
