"""What a start meets in its database: it ends in one sentence, or waits for as long as it takes."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from meshwright.database import open_database, sqlite
from meshwright.database.door import connect
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
