"""What reviewers found, counted: how far they agree, and how each version of an agent does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from services.store import tables as t
from services.store.agent_store import Connect


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCount:
    """How often one reviewer said `verdict` where the other said `other_verdict`."""

    author: str
    other: str
    verdict: str
    other_verdict: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionCount:
    """How many sessions of a version of an agent have this verdict; `first` is the oldest's begin."""

    agent_name: str
    version: str
    verdict: str
    count: int
    first: datetime


class QualityStore:
    """Made by `Store`, as its `quality`. Raises StoreUnavailableError where it is away."""

    def __init__(self, reading: Connect) -> None:
        self._reading = reading

    async def pairs(self, since: datetime, *, limit: int = 1_000) -> tuple[PairCount, ...]:
        """Of sessions that two people judged since then."""
        one, two = t.reviews.alias(), t.reviews.alias()
        query = (
            select(
                one.c.author,
                two.c.author.label("other"),
                one.c.verdict,
                two.c.verdict.label("other_verdict"),
                func.count().label("count"),
            )
            .join_from(one, two, one.c.session_id == two.c.session_id)
            .where(one.c.author < two.c.author, one.c.at >= since, two.c.at >= since)
            .group_by(one.c.author, two.c.author, one.c.verdict, two.c.verdict)
            .limit(limit)
        )
        async with self._reading() as db:
            return tuple(PairCount(**row) for row in (await db.execute(query)).mappings())

    async def versions(self, since: datetime, *, limit: int = 1_000) -> tuple[VersionCount, ...]:
        """Verdicts by agent and version, of sessions that began since then."""
        c = t.found.c
        query = (
            select(
                c.agent_name,
                c.version,
                c.verdict,
                func.count().label("count"),
                func.min(c.created_at).label("first"),
            )
            .where(c.verdict != "", c.created_at >= since)
            .group_by(c.agent_name, c.version, c.verdict)
            .limit(limit)
        )
        async with self._reading() as db:
            return tuple(VersionCount(**row) for row in (await db.execute(query)).mappings())
