"""Short-lived signed tickets: they let a page that we drew subscribe on `/api/live`, and nobody else.

Streamlit's login does not guard `/api`, so the page hands its browser a ticket.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

import jwt

from services.clock import Now
from services.errors import BadSignatureError

LIFETIME: Final = timedelta(minutes=10)  # to subscribe with; a subscription goes on
_AUDIENCE: Final = "switchboard-live"
TOPICS_LIMIT: Final = 16


class StreamTickets:
    """Signs with a key of its own, new at every start."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._key = secrets.token_hex(32)

    def issue(self, topics: tuple[str, ...]) -> str:
        """A ticket for these topics."""
        expires_at = self._now() + LIFETIME
        claims = {"aud": _AUDIENCE, "topics": list(topics[:TOPICS_LIMIT]), "exp": expires_at}
        return jwt.encode(claims, self._key, algorithm="HS256")

    def topics(self, ticket: str) -> tuple[str, ...]:
        """The topics that the ticket is for.

        Raises:
            BadSignatureError: not ours, or out of date.
        """
        try:
            claims = jwt.decode(
                ticket,
                self._key,
                algorithms=["HS256"],
                audience=_AUDIENCE,
                options={"require": ["exp"], "verify_exp": False},
            )
            if claims["exp"] < self._now().timestamp():
                raise jwt.ExpiredSignatureError
            return tuple(str(topic) for topic in claims["topics"])
        except (jwt.PyJWTError, KeyError, TypeError):
            raise BadSignatureError(
                "The ticket for live updates is out of date.", hint="Reload the page."
            ) from None
