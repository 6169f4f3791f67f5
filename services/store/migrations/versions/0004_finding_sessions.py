"""What sessions are found by: figures of each, its tags, and the words that were said in it."""

from __future__ import annotations

from statistics import median
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_AT_ONCE: Final = 500
_FOUND_INDEXES: Final = (
    ("created_at", "session_id"),
    *(
        (column, "created_at", "session_id")
        for column in (
            "status", "agent_name", "user_id", "room_name", "evidence", "verdict",
        )
    ),
    *(
        (column, "session_id")
        for column in (
            "duration_s", "turns", "answer_median_ms", "answer_worst_ms", "interruptions",
        )
    ),
)  # fmt: skip


def upgrade() -> None:
    found = op.create_table(
        "found",
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("room_name", sa.Text(), nullable=False),
        sa.Column("evidence", sa.String(length=16), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("answer_median_ms", sa.Float(), nullable=True),
        sa.Column("answer_worst_ms", sa.Float(), nullable=True),
        sa.Column("interruptions", sa.Integer(), nullable=False),
        sa.Column("asks", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_found")),
    )
    for columns in _FOUND_INDEXES:
        op.create_index(op.f(f"ix_found_{'_'.join(columns)}"), "found", list(columns))
    for column in ("asks", "errors"):  # of the few sessions that have any
        some = sa.text(f"{column} > 0")
        op.create_index(
            op.f(f"ix_found_with_{column}"),
            "found",
            ["created_at", "session_id"],
            sqlite_where=some,
            postgresql_where=some,
        )
    tags = op.create_table(
        "tags",
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "tag", name=op.f("pk_tags")),
    )
    op.create_index(op.f("ix_tags_tag_session_id"), "tags", ["tag", "session_id"])
    texts = op.create_table(
        "texts",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_texts")),
    )
    op.create_index(op.f("ix_texts_session_id_source"), "texts", ["session_id", "source"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(  # without fastupdate: else the first search after many writes does their work
            "CREATE INDEX ix_texts_words ON texts USING gin (to_tsvector('simple', text)) "
            "WITH (fastupdate = off)"
        )
    else:
        op.execute(
            "CREATE VIRTUAL TABLE words USING fts5(text, content='texts', content_rowid='id', "
            "tokenize='unicode61 remove_diacritics 2')"
        )
        op.execute(
            "CREATE TRIGGER texts_added AFTER INSERT ON texts BEGIN "
            "INSERT INTO words(rowid, text) VALUES (new.id, new.text); END"
        )
        op.execute(
            "CREATE TRIGGER texts_removed AFTER DELETE ON texts BEGIN "
            "INSERT INTO words(words, rowid, text) VALUES ('delete', old.id, old.text); END"
        )
    _fill(op.get_bind(), found, tags, texts)


def _fill(db: sa.Connection, found: sa.Table, tags: sa.Table, texts: sa.Table) -> None:
    """For the sessions that are there already."""
    old = sa.MetaData()
    sessions, turns, interrupts, events = (
        sa.Table(name, old, autoload_with=db)
        for name in ("sessions", "turns", "interrupts", "events")
    )
    ids = list(db.execute(sa.select(sessions.c.id).order_by(sessions.c.id)).scalars())
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rows = db.execute(sa.select(sessions).where(sessions.c.id.in_(some))).mappings().all()
        said: dict[str, list[Any]] = {}
        for turn in db.execute(
            sa.select(turns).where(turns.c.session_id.in_(some)).order_by(turns.c.number)
        ).mappings():
            said.setdefault(turn["session_id"], []).append(turn)
        waiting: dict[str, int] = dict(
            db.execute(
                sa.select(interrupts.c.session_id, sa.func.count())
                .where(
                    interrupts.c.session_id.in_(some),
                    interrupts.c.status.in_(("pending", "answered")),
                )
                .group_by(interrupts.c.session_id)
            ).all()
        )
        reviews: dict[str, list[Any]] = {}
        for event in db.execute(
            sa.select(events)
            .where(
                events.c.session_id.in_(some),
                events.c.kind.in_(("note_added", "note_removed", "reviewed")),
            )
            .order_by(events.c.seq)
        ).mappings():
            reviews.setdefault(event["session_id"], []).append(event)
        failed: dict[str, int] = dict(
            db.execute(
                sa.select(events.c.session_id, sa.func.count())
                .where(
                    events.c.session_id.in_(some),
                    events.c.kind.in_(("run_failed", "error", "session_failed", "agent_given_up")),
                )
                .group_by(events.c.session_id)
            ).all()
        )
        if rows:
            db.execute(
                found.insert(),
                [
                    _found(row, said.get(row["id"], []), reviews.get(row["id"], []))
                    | {"asks": waiting.get(row["id"], 0), "errors": failed.get(row["id"], 0)}
                    for row in rows
                ],
            )
        if words := [one for turn in said.values() for one in _words(turn)]:
            db.execute(texts.insert(), words)
        noted = [(key, _notes(told)) for key, told in reviews.items()]
        if words := [
            {"session_id": key, "source": name, "text": data["text"]}
            for key, notes in noted
            for name, data in notes.items()
            if data.get("text")
        ]:
            db.execute(texts.insert(), words)
        if marks := [
            {"session_id": key, "tag": tag}
            for key, notes in noted
            for tag in {tag for data in notes.values() for tag in data.get("tags") or ()}
        ]:
            db.execute(tags.insert(), marks)


def _found(session: Any, turns: list[Any], reviews: list[Any]) -> dict[str, Any]:
    answers = [turn["answer_ms"] for turn in turns if turn["answer_ms"] is not None]
    verdicts = [one["data"].get("verdict", "") for one in reviews if one["kind"] == "reviewed"]
    known = {session["created_certainty"], session["ended_certainty"] or "observed"}
    began, ended = session["started_at"] or session["created_at"], session["ended_at"]
    return {
        "session_id": session["id"],
        "created_at": session["created_at"],
        "status": session["status"],
        "agent_name": session["agent_name"],
        "user_id": session["user_id"],
        "room_name": session["room_name"],
        "evidence": next(c for c in ("incomplete", "inferred", "observed") if c in known),
        "duration_s": None if ended is None else max(0.0, (ended - began).total_seconds()),
        "turns": sum(bool(turn["user_text"]) for turn in turns),
        "answer_median_ms": median(answers) if answers else None,
        "answer_worst_ms": max(answers, default=None),
        "interruptions": sum(bool(turn["interrupted"]) for turn in turns),
        "verdict": verdicts[-1] if verdicts else "",
    }


def _words(turns: list[Any]) -> list[dict[str, Any]]:
    return [
        {"session_id": turn["session_id"], "source": f"turn:{turn['number']}", "text": turn[who]}
        for turn in turns
        for who in ("user_text", "agent_text")
        if turn[who]
    ]


def _notes(events: list[Any]) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    for event in events:
        note_id = str(event["data"].get("note_id", ""))
        if event["kind"] == "note_added":
            notes[note_id] = event["data"]
        elif event["kind"] == "note_removed":
            notes.pop(note_id, None)
    return notes
