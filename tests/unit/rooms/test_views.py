"""The health of a room: what an operator must look at, and what is fine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.errors import LiveKitUnavailableError
from services.ids import OBSERVER_PREFIX, new_session_id
from services.livekit.models import Participant, ParticipantKind, Permissions, Room, Track
from services.rooms.views import AGENT_GRACE, EXPIRES_SOON, Health, RoomsSnapshot, RoomView
from services.store.records import Origin, SessionRecord

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OLD = NOW - timedelta(minutes=5)
TRACK = Track(sid="TR_1", name="mic", kind="audio", source="microphone", muted=False)
CALLER = Participant(identity="nate", sid="PA_1", tracks=(TRACK,))
AGENT = Participant(
    identity="agent-1",
    sid="PA_2",
    kind=ParticipantKind.AGENT,
    attributes={"lk.agent.name": "pm-agent", "lk.agent.state": "listening"},
)
OBSERVER = Participant(identity=f"{OBSERVER_PREFIX}1", sid="PA_3")
HIDDEN = Participant(
    identity="spy",
    sid="PA_4",
    permissions=Permissions(
        can_subscribe=True, can_publish=False, can_publish_data=False, hidden=True
    ),
)


def session(**given: Any) -> SessionRecord:
    values: dict[str, Any] = {
        "id": new_session_id(),
        "room_name": "r",
        "room_sid": "RM_1",
        "agent_name": "pm-agent",
        "origin": Origin.API,
        "created_at": OLD,
        "last_event_at": OLD,
    }
    return SessionRecord(**(values | given))


def view(*people: Participant, created_at: datetime = OLD, **given: Any) -> RoomView:
    values: dict[str, Any] = {
        "seen_at": created_at,
        "participants": people,
        "participants_known": True,
    }
    return RoomView(room=Room(name="r", sid="RM_1", created_at=created_at), **(values | given))


@pytest.mark.parametrize(
    ("seen", "health"),
    [
        (view(CALLER, AGENT), Health.OK),
        (view(CALLER, AGENT, session=session()), Health.OK),
        (view(AGENT), Health.EMPTY),
        (view(), Health.EMPTY),
        (view(OBSERVER, HIDDEN), Health.EMPTY),
        (view(CALLER), Health.NO_AGENT),
        (view(CALLER, session=session()), Health.NO_AGENT),
        (view(session=session()), Health.NO_AGENT),
        (view(CALLER, created_at=NOW - AGENT_GRACE, session=session()), Health.OK),
        (view(CALLER, AGENT, ending=True), Health.ENDING),
        (view(CALLER, AGENT, session=session(expires_at=NOW + EXPIRES_SOON)), Health.EXPIRING),
        (
            view(CALLER, AGENT, session=session(expires_at=NOW + 2 * EXPIRES_SOON)),
            Health.OK,
        ),
        (view(participants_known=False, session=session()), Health.UNKNOWN),
    ],
)
def test_a_room_is_as_well_as_what_is_in_it(seen: RoomView, health: Health) -> None:
    found, sentence = seen.health(NOW)
    assert found is health
    assert sentence.endswith(".")


def test_observers_and_hidden_ones_are_nobody() -> None:
    seen = view(CALLER, AGENT, OBSERVER, HIDDEN)
    assert (seen.people, seen.agents, seen.publishers) == (1, 1, 1)


def test_before_the_participants_are_known_livekits_own_count_is_shown() -> None:
    room = Room(name="r", sid="RM_1", num_participants=7, num_publishers=3)
    seen = RoomView(room=room, seen_at=NOW)
    assert (seen.people, seen.publishers) == (7, 3)


def test_the_agent_that_is_there_is_named_rather_than_the_one_that_was_asked_for() -> None:
    assert view(AGENT, session=session(agent_name="other")).agent_name == "pm-agent"
    assert view(AGENT).agent_state == "listening"
    assert view(session=session(agent_name="other")).agent_name == "other"
    assert view(CALLER).agent_name == ""


def test_a_row_is_json_and_has_every_field_that_the_live_table_reads() -> None:
    row = view(CALLER, AGENT, session=session(expires_at=NOW)).row(NOW)
    assert set(json.loads(json.dumps(row))) == {
        "name", "sid", "agent", "agent_state", "people", "agents", "publishers", "created_at",
        "expires_at", "health", "health_text", "session_id", "adopted",
    }  # fmt: skip
    assert row["created_at"].endswith("Z")
    assert view().row(NOW)["session_id"] is None


def test_a_room_of_others_and_one_not_yet_known_to_be_ours_count_as_adopted() -> None:
    assert view().adopted
    assert view(session=session(origin=Origin.ADOPTED)).adopted
    assert not view(session=session()).adopted


def test_a_snapshot_says_how_old_it_is_and_what_is_wrong() -> None:
    error = LiveKitUnavailableError("No LiveKit.", hint="Start it.")
    snapshot = RoomsSnapshot(rooms=(view(CALLER, AGENT),), taken_at=NOW, error=error)
    assert snapshot.status() == {
        "checked_at": "2026-03-01T12:00:00Z",
        "error": "No LiveKit.",
        "error_hint": "Start it.",
    }
    assert (snapshot.people, snapshot.agents) == (1, 1)
    assert snapshot.get("r") is not None
    assert snapshot.get("other") is None
    assert RoomsSnapshot().status()["checked_at"] is None
