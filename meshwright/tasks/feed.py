"""Word of what was committed, for those who wait for a task: a bell for each topic, rung by this process or any other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshwright.database import Database


class Feed:
    """The bells of one process. Whoever hears one looks into the database; a bell says only that something is new."""

    def __init__(self, database: Database) -> None:
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._stop = database.listen(self._heard)
        self.closed = False

    @contextmanager
    def bell(self, topic: str) -> Iterator[asyncio.Event]:
        """A bell that rings at each commit that concerns `topic`. Look first, then wait: so nothing is missed."""
        bell = asyncio.Event()
        self._bells.setdefault(topic, set()).add(bell)
        try:
            yield bell
        finally:
            bells = self._bells[topic]
            bells.discard(bell)
            if not bells:
                del self._bells[topic]

    def ring(self, topic: str) -> None:
        """Ring the bells of this process."""
        for bell in self._bells.get(topic, ()):
            bell.set()

    def _heard(self, topic: str | None, mine: bool) -> None:
        if topic is not None:
            self.ring(topic)
            return
        for bells in self._bells.values():
            for bell in bells:
                bell.set()

    def close(self) -> None:
        """Ring them all for the last time: whoever waits finds `closed`."""
        self.closed = True
        self._stop()
        self._heard(None, True)
