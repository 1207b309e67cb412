"""What a start meets in its database: it ends in one sentence, or waits for as long as it takes."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from meshwright.database import migrations, open_database, postgres, sqlite
from meshwright.database.door import connect
from meshwright.database.schema import VERSIONS, Version
from meshwright.settings import SettingsError


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> str:
    fresh: Callable[[], str] = request.getfixturevalue("postgres")
    return fresh()


async def test_a_start_while_somebody_else_writes_for_long_ends_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY", 0.05)
    await (await connect(url := f"sqlite:///{tmp_path}/locked.db")).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "locked.db", isolation_level=None)) as backup:
        backup.execute("BEGIN IMMEDIATE")
        with pytest.raises(SettingsError, match="SQLITE_BUSY"):
            await open_database(url)
    await (await open_database(url)).close()


async def test_an_upgrade_takes_as_long_as_it_takes(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "STATEMENT", 1.0)
    large = Version(VERSIONS[-1].number + 1, "an index of a large table", 1, ("SELECT pg_sleep(1.5)",))
    monkeypatch.setattr(migrations, "VERSIONS", (*VERSIONS, large))
    door = await open_database(postgres_url)
    assert (await migrations.status(door)).found == large.number
    await door.close()


async def test_a_database_that_cannot_keep_every_character_is_refused(postgres_url: str) -> None:
    admin = await connect(postgres_url)
    await admin.execute(
        "CREATE DATABASE narrow ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    with pytest.raises(SettingsError, match="its encoding is LATIN1"):
        await open_database(postgres_url.replace("/postgres?", "/narrow?"))
    await admin.execute("DROP DATABASE narrow")
    await admin.close()
