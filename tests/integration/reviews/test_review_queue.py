"""The review queue, assignments, agreement and versions, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.clock import utc_now
from services.errors import InvalidInputError, NotFoundError
from services.events import Event, Kind, Source
from services.ids import new_session_id, room_name_for
from services.reviews.queue import PART, Rule, is_drawn
from services.store.session_fields import SessionFilter
from tests.support.api_server import ApiServer, Wired
from tests.support.callers import person


@pytest_asyncio.fixture
async def server(wired: Wired, store_url: str) -> AsyncIterator[ApiServer]:
    async with wired.api(database_url=SecretStr(store_url)) as opened:
        yield opened


async def call(
    server: ApiServer,
    user: str,
    *,
    answers: tuple[float, ...] = (300.0,),
    cut_off: int = 0,
    failed: bool = False,
    version: str = "",
) -> str:
    """A call of forty minutes ago that is over; gives its id."""
    session_id, began = new_session_id(), utc_now() - timedelta(minutes=40)
    events: list[Event] = []

    def tell(kind: Kind, after_s: float, source: Source = Source.AGENT, /, **data: object) -> None:
        at = began + timedelta(seconds=after_s)
        events.append(
            Event(
                kind=kind,
                at=at,
                received_at=at,
                source=source,
                session_id=session_id,
                room_name=room_name_for(session_id, "q"),
                room_sid=f"RM_{session_id[-8:]}",
                data=data,
            )
        )

    names = {"agent_name": "pm-agent", "user_id": user, "identity": user}
    tell(Kind.SESSION_CREATED, 0, Source.OPERATOR, **names)
    tell(Kind.JOB_STARTED, 1, versions={"agent": version} if version else {})
    for number, ms in enumerate(answers):
        told = {"role": "assistant", "text": "so", "metrics": {"e2e_latency": ms}}
        tell(Kind.MESSAGE, 2 + number * 90, role="user", text="and?", agent_name="pm-agent")
        tell(Kind.MESSAGE, 3 + number * 90, **told, interrupted=number < cut_off)
    if failed:
        tell(Kind.AGENT_ERROR, 500, source="llm", message="away", recoverable=False)
    tell(Kind.ROOM_FINISHED, 900, Source.WEBHOOK)
    store = server.runtime.store
    await server.runtime.acall(lambda: store.log.append(*events))
    return session_id


async def queue(server: ApiServer, *rules: Rule) -> dict[str, set[Rule]]:
    quality = server.runtime.quality
    queued = await server.runtime.acall(lambda: quality.queue(rules or tuple(Rule)))
    return {one.session.user_id: set(one.why) for one in queued}


async def test_what_is_worth_a_look_and_why(server: ApiServer) -> None:
    await call(server, "slow", answers=(9_000.0,))
    await call(server, "broken", answers=(), failed=True)
    await call(server, "rude", answers=(200.0,) * 4, cut_off=3)
    judged = await call(server, "judged", answers=(10_000.0,), failed=True)
    await server.create(user_id="going on")
    reviews = server.runtime.reviews
    await server.runtime.acall(lambda: reviews.judge(judged, "pass", actor=person("ana")))
    found = await queue(server, Rule.SLOWEST, Rule.FAILED, Rule.INTERRUPTED)
    assert found == {
        "slow": {Rule.SLOWEST},
        "broken": {Rule.FAILED},
        "rude": {Rule.SLOWEST, Rule.INTERRUPTED},
    }
    assert await queue(server, Rule.FAILED) == {"broken": {Rule.FAILED}}


async def test_the_random_part_is_the_same_for_everybody(server: ApiServer) -> None:
    ids = {f"u{number}": await call(server, f"u{number}", answers=()) for number in range(120)}
    drawn = {user for user, session_id in ids.items() if is_drawn(session_id)}
    assert set(await queue(server, Rule.RANDOM)) == drawn
    many = [is_drawn(f"ses_{number:032x}") for number in range(20_000)]
    assert sum(many) / len(many) == pytest.approx(PART, abs=0.01)


async def test_sessions_are_assigned_and_taken_back(server: ApiServer) -> None:
    one, two = await call(server, "one"), await call(server, "two")
    quality, store = server.runtime.quality, server.runtime.store

    async def mine(name: str) -> list[str]:
        page = await server.runtime.acall(
            lambda: store.session_search.page(SessionFilter.where(assignee=name))
        )
        return sorted(found.user_id for found in page.sessions)

    await server.runtime.acall(lambda: quality.assign((one, two), "  zoë  q ", actor=person("ana")))
    assert await mine("zoë q") == ["one", "two"]
    await server.runtime.acall(lambda: quality.assign((one,), "", actor=person("ana")))
    assert await mine("zoë q") == ["two"]
    with pytest.raises(NotFoundError):
        await server.runtime.acall(
            lambda: quality.assign((one, "ses_" + "0" * 32), "ben", actor=person("ana"))
        )
    assert await mine("ben") == []
    with pytest.raises(InvalidInputError):
        await server.runtime.acall(lambda: quality.assign((one,), "x" * 201, actor=person("ana")))


async def test_agreement_counts_the_newest_verdict_of_each(server: ApiServer) -> None:
    ids = [await call(server, f"u{number}", version=f"v{number % 2}") for number in range(4)]
    reviews, quality = server.runtime.reviews, server.runtime.quality
    for number, session_id in enumerate(ids):
        for name, verdict in (
            ("ana", "fail"),
            ("ana", "pass"),
            ("ben", "pass" if number else "fail"),
        ):
            await server.runtime.acall(
                lambda s=session_id, n=name, v=verdict: reviews.judge(s, v, actor=person(n))  # type: ignore[misc]
            )
    (one,) = await server.runtime.acall(quality.agreement)
    assert (one.author, one.other, one.count, one.same) == ("ana", "ben", 4, 0.75)
    versions = {one.version: one for one in await server.runtime.acall(quality.trend)}
    assert {name: (one.passed, one.judged) for name, one in versions.items()} == {
        "v0": (1, 2),  # ben was the last to judge the first one
        "v1": (2, 2),
    }
