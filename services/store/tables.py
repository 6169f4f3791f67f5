"""The tables. `events` is append-only; the others are folded from it in the same transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from services.store.session_fields import INDEXED, SessionField

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Utc(TypeDecorator[datetime]):
    """An aware UTC moment; SQLite keeps it naive, and it comes back aware."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive moment must not reach the store")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_BIG = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only an INTEGER key

events: Final = Table(
    "events",
    metadata,
    Column("seq", _BIG, primary_key=True, autoincrement=True),
    Column("id", String(80), nullable=False),
    Column("kind", String(48), nullable=False),
    Column("at", Utc, nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("source", String(16), nullable=False),
    Column("certainty", String(16), nullable=False),
    Column("session_id", String(40)),
    Column("room_name", Text, nullable=False, default=""),
    Column("room_sid", String(64), nullable=False, default=""),
    Column("identity", Text, nullable=False, default=""),
    Column("actor", Text, nullable=False, default=""),
    Column("data", JSON, nullable=False, default=dict),
    UniqueConstraint("id"),
    Index(None, "session_id", "seq"),
    Index(None, "room_sid", "seq"),
    Index(None, "received_at"),
    Index(None, "kind", "received_at"),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("room_name", Text, nullable=False),
    Column("room_sid", String(64), nullable=False),
    Column("agent_name", Text, nullable=False, default=""),
    Column("user_id", Text, nullable=False, default=""),
    Column("identity", Text, nullable=False, default=""),
    Column("status", String(16), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("created_certainty", String(16), nullable=False),
    Column("started_at", Utc),
    Column("started_certainty", String(16)),
    Column("ended_at", Utc),
    Column("ended_certainty", String(16)),
    Column("end_reason", Text, nullable=False, default=""),
    Column("expires_at", Utc),
    Column("last_event_at", Utc, nullable=False),
    Column("dispatch_id", String(64), nullable=False, default=""),
    Column("people_peak", Integer, nullable=False, default=0),
    Column("data", JSON, nullable=False, default=dict),
    UniqueConstraint("room_sid"),
    Index(None, "created_at", "id"),
    Index(None, "status", "created_at", "id"),
    Index(None, "agent_name", "created_at", "id"),
    Index(None, "user_id", "created_at", "id"),
    Index(None, "room_name", "created_at"),
)

visits: Final = Table(
    "visits",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("participant_sid", String(64), primary_key=True),
    Column("identity", Text, nullable=False),
    Column("name", Text, nullable=False, default=""),
    Column("kind", String(16), nullable=False),
    Column("hidden", Integer, nullable=False, default=0),
    Column("joined_at", Utc),
    Column("joined_certainty", String(16)),
    Column("left_at", Utc),
    Column("left_certainty", String(16)),
    Column("leave_reason", Text, nullable=False, default=""),
)

idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("request_digest", String(64), nullable=False),
    Column("session_id", String(40), nullable=False),
    Column("created_at", Utc, nullable=False),
    Index(None, "created_at"),
)

denials: Final = Table(
    "denials",
    metadata,
    Column("room_name", Text, primary_key=True),
    Column("identity", Text, primary_key=True),  # "": everybody
    Column("until", Utc, nullable=False),
    Column("reason", Text, nullable=False, default=""),
)


def _kept(name: str) -> Table:
    """What people keep under a name."""
    return Table(
        name,
        metadata,
        Column("name", String(80), primary_key=True),
        Column("options", JSON, nullable=False),
        Column("saved_by", Text, nullable=False),
        Column("saved_at", Utc, nullable=False),
    )


presets: Final = _kept("presets")
views: Final = _kept("views")
retention_rules: Final = _kept("retention_rules")
alert_rules: Final = _kept("alert_rules")

alerts: Final = Table(
    "alerts",
    metadata,
    Column("id", String(40), primary_key=True),  # time-ordered
    Column("rule", String(80), nullable=False),
    Column("key", String(200), nullable=False),
    Column("watch", String(32), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("session_id", String(40), nullable=False, index=True),
    Column("room_name", Text, nullable=False),
    Column("began_at", Utc, nullable=False),
    Column("ended_at", Utc, index=True),
    Column("posted", Boolean, nullable=False),
    Column("post_tries", Integer, nullable=False),
    Column("post_error", Text, nullable=False),
)

audit: Final = Table(  # append-only: triggers refuse anything else
    "audit",
    metadata,
    Column("id", String(40), primary_key=True),  # time-ordered
    Column("at", Utc, nullable=False, index=True),
    Column("actor", Text, nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("via", String(8), nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False, index=True),
    Column("target", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("facts", JSON, nullable=False),
)

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("made_by", Text, nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("revoked_at", Utc),
    Column("last_used_at", Utc),
)

samples: Final = Table(
    "samples",
    metadata,
    Column("minute", Utc, primary_key=True),
    Column("rooms", Integer, nullable=False),
    Column("people", Integer, nullable=False),
    Column("agents", Integer, nullable=False),
    Column("sessions", Integer, nullable=False),
)

# -- agents at work: folded from what their recorders tell

jobs: Final = Table(
    "jobs",
    metadata,
    Column("stream_id", String(80), primary_key=True),
    Column("session_id", String(40), nullable=False),
    Column("room_name", Text, nullable=False),
    Column("job_id", String(64), nullable=False, default=""),
    Column("dispatch_id", String(64), nullable=False, default=""),
    Column("worker_id", String(64), nullable=False, default=""),
    Column("agent_name", Text, nullable=False, default=""),
    Column("identity", Text, nullable=False, default=""),
    Column("host", Text, nullable=False, default=""),
    Column("pid", Integer, nullable=False, default=0),
    Column("recorder", String(32), nullable=False, default=""),
    Column("actions", JSON, nullable=False, default=list),
    Column("status", String(16), nullable=False),
    Column("connected_at", Utc, nullable=False),
    Column("left_at", Utc),
    Column("left_reason", Text, nullable=False, default=""),
    Column("last_seq", _BIG, nullable=False, default=0),
    Index(None, "session_id", "connected_at"),
    Index(None, "status", "connected_at"),
)

interrupts: Final = Table(
    "interrupts",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("interrupt_id", String(80), primary_key=True),
    Column("node", Text, nullable=False, default=""),
    Column("value", JSON, nullable=False, default=dict),
    Column("status", String(16), nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("command_id", String(40)),
    Column("answered_by", Text, nullable=False, default=""),
    Column("answered_at", Utc),
    Column("decision", JSON),
    Index(None, "status", "asked_at"),
)

commands: Final = Table(
    "commands",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("session_id", String(40), nullable=False),
    Column("action", String(32), nullable=False),
    Column("args", JSON, nullable=False, default=dict),
    Column("actor", Text, nullable=False, default=""),
    Column("interrupt_id", String(80)),
    Column("status", String(16), nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Column("issued_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("sent_at", Utc),
    Column("done_at", Utc),
    Index(None, "session_id", "issued_at"),
    Index(None, "status", "expires_at"),
)

turns: Final = Table(
    "turns",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("agent_name", Text, nullable=False, default=""),
    Column("started_at", Utc, nullable=False),
    Column("answered_at", Utc),
    Column("user_text", Text, nullable=False, default=""),
    Column("agent_text", Text, nullable=False, default=""),
    Column("interrupted", Integer, nullable=False, default=0),
    Column("transcription_ms", Float),
    Column("end_of_turn_ms", Float),
    Column("graph_ms", Float),
    Column("speech_ms", Float),
    Column("answer_ms", Float),
    Index(None, "started_at"),
    Index(None, "agent_name", "started_at"),
)

# -- for finding sessions: one row each, kept up in the transaction that changes what it tells


def _column(one: SessionField) -> Column[Any]:
    """What the search keeps of a field; text and numbers that are missing are empty and 0."""
    if one.is_text:
        closed = String(16) if one.values else Text
        return Column(one.name, closed, nullable=False, default=None if one.kind is not str else "")
    kind = {int: Integer, float: Float, datetime: Utc}[one.kind]
    return Column(one.name, kind, nullable=one.optional, default=0 if one.kind is int else None)


def _index(one: SessionField) -> Index:
    """What a page in the order of this field is read by."""
    if not one.sparse:
        tie = ("created_at",) if one.is_text else ()
        return Index(None, one.name, *tie, "session_id")
    any_of = text(f"{one.name} <> ''" if one.is_text else f"{one.name} > 0")
    return Index(
        f"ix_found_with_{one.name}",
        *((one.name,) if one.is_text else ()),
        "created_at",
        "session_id",
        sqlite_where=any_of,
        postgresql_where=any_of,
    )


found: Final = Table(
    "found",
    metadata,
    Column("session_id", String(40), primary_key=True),
    *(_column(one) for one in INDEXED if one.name != "session_id"),
    *(_index(one) for one in INDEXED if one.match),
    Index(
        "ix_found_judged",
        "created_at",
        "agent_name",
        "version",
        "verdict",
        sqlite_where=text("verdict <> ''"),
        postgresql_where=text("verdict <> ''"),
    ),
)

reviews: Final = Table(  # the newest verdict of each reviewer
    "reviews",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("author", String(200), primary_key=True),
    Column("at", Utc, nullable=False, index=True),
    Column("verdict", String(16), nullable=False),
    Column("scores", JSON, nullable=False),
)

# -- for figures over many sessions: counted from what is above, some seconds later

counted: Final = Table(  # one row: how far the events are counted
    "counted",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", _BIG, nullable=False),
    Column("turn", _BIG, nullable=False),  # of whoever counts: nobody writes on an older one
)

counts: Final = Table(  # of one session, as it is part of `rollups`
    "counts",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("hour", Utc, nullable=False),
    Column("agent_name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("is_open", Boolean, nullable=False),  # it went on when it was counted
    Column("counts", Text, nullable=False),  # JSON, read off the loop
)

rollups: Final = Table(  # the sum of the counts of all sessions that began then
    "rollups",
    metadata,
    Column("period", String(4), primary_key=True),  # hour | day, UTC
    Column("begins_at", Utc, primary_key=True),
    Column("agent_name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("sessions", Integer, nullable=False),
    Column("counts", Text, nullable=False),
)

marks: Final = Table(  # what a session can be found by beside the columns of `found`
    "marks",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("mark", Text, primary_key=True),
    Column("created_at", Utc, nullable=False),  # the session's
    Column("worst_ms", Float, nullable=False),
    Index(None, "mark", "created_at", "session_id"),
    Index(None, "mark", "worst_ms", "session_id"),
)

tags: Final = Table(
    "tags",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("tag", String(40), primary_key=True),
    Index(None, "tag", "session_id"),
)

# What was said and noted, for the search; SQLite's FTS5 table `words` and PostgreSQL's expression
# index are made by the migration: SQLAlchemy knows neither.
texts: Final = Table(
    "texts",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("session_id", String(40), nullable=False),
    Column("source", String(80), nullable=False),  # the event's or the note's id
    Column("text", Text, nullable=False),
    Index(None, "session_id", "source"),
)
