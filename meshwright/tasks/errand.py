"""Errands: pieces of our own work that run to their end, though whoever waits for them goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from meshwright.begun import Begun

T = TypeVar("T")


class Errands:
    """Those that are under way. One that has to wait for nothing never becomes a task."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[Any]] = set()

    async def run(self, errand: Coroutine[Any, Any, T]) -> T:
        """What `errand` returns; cancelled, only the wait for it ends."""
        begun = Begun(errand)
        if not begun.waits:
            return begun.result
        rest = asyncio.ensure_future(_rest(begun))
        self._under_way.add(rest)
        rest.add_done_callback(self._under_way.discard)
        return await asyncio.shield(rest)

    async def all_done(self) -> None:
        """Wait for those that are under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)


async def _rest(begun: Begun[T]) -> T:
    return await begun
