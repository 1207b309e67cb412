"""The shop in one process, any of whose agents can be taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evals.siege.town import Town, besieged


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with besieged(tmp_path) as running:
        yield running
