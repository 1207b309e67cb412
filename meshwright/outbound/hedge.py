"""A second request for a read that takes longer than nineteen of twenty do: the first good answer wins, the other one is called off.

After Dean and Barroso, "The Tail at Scale" (2013, doi:10.1145/2408776.2408794): where a server is slow now and then, and not always,
this cuts the tail for a few percent more load. A hedge is taken from the target's retry budget, so that a storm gets none. Each
request tells the breaker what became of it, and one that was called off says nothing: it had no time to.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from meshwright.errors import MeshError, Outcome
from meshwright.outbound.lost import unheard
from meshwright.outbound.retry import RetryBudget

T = TypeVar("T")

#: Requests whose time is remembered, how many make a percentile, and which.
WINDOW, KNOWN, PART = 100, 20, 0.95


class Hedge:
    """What one target usually takes, and its second requests: `sent` by whether they won."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[float] = deque(maxlen=WINDOW)
        self.sent: Counter[str] = Counter()

    @property
    def after(self) -> float | None:
        """Seconds that 95 % of the latest requests took at most, by nearest rank; None while too few are known."""
        if len(self._seconds) < KNOWN:
            return None
        return sorted(self._seconds)[math.ceil(PART * len(self._seconds)) - 1]

    async def run(self, call: Callable[[], Awaitable[T]], budget: RetryBudget) -> T:
        """What `call`, which may be made twice at the same time, returns or raises."""
        after = self.after
        if after is None:
            return await self._timed(call)
        racers = [asyncio.ensure_future(self._timed(call))]
        try:
            done, _ = await asyncio.wait(racers, timeout=after)
            if not done and budget.withdraw():
                racers.append(asyncio.ensure_future(self._timed(call)))
            winner = await _first_good(racers)
            if len(racers) > 1:
                self.sent["won" if winner is racers[1] else "lost"] += 1
            return winner.result()
        finally:
            for racer in racers:
                racer.cancel()
            await asyncio.wait(racers)

    async def _timed(self, call: Callable[[], Awaitable[T]]) -> T:
        """One that is called off counts with the time it had: it would have taken more. One that nobody worked on does not count."""
        began, worked_on = self._clock(), True
        try:
            return await call()
        except MeshError as error:
            worked_on = not unheard(error)
            raise
        finally:
            if worked_on:
                self._seconds.append(self._clock() - began)


async def _first_good(racers: list[asyncio.Task[T]]) -> asyncio.Task[T]:
    """The first that answered; where none does, the one that was sent first."""
    pending = set(racers)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for racer in done:
            if _answered(racer):
                return racer
    return racers[0]


def _answered(racer: asyncio.Task[T]) -> bool:
    """Whether it came back with something; that a tool said no, in words, is an answer too."""
    if racer.cancelled():
        return False
    error = racer.exception()
    return error is None or (isinstance(error, MeshError) and error.outcome is Outcome.WELL)
