"""Presets of test sessions on both databases: replaced by name, bounded, kept over a restart."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.access.audit_log import AuditLog
from services.errors import ConflictError, InvalidInputError
from services.sessions.saved_items import MOST, SavedItems
from services.store.records import SavedItem
from services.store.store import Store, open_store
from tests.integration.store.test_store import settings_for
from tests.support.callers import person

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def presets(store: Store) -> SavedItems:
    return SavedItems(
        store.presets, AuditLog(store.access.add_entries), kind="preset", now=lambda: T0
    )


async def test_a_preset_is_replaced_by_its_name_and_outlives_a_restart(
    store_url: str, tmp_path: Path
) -> None:
    async with open_store(settings_for(store_url, tmp_path)) as store:
        kept = presets(store)
        await kept.save("  Ana  by text ", {"user": "ana", "mode": "voice"}, actor=person("ada"))
        await kept.save("Ana by text", {"user": "ana", "mode": "text"}, actor=person("bob"))
        await kept.save("<b>Zoë</b>", {"hours": 0.5, "user": "z\x00\ud800"}, actor=person("ada"))
    async with open_store(settings_for(store_url, tmp_path)) as store:
        found = {one.name: one for one in await presets(store).all()}
        assert found["Ana by text"] == SavedItem(
            name="Ana by text",
            options={"user": "ana", "mode": "text"},
            saved_by="bob",
            saved_at=T0,
        )
        assert set(found) == {"Ana by text", "<b>Zoë</b>"}
        await presets(store).delete("Ana by text", actor=person("ada"))
        await presets(store).delete("Ana by text", actor=person("ada"))
        assert [one.name for one in await presets(store).all()] == ["<b>Zoë</b>"]


@pytest.mark.parametrize(
    ("name", "options"), [("  ", {}), ("x" * 81, {}), ("x", {"metadata": "x" * 30_000})]
)
async def test_what_cannot_be_a_preset_is_refused(
    sqlite_url: str, tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    async with open_store(settings_for(sqlite_url, tmp_path)) as store:
        with pytest.raises(InvalidInputError):
            await presets(store).save(name, options, actor=person("ada"))
        assert await presets(store).all() == ()


async def test_there_is_an_end_to_them_and_replacing_still_works(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with open_store(settings_for(sqlite_url, tmp_path)) as store:
        kept = presets(store)
        for number in range(MOST):
            await kept.save(f"{number}", {}, actor=person("ada"))
        with pytest.raises(ConflictError):
            await kept.save("one more", {}, actor=person("ada"))
        await kept.save("7", {"user": "ana"}, actor=person("ada"))
        assert len(await kept.all()) == MOST
