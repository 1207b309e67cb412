"""A database with an empty log, on each engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from meshwright.database import Database, open_database


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = await open_database(url)
    yield opened
    await opened.close()
