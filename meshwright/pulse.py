"""How late this process is: who judges others by the clock has to know when it is their own that is slow."""

from __future__ import annotations

import time
from collections.abc import Callable

#: A delay of the event loop, in seconds, from which on calls out of this process are late by its own fault, and for how many
#: seconds that is held against it.
STRAIN, MEMORY = 0.08, 1.0


class Pulse:
    """What was felt of the event loop's delay of late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = float("-inf")

    def felt(self, delay: float) -> None:
        """The loop was `delay` seconds late just now."""
        if delay > STRAIN:
            self._until = self._clock() + MEMORY

    @property
    def strained(self) -> bool:
        """Whether the loop had more to do than it could within the last second or so."""
        return self._clock() < self._until


#: That of this process.
PULSE = Pulse()
