"""Tickets: ours are taken for ten minutes, everything else is refused in the same words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from services.errors import BadSignatureError
from services.live.stream_tickets import LIFETIME, TOPICS_LIMIT, StreamTickets

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


def test_a_ticket_names_its_topics() -> None:
    tickets = StreamTickets(Clock())
    assert tickets.topics(tickets.issue(("rooms", "room:ä/b"))) == ("rooms", "room:ä/b")


def test_a_ticket_is_good_for_its_lifetime_and_not_longer() -> None:
    clock = Clock()
    tickets = StreamTickets(clock)
    ticket = tickets.issue(("rooms",))
    clock.time = START + LIFETIME
    assert tickets.topics(ticket) == ("rooms",)
    clock.time = START + LIFETIME + timedelta(seconds=1)
    with pytest.raises(BadSignatureError, match="out of date"):
        tickets.topics(ticket)


def test_the_number_of_topics_is_bounded() -> None:
    tickets = StreamTickets(Clock())
    many = tuple(f"room:{number}" for number in range(TOPICS_LIMIT * 2))
    assert len(tickets.topics(tickets.issue(many))) == TOPICS_LIMIT


def test_a_ticket_of_an_earlier_run_is_refused() -> None:
    ticket = StreamTickets(Clock()).issue(("rooms",))
    with pytest.raises(BadSignatureError):
        StreamTickets(Clock()).topics(ticket)


def _forged() -> list[str]:
    claims = {"aud": "switchboard-live", "topics": ["rooms"], "exp": START + LIFETIME}
    good = StreamTickets(Clock()).issue(("rooms",))
    head, body, signature = good.split(".")
    return [
        "",
        "x",
        "ü.ü.ü",
        "a" * 5000,
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-2]}xx",
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, "k" * 64, algorithm="HS256"),
    ]


@pytest.mark.parametrize("ticket", _forged())
def test_forged_and_garbled_tickets_are_refused(ticket: str) -> None:
    with pytest.raises(BadSignatureError):
        StreamTickets(Clock()).topics(ticket)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "switchboard-live", "topics": ["rooms"]},
        {"aud": "other", "topics": ["rooms"], "exp": START + LIFETIME},
        {"aud": "switchboard-live", "exp": START + LIFETIME},
        {"aud": "switchboard-live", "topics": None, "exp": START + LIFETIME},
    ],
)
def test_even_our_own_key_makes_no_ticket_of_other_claims(claims: dict[str, object]) -> None:
    tickets = StreamTickets(Clock())
    with pytest.raises(BadSignatureError):
        tickets.topics(jwt.encode(claims, tickets._key, algorithm="HS256"))
