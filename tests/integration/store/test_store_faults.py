"""A database that is locked, dead or full delays an event; it loses none and writes none twice."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from services.errors import StoreUnavailableError
from services.events import Event, Kind, Source
from services.settings import Settings
from services.store import event_log
from services.store.records import Denial
from services.store.store import Store, open_store
from tests.support.postgres import PostgresServer
from tests.support.sqlite_lock import locked
from tests.support.waiting import eventually

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def started(number: int, **given: Any) -> Event:
    values: dict[str, Any] = {
        "kind": Kind.ROOM_STARTED,
        "at": T0,
        "received_at": T0,
        "source": Source.WEBHOOK,
        "room_name": f"r{number}",
        "room_sid": f"RM_{number}",
    }
    return Event(**(values | given))


def settings_for(url: str, folder: Path, *, timeout_s: float = 0.3) -> Settings:
    return Settings(
        database_url=SecretStr(url),
        switchboard_data_dir=folder,
        switchboard_store_timeout_s=timeout_s,
    )


async def rooms_written(store: Store) -> list[str]:
    return [stored.event.room_name for stored in await store.events()]


async def all_written(store: Store, names: set[str]) -> bool:
    found = await rooms_written(store)
    assert len(found) == len(set(found)), "an event was written twice"
    return set(found) == names


async def test_events_wait_for_a_database_that_another_process_has_locked(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with open_store(settings_for(sqlite_url, tmp_path)) as store:
        await store.log.append(started(0))
        with locked(tmp_path / "switchboard.db"):
            for number in (1, 2):
                with pytest.raises(StoreUnavailableError, match="kept and tried again"):
                    await store.log.append(started(number))
            assert store.log.waiting == 2
            assert await rooms_written(store) == ["r0"]  # WAL: reading goes on
        await eventually(lambda: all_written(store, {"r0", "r1", "r2"}), within_s=15)
        assert (store.log.waiting, store.log.last_error) == (0, "")


async def test_other_writes_to_a_locked_database_end_in_time_and_say_so(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with open_store(settings_for(sqlite_url, tmp_path)) as store:
        with locked(tmp_path / "switchboard.db"):
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            with pytest.raises(StoreUnavailableError):
                await store.deny(Denial(room_name="a", identity="", until=T0))
            assert loop.time() - began_s < 3
        await eventually(
            lambda: denied_again(store), ignoring=(StoreUnavailableError,), within_s=15
        )


async def denied_again(store: Store) -> bool:
    await store.deny(Denial(room_name="a", identity="", until=T0))
    return True


async def test_events_wait_while_postgresql_is_killed_and_comes_back(
    restartable_postgres: PostgresServer, tmp_path: Path
) -> None:
    name = restartable_postgres.new_database()
    settings = settings_for(restartable_postgres.url(name), tmp_path)
    async with open_store(settings) as store:
        await store.log.append(started(0))
        restartable_postgres.kill()
        waiting = [asyncio.ensure_future(store.log.append(started(n))) for n in range(1, 6)]
        for answer in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(answer, StoreUnavailableError)
        assert store.log.waiting == 5
        with pytest.raises(StoreUnavailableError):
            await store.open_sessions()
        restartable_postgres.start()
        await eventually(
            lambda: all_written(store, {f"r{n}" for n in range(6)}),
            ignoring=(StoreUnavailableError,),
            within_s=15,
        )
        assert store.log.rejected == 0
        await store.log.append(started(6))


async def test_a_restart_of_postgresql_between_two_events_is_not_noticed(
    restartable_postgres: PostgresServer, tmp_path: Path
) -> None:
    name = restartable_postgres.new_database()
    settings = settings_for(restartable_postgres.url(name), tmp_path, timeout_s=5)
    async with open_store(settings) as store:
        await store.log.append(started(0))
        restartable_postgres.stop()
        restartable_postgres.start()
        await store.log.append(started(1))
        assert await rooms_written(store) == ["r0", "r1"]


async def test_a_database_that_is_not_there_at_the_start_says_so_without_its_password(
    restartable_postgres: PostgresServer, tmp_path: Path
) -> None:
    restartable_postgres.stop()
    url = restartable_postgres.url("none").replace("postgres@", "postgres:hunter22@")
    with pytest.raises(StoreUnavailableError) as caught:
        async with open_store(settings_for(url, tmp_path)):
            pass
    assert "hunter22" not in str(caught.value)
    assert "127.0.0.1" in caught.value.hint


async def test_an_event_that_the_database_will_never_take_does_not_block_the_others(
    store_url: str, tmp_path: Path
) -> None:
    async with open_store(settings_for(store_url, tmp_path, timeout_s=5)) as store:
        bad = started(1, data={"not": object()})
        naive = replace(started(2), at=datetime(2026, 1, 1))  # noqa: DTZ001 - what must not come
        answers = await asyncio.gather(
            store.log.append(started(0)),
            store.log.append(bad),
            store.log.append(naive),
            store.log.append(started(3)),
            return_exceptions=True,
        )
        assert [isinstance(answer, StoreUnavailableError) for answer in answers] == [
            False,
            True,
            True,
            False,
        ]
        assert await rooms_written(store) == ["r0", "r3"]
        assert (store.log.rejected, store.log.waiting) == (2, 0)
        assert (await store.health()).rejected == 2


async def test_a_queue_that_is_full_says_so_at_once(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "QUEUE_LIMIT", 3)
    async with open_store(settings_for(sqlite_url, tmp_path)) as store:
        with locked(tmp_path / "switchboard.db"):
            waiting = [asyncio.ensure_future(store.log.append(started(n))) for n in range(3)]
            await eventually(lambda: store.log.waiting == 3)
            with pytest.raises(StoreUnavailableError, match="has not taken any event"):
                await store.log.append(started(9))
            await asyncio.gather(*waiting, return_exceptions=True)
        await eventually(lambda: all_written(store, {"r0", "r1", "r2"}), within_s=15)


async def test_who_stops_waiting_does_not_stop_the_writing(store_url: str, tmp_path: Path) -> None:
    async with open_store(settings_for(store_url, tmp_path, timeout_s=5)) as store:
        aio_task = asyncio.ensure_future(store.log.append(started(1)))
        await asyncio.wait({aio_task}, timeout=0)
        aio_task.cancel()
        await eventually(lambda: all_written(store, {"r1"}))


async def test_closing_while_the_database_is_away_ends_in_time(
    sqlite_url: str, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    with locked_after_open(tmp_path / "switchboard.db") as lock:
        async with open_store(settings_for(sqlite_url, tmp_path)) as store:
            lock()
            with pytest.raises(StoreUnavailableError):
                await store.log.append(started(1))
            began_s = loop.time()
        assert loop.time() - began_s < 8


@contextmanager
def locked_after_open(file: Path) -> Iterator[Any]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        yield lambda: other.execute("BEGIN EXCLUSIVE")


async def test_a_read_only_database_delays_and_loses_nothing(
    restartable_postgres: PostgresServer, tmp_path: Path
) -> None:
    name = restartable_postgres.new_database()
    settings = settings_for(restartable_postgres.url(name), tmp_path)
    async with open_store(settings) as store:
        await store.log.append(started(0))
        restartable_postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only=on")
        restartable_postgres.stop()
        restartable_postgres.start()
        with pytest.raises(StoreUnavailableError):
            await store.log.append(started(1))
        assert (store.log.rejected, store.log.waiting) == (0, 1)
        restartable_postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only=off")
        restartable_postgres.stop()
        restartable_postgres.start()
        await eventually(
            lambda: all_written(store, {"r0", "r1"}),
            ignoring=(StoreUnavailableError,),
            within_s=15,
        )
