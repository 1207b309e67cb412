"""Who listens to traces in these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from meshwright.testing.backend import TraceBackend


@pytest.fixture
async def backend() -> AsyncIterator[TraceBackend]:
    async with TraceBackend().serving() as running:
        yield running
