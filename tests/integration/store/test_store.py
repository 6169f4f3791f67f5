"""The store on SQLite and on PostgreSQL: the same answers from both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.clock import rfc3339
from services.errors import InvalidInputError, NotFoundError
from services.events import Event, Kind, Provenance, Source
from services.ids import new_session_id, room_name_for
from services.settings import Settings
from services.store.records import (
    Denial,
    Origin,
    Sample,
    SessionStatus,
)
from services.store.session_fields import SessionFilter, SessionRow
from services.store.session_search import SessionPage
from services.store.store import Store, open_store

T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def settings_for(url: str, folder: Path) -> Settings:
    return Settings(database_url=SecretStr(url), switchboard_data_dir=folder)


@pytest_asyncio.fixture
async def store(store_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty, migrated database of each kind."""
    async with open_store(settings_for(store_url, tmp_path)) as opened:
        yield opened


def room_event(kind: Kind, at_s: float = 0, /, **given: Any) -> Event:
    at = T0 + timedelta(seconds=at_s)
    values: dict[str, Any] = {
        "kind": kind,
        "at": at,
        "received_at": at,
        "source": Source.WEBHOOK,
        "room_name": "standup",
        "room_sid": "RM_1",
    }
    return Event(**(values | given))


def started(number: int, **given: Any) -> Event:
    """The start of a room of its own."""
    return room_event(Kind.ROOM_STARTED, room_name=f"r{number}", room_sid=f"RM_{number}", **given)


def person(kind: Kind, at_s: float, identity: str, /, **given: Any) -> Event:
    data = {"participant_sid": f"PA_{identity}", "name": identity, **given.pop("data", {})}
    return room_event(kind, at_s, identity=identity, data=data, **given)


async def test_what_was_appended_is_read_as_it_was(store: Store) -> None:
    event = person(
        Kind.PARTICIPANT_JOINED,
        1,
        "Zoë 🎧",
        data={"track": {"muted": True, "width": 3}, "list": [1, None, "ü"]},
        actor="op",
        certainty=Provenance.INFERRED,
        source=Source.POLL,
    )
    (written,) = await store.log.append(event)
    assert written.fresh
    assert written.session is not None
    (stored,) = await store.events()
    assert stored.event == replace(event, session_id=written.session.id)
    assert await store.session(written.session.id) == replace(written.session, people_peak=1)


async def test_events_are_folded_into_a_session_and_its_visits(store: Store) -> None:
    await store.log.append(room_event(Kind.ROOM_STARTED))
    await store.log.append(person(Kind.PARTICIPANT_JOINED, 1, "ann"))
    await store.log.append(
        person(Kind.PARTICIPANT_JOINED, 2, "bob"),
        person(Kind.PARTICIPANT_JOINED, 3, "agent", data={"kind": "agent"}),
    )
    await store.log.append(person(Kind.PARTICIPANT_LEFT, 4, "ann"))
    (written,) = await store.log.append(room_event(Kind.ROOM_FINISHED, 9))
    assert written.session is not None
    session = await store.session(written.session.id)
    assert (session.status, session.people_peak) == (SessionStatus.ENDED, 2)
    visits = await store.visits(session.id)
    assert [(v.identity, v.left_at, v.left_certainty) for v in visits] == [
        ("ann", T0 + timedelta(seconds=4), Provenance.OBSERVED),
        ("bob", T0 + timedelta(seconds=9), Provenance.INFERRED),
        ("agent", T0 + timedelta(seconds=9), Provenance.INFERRED),
    ]
    assert await store.session_of_room("standup") == session
    assert await store.open_sessions() == ()


async def test_the_same_event_twice_is_one_also_within_one_batch(store: Store) -> None:
    event = room_event(Kind.ROOM_STARTED)
    first, second = await store.log.append(event, event)
    (third,) = await store.log.append(event)
    assert (first.fresh, second.fresh, third.fresh) == (True, False, False)
    assert first.session == second.session == third.session
    assert len(await store.events()) == 1


async def test_a_repeated_webhook_that_was_stamped_later_changes_nothing(store: Store) -> None:
    join = person(Kind.PARTICIPANT_JOINED, 1, "ann")
    await store.log.append(room_event(Kind.ROOM_STARTED), join)
    await store.log.append(room_event(Kind.ROOM_FINISHED, 5, certainty=Provenance.INFERRED))
    later = replace(join, at=T0 + timedelta(seconds=60))
    (written,) = await store.log.append(later)
    assert not written.fresh
    assert written.session is not None
    assert written.session.status is SessionStatus.ENDED


async def test_two_thousand_appends_at_once_are_all_written_once(store: Store) -> None:
    events = [started(number % 50, id=f"webhook_{number}") for number in range(2000)]
    written = await asyncio.gather(*(store.log.append(event) for event in events))
    assert all(one.fresh for (one,) in written)
    seqs: list[int] = []
    while page := await store.events(after_seq=seqs[-1] if seqs else 0):
        seqs += [stored.seq for stored in page]
    assert len(seqs) == 2000
    assert seqs == sorted(set(seqs))
    assert len(await store.open_sessions()) == 50
    assert (store.log.waiting, store.log.rejected) == (0, 0)


async def test_the_list_goes_on_by_cursor_over_equal_times_without_gaps(store: Store) -> None:
    await store.log.append(*(started(number) for number in range(25)))  # all at the same moment
    await store.log.append(*(started(100 + n, at=T0 + timedelta(microseconds=n)) for n in range(5)))
    found: list[SessionRow] = []
    cursor = None
    while True:
        page = await store.session_search.page(cursor=cursor, limit=4)
        assert len(page.sessions) <= 4
        found += page.sessions
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(found) == 30
    assert found == sorted(found, key=lambda s: (s.created_at, s.session_id), reverse=True)
    assert len({session.session_id for session in found}) == 30


async def test_a_page_that_is_just_full_is_the_last(store: Store) -> None:
    await store.log.append(started(1), started(2))
    assert (await store.session_search.page(limit=2)).next_cursor is None
    assert (await store.session_search.page(limit=1)).next_cursor is not None
    assert len((await store.session_search.page(limit=0)).sessions) == 1  # at least one


async def test_what_comes_after_the_first_page_was_read_does_not_shift_the_next(
    store: Store,
) -> None:
    await store.log.append(*(started(n, at=T0 + timedelta(seconds=n)) for n in range(4)))
    first = await store.session_search.page(limit=2)
    await store.log.append(started(9, at=T0 + timedelta(seconds=9)))
    second = await store.session_search.page(limit=2, cursor=first.next_cursor)
    names = [one.room_name for one in (*first.sessions, *second.sessions)]
    assert names == ["r3", "r2", "r1", "r0"]


@pytest.mark.parametrize(
    "cursor", ["x", "ü", "!!!", "bnVsbA", "W10", "WyJhIiwiYiJd", "e30", "A" * 499]
)
async def test_a_cursor_that_is_not_ours_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await store.session_search.page(cursor=cursor)
    assert caught.value.field == "cursor"


def ours(number: int, **facts: Any) -> Event:
    session_id = new_session_id()
    return room_event(
        Kind.SESSION_CREATED,
        number,
        source=Source.API,
        session_id=session_id,
        room_name=room_name_for(session_id, "pm-agent"),
        room_sid=f"RM_{session_id}",
        data={
            "agent_name": "pm-agent",
            "user_id": "nate",
            "identity": f"nate-{number}",
            "origin": "api",
            "expires_at": rfc3339(T0 + timedelta(hours=2)),
            **facts,
        },
    )


async def test_every_filter_holds_and_they_hold_together(store: Store) -> None:
    wanted = ours(0)
    await store.log.append(wanted, ours(1, user_id="eve"), ours(2, agent_name="echo"), started(3))
    await store.log.append(
        room_event(Kind.ROOM_FINISHED, 9, room_name=wanted.room_name, room_sid=wanted.room_sid)
    )

    async def count(**given: Any) -> int:
        return len((await store.session_search.page(SessionFilter.where(**given))).sessions)

    assert await count() == 4
    assert await count(user_id="nate") == 2
    assert await count(agent_name="echo") == 1
    assert await count(room_name=wanted.room_name) == 1
    assert await count(status=(SessionStatus.ENDED,)) == 1
    assert await count(status=(SessionStatus.CREATED, SessionStatus.ENDED)) == 4
    assert await count(created_after=T0 + timedelta(seconds=1)) == 2
    assert await count(created_before=T0 + timedelta(seconds=1)) == 2
    assert await count(user_id="nate", status=(SessionStatus.ENDED,)) == 1
    assert await count(user_id="NATE") == 0
    assert await count(user_id="na\x00te") == 0
    assert await count(user_id="'; drop table sessions; --") == 0


async def test_a_session_of_ours_keeps_all_it_was_created_with(store: Store) -> None:
    event = ours(1, dispatch_id="AD_1")
    (written,) = await store.log.append(event)
    assert written.session is not None
    session = await store.session(written.session.id)
    assert (session.id, session.origin) == (event.session_id, Origin.API)
    assert session.expires_at == T0 + timedelta(hours=2)
    assert (session.user_id, session.identity, session.dispatch_id) == ("nate", "nate-1", "AD_1")


async def test_metadata_copied_from_another_room_does_not_touch_that_session(store: Store) -> None:
    victim = ours(1)
    await store.log.append(victim)
    before = await store.session(str(victim.session_id))
    mark = {"session_id": victim.session_id, "agent_id": "evil", "expires_at": rfc3339(T0)}
    forged = {"room_name": "evil", "room_sid": "RM_evil", "data": {"switchboard": mark}}
    (written,) = await store.log.append(room_event(Kind.ROOM_STARTED, 5, **forged))
    await store.log.append(room_event(Kind.ROOM_FINISHED, 6, **forged))
    assert written.session is not None
    assert written.session.id != victim.session_id
    assert written.session.origin is Origin.ADOPTED
    assert written.session.expires_at is None
    assert await store.session(str(victim.session_id)) == before


async def test_an_unknown_session_is_not_found(store: Store) -> None:
    for unknown in (new_session_id(), "", "x", "ses_\x00", "ses_" + "0" * 32 + "\n"):
        with pytest.raises(NotFoundError):
            await store.session(unknown)
    assert await store.session_of_room("nowhere\x00") is None


async def test_one_of_many_who_claim_a_key_gets_it_and_all_learn_who(store: Store) -> None:
    ids = [new_session_id() for _ in range(10)]
    found = await asyncio.gather(
        *(store.claim_key("k", f"digest-{n}", one, T0) for n, one in enumerate(ids))
    )
    assert len(set(found)) == 1
    digest, owner = found[0]
    assert digest == f"digest-{ids.index(owner)}"
    assert await store.claim_key("other", "d", ids[0], T0) == ("d", ids[0])


async def test_a_claim_whose_session_failed_is_renewed_once(store: Store) -> None:
    failed, fresh, late = new_session_id(), new_session_id(), new_session_id()
    await store.claim_key("k", "d", failed, T0)
    await store.renew_key("k", failed, fresh)
    await store.renew_key("k", failed, late)
    assert await store.claim_key("k", "d", late, T0) == ("d", fresh)


async def test_old_keys_are_forgotten(store: Store) -> None:
    first, second = new_session_id(), new_session_id()
    await store.claim_key("old", "d", first, T0)
    await store.claim_key("new", "d", first, T0 + timedelta(hours=1))
    await store.forget_keys(T0 + timedelta(minutes=1))
    assert (await store.claim_key("old", "d", second, T0))[1] == second
    assert (await store.claim_key("new", "d", second, T0))[1] == first


async def test_denials_hold_until_their_time_and_can_be_taken_back(store: Store) -> None:
    until = T0 + timedelta(hours=6)
    one = Denial(room_name="a", identity="bob", until=until, reason="Removed.")
    everybody = Denial(room_name="b", identity="", until=until)
    await store.deny(one)
    await store.deny(everybody)
    await store.deny(replace(one, reason="Again."))
    assert set(await store.denials(T0)) == {replace(one, reason="Again."), everybody}
    assert await store.denials(T0, room_name="b") == (everybody,)
    assert await store.denials(until + timedelta(seconds=1)) == ()
    await store.allow("b", "")
    assert await store.denials(T0, room_name="b") == ()
    await store.forget_denials(until + timedelta(seconds=1))
    assert await store.denials(T0) == ()


async def test_samples_are_one_a_minute_and_bounded(store: Store) -> None:
    def sample(minute: int, rooms: int) -> Sample:
        at = T0.replace(second=0, microsecond=0) + timedelta(minutes=minute)
        return Sample(minute=at, rooms=rooms, people=1, agents=1, sessions=1)

    long_ago = T0 - timedelta(days=1)
    for minute in (0, 1, 2):
        await store.add_sample(sample(minute, minute), keep_from=long_ago)
    await store.add_sample(sample(2, 9), keep_from=sample(1, 0).minute)
    assert [s.rooms for s in await store.samples(long_ago)] == [1, 9]
    assert [s.rooms for s in await store.samples(sample(2, 0).minute)] == [9]


async def test_old_events_are_deleted_in_portions_and_their_sessions_stay(store: Store) -> None:
    await store.log.append(*(started(n, received_at=T0 + timedelta(days=n)) for n in range(6)))
    before = T0 + timedelta(days=4)
    assert await store.prune_events(before, limit=3) == 3
    assert await store.prune_events(before, limit=3) == 1
    assert await store.prune_events(before, limit=3) == 0
    assert [stored.event.room_name for stored in await store.events()] == ["r4", "r5"]
    assert len((await store.session_search.page()).sessions) == 6


async def test_nul_characters_and_half_characters_are_replaced_and_not_refused(
    store: Store,
) -> None:
    event = person(
        Kind.PARTICIPANT_JOINED, 1, "na\x00te", data={"a\x00": ["\x00", {"b": "x\x00y"}]}
    )
    half = person(Kind.PARTICIPANT_JOINED, 2, "ha\ud800lf", data={"x": "\udfff"})
    (first,) = await store.log.append(event)
    (second,) = await store.log.append(half)
    assert first.fresh
    assert second.fresh
    stored = [one.event for one in await store.events()]
    assert stored[0].identity == "na\N{REPLACEMENT CHARACTER}te"
    assert stored[1].identity.startswith("ha")
    assert "\x00" not in json.dumps([one.data for one in stored], ensure_ascii=False)
    assert store.log.rejected == 0


async def test_events_of_one_session_and_the_latest_are_read_in_order(store: Store) -> None:
    (written,) = await store.log.append(room_event(Kind.ROOM_STARTED))
    await store.log.append(started(2), person(Kind.PARTICIPANT_JOINED, 3, "ann"))
    assert written.session is not None
    of_one = await store.events(session_id=written.session.id)
    assert [one.event.kind for one in of_one] == [Kind.ROOM_STARTED, Kind.PARTICIPANT_JOINED]
    latest = await store.latest_events(limit=2)
    assert [one.event.kind for one in latest] == [Kind.PARTICIPANT_JOINED, Kind.ROOM_STARTED]


async def test_health_tells_the_sizes_and_the_schema(store: Store) -> None:
    await store.log.append(started(1), started(2))
    health = await store.health()
    assert health.dialect in {"sqlite", "postgresql"}
    assert health.revision
    assert (health.events, health.sessions) == (2, 2)
    assert (health.waiting, health.rejected, health.last_error) == (0, 0, "")
    assert health.round_trip_ms < 1000
    assert (health.size_bytes or 0) > 0


async def test_what_was_written_is_there_after_a_restart(store_url: str, tmp_path: Path) -> None:
    settings = settings_for(store_url, tmp_path)
    async with open_store(settings) as store:
        await store.log.append(started(1))
    async with open_store(settings) as store:  # migrating again changes nothing
        assert len(await store.events()) == 1


async def test_what_waits_at_the_close_is_written(store_url: str, tmp_path: Path) -> None:
    settings = settings_for(store_url, tmp_path)
    async with open_store(settings) as store:
        waiting = [asyncio.ensure_future(store.log.append(started(n))) for n in range(100)]
        await asyncio.wait(waiting, timeout=0)
    await asyncio.gather(*waiting)
    async with open_store(settings) as store:
        assert len(await store.events()) == 100


async def test_what_must_not_be_kept_is_nowhere_in_the_database(
    store_url: str, tmp_path: Path
) -> None:
    settings = settings_for(store_url, tmp_path).model_copy(
        update={"switchboard_pii_redaction": ("card", "email")}
    )
    async with open_store(settings) as store:
        await store.log.append(started(1, data={"name": "4111 1111 1111 1111"}))
        told = room_event(
            Kind.MESSAGE,
            1,
            room_name="r1",
            room_sid="RM_1",
            source=Source.AGENT,
            data={
                "role": "user",
                "text": "4111 1111 1111 1111, ana@example.org",
                "agent_name": "x",
            },
        )
        await store.log.append(told)
        (kept,) = [one.event for one in await store.events(kinds=(Kind.MESSAGE,))]
        assert kept.data["text"] == "[card], [email]"
        found = await store.session_search.page(SessionFilter.where(q="4111"))
        assert found.sessions == ()
        assert len((await store.session_search.page(SessionFilter.where(q="card"))).sessions) == 1
        turns = await store.agents.turns_of(
            str(found_id(await store.session_search.page(SessionFilter.where(q="card"))))
        )
        assert [turn.user_text for turn in turns] == ["[card], [email]"]


def found_id(page: SessionPage) -> str:
    return page.sessions[0].session_id
