"""Ids sort by age, names are never used twice, and what is not ours is not taken for ours."""

from __future__ import annotations

import pytest

from services.ids import (
    is_session_id,
    new_event_id,
    new_identity,
    new_session_id,
    room_name_for,
    session_id_in,
)


def test_session_ids_are_unique_and_sort_by_age() -> None:
    made = [new_session_id() for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == 1000
    assert all(is_session_id(one) for one in made)


def test_a_room_name_gives_its_session_back() -> None:
    session_id = new_session_id()
    assert session_id_in(room_name_for(session_id, "pm-agent")) == session_id


@pytest.mark.parametrize(
    "prefix", ["", "  ", "///", "a b/c", "ü" * 300, "x" * 500, "-a-", "\x00", "名前"]
)
def test_any_prefix_makes_a_name_that_livekit_takes(prefix: str) -> None:
    name = room_name_for(new_session_id(), prefix)
    assert len(name.encode()) <= 256
    assert name.isascii()
    assert name.isprintable()
    assert not name.startswith("-")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "standup",
        "call-123",
        "a-" + "g" * 32,
        "a-" + "0" * 31,
        "a" + "0" * 32,
        "x-" + "A" * 32,
        "x-" + "0" * 32 + "\n",
    ],
)
def test_a_room_of_others_belongs_to_no_session(name: str) -> None:
    assert session_id_in(name) is None


@pytest.mark.parametrize(
    "text",
    ["", "ses_", "ses_" + "0" * 31, "ses_" + "0" * 33, "SES_" + "0" * 32, "ses_" + "0" * 32 + "\n"],
)
def test_what_only_looks_like_a_session_id_is_refused(text: str) -> None:
    assert not is_session_id(text)


def test_identities_and_events_are_new_each_time() -> None:
    assert new_identity("nate") != new_identity("nate")
    assert new_identity("nate").startswith("nate-")
    assert new_identity("\x00 ").startswith("guest-")
    assert new_event_id() != new_event_id()
