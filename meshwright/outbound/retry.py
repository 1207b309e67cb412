"""A second try, where it is safe, where there is time for it, and where the target's budget has room for it.

A budget keeps retries from making a storm: each first try adds a tenth of a retry, each retry takes one. So what a target gets is
at most 1.1 times what it was asked for, however many calls fail (the retry budget of Finagle, https://twitter.github.io/finagle/
guide/Clients.html#retries, and the retry throttling of gRPC, proposal A6). Pauses grow exponentially with full jitter
(https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/): a random part of them, from none to all.

Only the hop next to a failure tries again: whoever asked for work that failed for it gets an answer, not an error to retry.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from meshwright.deadline import Deadline
from meshwright.errors import BreakerOpen, MeshError
from meshwright.outbound.breaker import FLOOR
from meshwright.outbound.lost import unheard

T = TypeVar("T")

#: What a first try adds to the budget, what a budget begins with, and the most it saves up.
RATIO, FIRST, CAP = 0.1, 1.0, 3.0
#: A budget that gave nothing for so many seconds has one retry to give: where there is little traffic a tenth of it is nothing.
QUIET = 2.0
#: Seconds before the first retry, doubled for each one after it, and the most; tries of one call in all.
PAUSE, LONGEST, TRIES = 0.05, 1.0, 3


class RetryBudget:
    """A token bucket of one target in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens = FIRST
        self._given = clock()

    @property
    def left(self) -> float:
        """Retries it has to give."""
        return self._tokens

    def deposit(self) -> None:
        """A call begins."""
        self._tokens = min(CAP, self._tokens + RATIO)

    def withdraw(self) -> bool:
        """Whether there is a retry to be had; then it is taken."""
        if self._tokens < 1 and self._clock() - self._given >= QUIET:
            self._tokens = 1.0
        if self._tokens < 1:
            return False
        self._tokens -= 1
        self._given = self._clock()
        return True


def everything(error: MeshError) -> bool:
    """For what may be repeated whatever became of the first try: reads, and writes that carry a key."""
    return True


class Retries:
    """The retries of one target: their budget, and how many were made (`spent`) and not made, by why (`refused`)."""

    def __init__(self, budget: RetryBudget | None = None, part: Callable[[], float] = random.random) -> None:
        self.budget = budget or RetryBudget()
        self.spent = 0
        self.refused: Counter[str] = Counter()
        self._part = part

    async def run(
        self,
        call: Callable[[], Awaitable[T]],
        by: Deadline,
        *,
        safe: Callable[[MeshError], bool] = everything,
        patient: bool = False,
    ) -> T:
        """What `call` returns, at the first try or a later one. `safe` says whether it may be repeated after an error.

        `patient` is for what has to come through: it waits for the breaker and for the budget, as long as `by` allows.
        Raises the last error of a try that may have been heard, else the last one: that a later try was not even sent
        must not hide that an earlier one was.
        """
        self.budget.deposit()
        blamed: MeshError | None = None
        for number in itertools.count(1):
            try:
                return await call()
            except MeshError as error:
                latest = error
            if blamed is None or unheard(blamed) or not unheard(latest):
                blamed = latest
            worth = latest.retryable or (patient and isinstance(latest, BreakerOpen))
            if not (worth and safe(latest) and (patient or number < TRIES)):
                break
            if not await self._may(latest, number, by, patient):
                break
        assert blamed is not None
        raise blamed

    async def _may(self, error: MeshError, number: int, by: Deadline, patient: bool) -> bool:
        """Wait for the time of the next try. False if it cannot be made."""
        unsent = isinstance(error, BreakerOpen)  # then nothing is repeated, and nothing taken from the budget
        told = min(error.retry_in, LONGEST) if isinstance(error, BreakerOpen) else _asked_for(error)
        pause = max(told, self._part() * min(LONGEST, PAUSE * 2 ** min(number - 1, 10)))
        if not _fits(pause, by):
            self.refused["deadline"] += 1
            return False
        while not (unsent or self.budget.withdraw()):
            nap = LONGEST * (0.5 + self._part() / 2)
            if not (patient and _fits(nap + pause, by)):
                self.refused["budget"] += 1
                return False
            await asyncio.sleep(nap)
        self.spent += not unsent
        await asyncio.sleep(pause)
        return True


def _asked_for(error: MeshError) -> float:
    """Seconds that whoever answered asked us to stay away."""
    return float(getattr(error, "retry_after", None) or 0.0)


def _fits(pause: float, by: Deadline) -> bool:
    """Whether a try after `pause` seconds has enough time to tell anything."""
    return by.remaining - pause >= FLOOR
