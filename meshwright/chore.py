"""Chores: what a process does beside its work for as long as it lives, as a heartbeat, a courier, or a look at what is due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

#: Seconds after which a chore that broke begins again.
PAUSE = 5.0


class Chore:
    """Runs `work`, which ends when it is stopped and not before.

    An error that comes out of it is a bug of ours; it is logged, and the work begins again after `pause` seconds. Nobody waits for a
    chore, so nobody would notice that it is gone: leases would run out, word would stay, nothing would ever be due.
    """

    def __init__(
        self, name: str, work: Callable[[], Coroutine[Any, Any, None]], pause: float = PAUSE
    ) -> None:
        self._name, self._work, self._pause = name, work, pause
        self._task: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._stopped = False

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._work())
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Return once it has stopped; one that was never started has."""
        self._stopped = True
        if self._again is not None:
            self._again.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._stopped:
            log.error("%s broke as it was stopped", self._name, exc_info=error)
            return
        log.critical("%s stopped; it begins again", self._name, exc_info=error)
        self._again = asyncio.get_running_loop().call_later(self._pause, self.start)
