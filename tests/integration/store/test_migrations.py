"""Migrations for real: from nothing, and from a stored database of an early revision with data."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from alembic import command
from pydantic import SecretStr

from services.events import Kind
from services.settings import Settings
from services.store.agent_records import InterruptStatus
from services.store.check_migrations import differences
from services.store.engine import alembic_config, database_url, make_engine, migrate
from services.store.session_search import SessionFilter
from services.store.store import open_store
from tests.support.postgres import PostgresServer

_OLD: Final = Path(__file__).with_name("data") / "revision_0003.json"
_OLD_REVISION: Final = "0003"


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings that name a database in which there is nothing at all."""
    if request.param == "sqlite":
        yield Settings(switchboard_data_dir=tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.new_database(template="template0")
    yield Settings(switchboard_data_dir=tmp_path, database_url=SecretStr(server.url(name)))
    server.drop_database(name)


async def test_an_empty_database_gets_the_tables_of_the_code(settings: Settings) -> None:
    assert await differences(database_url(settings)) == []


@pytest.mark.parametrize("settings", ["postgres"], indirect=True)
async def test_two_dashboards_that_migrate_together_do_not_disturb_each_other(
    settings: Settings,
) -> None:
    url = database_url(settings)
    await asyncio.gather(migrate(url), migrate(url))
    assert await differences(url) == []


async def test_a_database_of_an_early_revision_keeps_its_data(settings: Settings) -> None:
    """Stored when revision 0003 was the newest: one session that is over, and one that is not."""
    stored: dict[str, list[dict[str, Any]]] = json.loads(_OLD.read_text(encoding="utf-8"))
    await _restore(settings, stored)
    (over,) = [row for row in stored["sessions"] if row["user_id"] == "nate"]
    async with open_store(settings) as store:
        found = await store.found.page(SessionFilter(text="crème brûlée"))
        assert [row.session.id for row in found.sessions] == [over["id"]]
        (row,) = found.sessions
        assert (row.session.room_name, row.turns, row.verdict) == (over["room_name"], 1, "fail")
        assert set(row.tags) == {"order", "loop"}
        everything = await store.found.page()
        assert {row.session.user_id for row in everything.sessions} == {"nate", "mia"}
        events = await store.events(limit=500)
        assert {one.event.id for one in events} == {row["id"] for row in stored["events"]}
        kinds = {one.event.kind for one in events}
        assert {Kind.JOB_DISCONNECTED, Kind.CHECKPOINT_SAVED} < kinds
        (sent,) = [one.event for one in events if one.event.kind is Kind.COMMAND_SENT]
        assert sent.data["action"] == Action.ANSWER_INTERRUPT
        (job,) = await store.agents.jobs_of(over["id"])
        assert set(job.actions) == set(Action)
        (answer,) = await store.agents.commands_of(over["id"])
        assert answer.action == Action.ANSWER_INTERRUPT
        asked = await store.agents.interrupts_of(over["id"])
        assert {one.interrupt_id: one.status for one in asked} == {
            row["interrupt_id"]: InterruptStatus(row["status"]) for row in stored["interrupts"]
        }
    assert await differences(database_url(settings)) == []


async def _restore(settings: Settings, stored: dict[str, list[dict[str, Any]]]) -> None:
    settings.switchboard_data_dir.mkdir(parents=True, exist_ok=True)
    engine = make_engine(database_url(settings), timeout_s=30)
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade_to_old)
        await connection.run_sync(_insert, stored)
    await engine.dispose()


def _upgrade_to_old(connection: sa.Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, _OLD_REVISION)


def _insert(connection: sa.Connection, stored: dict[str, list[dict[str, Any]]]) -> None:
    tables = sa.MetaData()
    tables.reflect(connection)
    for name, rows in stored.items():
        table = tables.tables[name]
        times = [c.name for c in table.columns if c.type.python_type is datetime]
        for row in rows:
            values = row | {column: _time(row[column]) for column in times}
            connection.execute(table.insert().values(values))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
