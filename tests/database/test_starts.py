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
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh: Callable[[], str] = request.getfixturevalue("postgres")
    monkeypatch.setattr(postgres, "STATEMENT", 1.0)
    large = Version(VERSIONS[-1].number + 1, "an index of a large table", 1, ("SELECT pg_sleep(1.5)",))
    monkeypatch.setattr(migrations, "VERSIONS", (*VERSIONS, large))
    door = await open_database(fresh())
    assert (await migrations.status(door)).found == large.number
    await door.close()
