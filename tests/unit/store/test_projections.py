"""Sessions are folded from events, and any order of arrival gives the same session."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.clock import rfc3339
from services.events import Event, Kind, Provenance, Source
from services.ids import SessionId, room_name_for
from services.livekit.webhooks import ours_in
from services.store.projections import fold
from services.store.records import Origin, SessionRecord, SessionStatus, Visit

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SESSION = SessionId("ses_01999c5e60007000a000000000000001")
ROOM = room_name_for(SESSION, "pm-agent")
EXPIRES = T0 + timedelta(hours=2)
MARK = {"session_id": SESSION, "agent_id": "pm-agent", "expires_at": rfc3339(EXPIRES)}


@dataclass
class Book:
    """What the store does with events, without a database."""

    session: SessionRecord | None = None
    visits: dict[str, Visit] = field(default_factory=dict)

    def take(self, events: Iterable[Event]) -> Book:
        for event in events:
            sid = str(event.data.get("participant_sid", ""))
            folded = fold(self.session, self.visits.get(sid), event)
            self.session = folded.session
            if folded.visit is not None:
                self.visits[sid] = folded.visit
            if folded.closes_visits:
                for key, visit in self.visits.items():
                    if visit.left_at is None:
                        self.visits[key] = replace(
                            visit, left_at=event.at, left_certainty=Provenance.INFERRED
                        )
        return self

    @property
    def record(self) -> SessionRecord:
        assert self.session is not None
        return self.session


def told(
    kind: Kind,
    at_s: float,
    /,
    *,
    source: Source = Source.WEBHOOK,
    received_s: float | None = None,
    room: str = ROOM,
    sid: str = "RM_1",
    session_id: str | None = None,
    identity: str = "",
    **data: Any,
) -> Event:
    received = T0 + timedelta(seconds=at_s if received_s is None else received_s)
    inferred = source is Source.POLL
    if identity:
        data = {"participant_sid": f"PA_{identity}", "name": identity, **data}
    return Event(
        kind=kind,
        at=T0 + timedelta(seconds=at_s),
        received_at=received,
        source=source,
        certainty=Provenance.INFERRED if inferred else Provenance.OBSERVED,
        session_id=session_id,
        room_name=room,
        room_sid=sid,
        identity=identity,
        data=data,
    )


def created(at_s: float = 0.0) -> Event:
    return told(
        Kind.SESSION_CREATED,
        at_s,
        source=Source.API,
        session_id=SESSION,
        agent_name="pm-agent",
        user_id="nate",
        identity="",
        origin="api",
        expires_at=rfc3339(EXPIRES),
    )


def with_caller(event: Event) -> Event:
    return replace(event, data={**event.data, "identity": "nate-1"})


WHOLE_CALL = (
    with_caller(created()),
    told(Kind.ROOM_STARTED, 0.1, switchboard=MARK),
    told(Kind.PARTICIPANT_JOINED, 1, identity="nate", switchboard=MARK),
    told(Kind.PARTICIPANT_JOINED, 2, identity="agent", kind="agent", switchboard=MARK),
    told(
        Kind.PARTICIPANT_LEFT,
        8,
        identity="nate",
        disconnect_reason="client_initiated",
        switchboard=MARK,
    ),
    told(
        Kind.SESSION_ENDING,
        9,
        source=Source.OPERATOR,
        session_id=SESSION,
        reason="Done.",
        expired=False,
    ),
    told(Kind.ROOM_FINISHED, 10, switchboard=MARK),
)


def test_a_whole_call_is_one_session_with_two_visits() -> None:
    book = Book().take(WHOLE_CALL)
    session = book.record
    assert session.id == SESSION
    assert session.ours
    assert (session.status, session.end_reason) == (SessionStatus.ENDED, "Done.")
    assert (session.agent_name, session.user_id) == ("pm-agent", "nate")
    assert (session.created_at, session.started_at) == (T0, T0 + timedelta(seconds=1))
    assert (session.ended_at, session.ended_certainty) == (
        T0 + timedelta(seconds=10),
        Provenance.OBSERVED,
    )
    assert session.expires_at == EXPIRES
    nate, agent = book.visits["PA_nate"], book.visits["PA_agent"]
    assert (nate.left_certainty, nate.leave_reason) == (Provenance.OBSERVED, "client_initiated")
    assert (agent.left_at, agent.left_certainty) == (session.ended_at, Provenance.INFERRED)
    json.dumps(session.data)


def test_any_order_of_arrival_gives_the_same_session_and_visits() -> None:
    expected = Book().take(WHOLE_CALL)
    for order in itertools.permutations(WHOLE_CALL):
        book = Book().take(order)
        assert book == expected, [event.kind for event in order]


def test_events_that_come_twice_change_nothing() -> None:
    expected = Book().take(WHOLE_CALL)
    generator = random.Random(7)
    for _ in range(200):
        twice = [*WHOLE_CALL, *WHOLE_CALL]
        generator.shuffle(twice)
        assert Book().take(twice) == expected


ADOPTED = (
    told(Kind.ROOM_STARTED, 0, room="standup"),
    told(Kind.PARTICIPANT_JOINED, 1, room="standup", identity="ann"),
    told(Kind.TRACK_PUBLISHED, 2, room="standup", identity="ann", track={"sid": "TR_1"}),
    told(Kind.PARTICIPANT_JOINED, 3, room="standup", identity="bob"),
    told(Kind.PARTICIPANT_ABORTED, 4, room="standup", identity="bob"),
    told(Kind.TRACK_UNPUBLISHED, 5, room="standup", identity="ann"),
    told(Kind.ROOM_FINISHED, 6, room="standup"),
)


def test_a_room_of_others_gives_the_same_adopted_session_in_any_order() -> None:
    expected = Book().take(ADOPTED)
    assert expected.record.origin is Origin.ADOPTED
    assert expected.record.created_at == T0
    assert expected.record.created_certainty is Provenance.OBSERVED
    for order in itertools.permutations(ADOPTED):
        book = Book().take(order)
        session_id = book.record.id
        assert replace(book.record, id=expected.record.id) == expected.record
        assert {replace(v, session_id=expected.record.id) for v in book.visits.values()} == set(
            expected.visits.values()
        )
        assert {visit.session_id for visit in book.visits.values()} == {session_id}


def test_a_session_whose_beginning_was_missed_says_that_it_is_incomplete() -> None:
    book = Book().take([told(Kind.PARTICIPANT_JOINED, 5, room="standup", identity="ann")])
    assert book.record.created_certainty is Provenance.INCOMPLETE
    assert book.record.status is SessionStatus.ACTIVE


def test_what_was_inferred_gives_way_to_what_was_observed() -> None:
    polled = told(Kind.ROOM_STARTED, 0.4, received_s=2, source=Source.POLL, room="standup")
    told_late = told(Kind.ROOM_STARTED, 0.2, received_s=3, room="standup")
    for order in itertools.permutations([polled, told_late]):
        record = Book().take(order).record
        assert record.created_at == told_late.at
        assert record.created_certainty is Provenance.OBSERVED

    seen = told(Kind.PARTICIPANT_JOINED, 1.0, received_s=2, source=Source.POLL, identity="ann")
    joined = told(Kind.PARTICIPANT_JOINED, 1.1, identity="ann")
    for order in itertools.permutations([told(Kind.ROOM_STARTED, 0), seen, joined]):
        visit = Book().take(order).visits["PA_ann"]
        assert (visit.joined_at, visit.joined_certainty) == (joined.at, Provenance.OBSERVED)


def test_an_observed_end_wins_over_an_inferred_one_in_either_order() -> None:
    gone = told(Kind.ROOM_FINISHED, 20, source=Source.POLL, reason="Not listed.", lost=True)
    finished = told(Kind.ROOM_FINISHED, 10)
    start = told(Kind.ROOM_STARTED, 0, switchboard=MARK)
    for order in itertools.permutations([start, gone, finished]):
        record = Book().take(order).record
        assert (record.ended_at, record.ended_certainty) == (finished.at, Provenance.OBSERVED)
        assert (record.status, record.end_reason) == (SessionStatus.ENDED, "")


def test_a_wrongly_inferred_end_is_taken_back_in_any_order() -> None:
    events = (
        told(Kind.ROOM_STARTED, 0, switchboard=MARK),
        told(Kind.PARTICIPANT_JOINED, 1, identity="ann", switchboard=MARK),
        told(Kind.ROOM_FINISHED, 5, source=Source.POLL, reason="Not listed."),
        told(Kind.PARTICIPANT_JOINED, 9, identity="bob", switchboard=MARK),
    )
    for order in itertools.permutations(events):
        record = Book().take(order).record
        assert record.status is SessionStatus.ACTIVE, [event.kind for event in order]
        assert (record.ended_at, record.end_reason) == (None, "")


def test_a_room_that_is_listed_again_takes_its_inferred_end_back_although_it_began_before() -> None:
    book = Book().take(
        [
            told(Kind.ROOM_STARTED, 0, switchboard=MARK),
            told(Kind.ROOM_FINISHED, 5, source=Source.POLL, reason="Not listed."),
            told(Kind.ROOM_STARTED, 0, received_s=8, source=Source.POLL, switchboard=MARK),
        ]
    )
    assert book.record.status is SessionStatus.CREATED
    assert book.record.ended_at is None


def test_who_was_wrongly_taken_for_gone_is_there_again() -> None:
    join = told(Kind.PARTICIPANT_JOINED, 1, identity="ann")
    book = Book().take(
        [
            told(Kind.ROOM_STARTED, 0),
            join,
            told(Kind.PARTICIPANT_LEFT, 4, source=Source.POLL, identity="ann"),
            replace(join, source=Source.POLL, received_at=T0 + timedelta(seconds=6)),
        ]
    )
    assert book.visits["PA_ann"].left_at is None


def test_an_end_that_was_asked_for_is_not_taken_back() -> None:
    book = Book().take(
        [
            told(Kind.ROOM_STARTED, 0, switchboard=MARK),
            told(Kind.SESSION_ENDING, 4, source=Source.SYSTEM, session_id=SESSION, reason="x"),
            told(Kind.ROOM_FINISHED, 5, source=Source.POLL),
            told(Kind.PARTICIPANT_JOINED, 9, identity="nate", switchboard=MARK),
        ]
    )
    assert book.record.status is SessionStatus.ENDED
    assert book.visits["PA_nate"].left_at is not None


def test_an_observed_end_is_final() -> None:
    late = told(Kind.PARTICIPANT_JOINED, 9, identity="nate", switchboard=MARK)
    book = Book().take([*WHOLE_CALL, late])
    assert book.record.status is SessionStatus.ENDED
    assert book.record.ended_at == T0 + timedelta(seconds=10)


def test_the_end_of_another_room_of_that_name_ends_nothing() -> None:
    book = Book().take([*WHOLE_CALL[:3], told(Kind.ROOM_FINISHED, 5, sid="RM_2")])
    assert book.record.status is SessionStatus.ACTIVE


@pytest.mark.parametrize(
    ("ending", "finished", "status"),
    [
        ({"expired": True}, {}, SessionStatus.EXPIRED),
        ({"expired": True}, {"lost": True}, SessionStatus.EXPIRED),
        ({"expired": False}, {}, SessionStatus.ENDED),
        (None, {"lost": True}, SessionStatus.FAILED),
        (None, {}, SessionStatus.ENDED),
    ],
)
def test_expired_failed_and_ended_are_told_apart_in_any_order(
    ending: dict[str, Any] | None, finished: dict[str, Any], status: SessionStatus
) -> None:
    source = Source.POLL if finished else Source.WEBHOOK
    events = [
        told(Kind.ROOM_STARTED, 0, switchboard=MARK),
        told(Kind.ROOM_FINISHED, 8, source=source, **finished),
    ]
    if ending is not None:
        asked = told(Kind.SESSION_ENDING, 7, source=Source.SYSTEM, session_id=SESSION, **ending)
        events.append(asked)
    for order in itertools.permutations(events):
        assert Book().take(order).record.status is status


def test_the_first_who_asked_for_the_end_says_why() -> None:
    first = told(Kind.SESSION_ENDING, 3, source=Source.API, session_id=SESSION, reason="First.")
    again = told(Kind.SESSION_ENDING, 9, source=Source.SYSTEM, session_id=SESSION, reason="")
    for order in itertools.permutations([*WHOLE_CALL[:2], first, again]):
        assert Book().take(order).record.end_reason == "First."


def test_an_extension_holds_in_any_order_and_the_latest_wins() -> None:
    later, latest = EXPIRES + timedelta(hours=1), EXPIRES + timedelta(minutes=90)
    events = [
        *WHOLE_CALL[:2],
        told(Kind.SESSION_EXTENDED, 3, session_id=SESSION, expires_at=rfc3339(later)),
        told(Kind.SESSION_EXTENDED, 4, session_id=SESSION, expires_at=rfc3339(latest)),
    ]
    for order in itertools.permutations(events):
        if order[0].kind is not Kind.SESSION_EXTENDED:  # it is made of a session that is there
            assert Book().take(order).record.expires_at == latest


def test_the_agents_dispatch_is_known_in_whatever_order_it_is_told() -> None:
    events = [*WHOLE_CALL[:2], told(Kind.AGENT_DISPATCHED, 3, session_id=SESSION, dispatch_id="AD")]
    for order in itertools.permutations(events):
        if order[0].kind is not Kind.AGENT_DISPATCHED:
            assert Book().take(order).record.dispatch_id == "AD"


def test_agents_hidden_ones_and_recorders_do_not_start_a_session() -> None:
    for data in ({"kind": "agent"}, {"kind": "egress"}, {"hidden": True}):
        book = Book().take(
            [
                told(Kind.ROOM_STARTED, 0),
                told(Kind.PARTICIPANT_JOINED, 1, identity="machine", **data),
            ]
        )
        assert book.record.status is SessionStatus.CREATED
        assert book.record.started_at is None


@pytest.mark.parametrize(
    "kind", [Kind.OPERATOR_ACTION, Kind.JOIN_DENIED, Kind.SESSION_FAILED, Kind.LIVEKIT_OTHER]
)
def test_what_is_not_about_a_rooms_life_opens_no_session(kind: Kind) -> None:
    assert fold(None, None, told(kind, 0)).session is None


def test_without_a_room_id_nothing_can_be_told_apart_so_no_session_is_opened() -> None:
    assert fold(None, None, told(Kind.ROOM_STARTED, 0, sid="")).session is None


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "switchboard",
        '"switchboard"',
        "[]",
        "{",
        '{"switchboard": null}',
        '{"switchboard": 5}',
        '{"switchboard": {}}',
        '{"switchboard": {"session_id": "ses_x"}}',
        '{"switchboard": {"session_id": {"a": 1}}}',
        '{"switchboard": {"session_id": "' + SESSION + '", "expires_at": "soon"}}',
        '{"switchboard": {"session_id": "' + SESSION + '", "expires_at": "2026-01-01T00:00:00"}}',
        "[" * 100_000 + '"switchboard"',
    ],
)
def test_garbled_metadata_makes_no_room_ours(metadata: str) -> None:
    assert ours_in(metadata) is None


def test_our_own_metadata_is_recognised() -> None:
    assert ours_in(json.dumps({"own": 1, "switchboard": MARK})) == MARK
