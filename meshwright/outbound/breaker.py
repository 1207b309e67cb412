"""One breaker per peer. pybreaker keeps the state, the counter and the listeners; admission and outcome are ours.

Why not pybreaker's own call: under asyncio it admitted 10 of 10 concurrent probes when half-open, and a *cancelled* probe
closed it. Here a call has three outcomes, not two: well, unwell, or nothing to say. And half-open admits one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import pybreaker

from meshwright.deadline import Deadline
from meshwright.errors import BreakerOpen
from meshwright.pulse import PULSE, Pulse

State = Literal["closed", "open", "half-open"]

#: Failures in a row that open it, and seconds until one call may try again.
FAIL_MAX, RESET_SECONDS = 5, 5.0


#: A call that was given fewer seconds than this says nothing about its peer when it times out; nor does one whose timer rang so
#: many seconds late, or that was made by a process under strain: it is this process that had no time to hear the answer.
FLOOR, LATE = 0.25, 0.05


def tells(given: float, by: Deadline, pulse: Pulse = PULSE) -> bool:
    """Whether a call that had `given` seconds until `by`, and timed out just now, says something about its peer."""
    return given >= FLOOR and by.remaining > -LATE and not pulse.strained


@dataclass(slots=True)
class Attempt:
    """One admitted call. Whoever makes it says how it went; silence says nothing about the peer."""

    outcome: Literal["well", "unwell", "silent"] = "silent"

    def well(self) -> None:
        self.outcome = "well"

    def unwell(self) -> None:
        self.outcome = "unwell"


class Breaker:
    """Closed until `fail_max` calls in a row went badly; then open for `reset` seconds; then one probe at a time."""

    def __init__(
        self,
        peer: str,
        *,
        fail_max: int = FAIL_MAX,
        reset: float = RESET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        listeners: tuple[Any, ...] = (),
    ) -> None:
        self.peer = peer
        self._reset = reset
        self._clock = clock
        self._storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self._circuit = pybreaker.CircuitBreaker(
            fail_max=fail_max, state_storage=self._storage, name=peer, listeners=list(listeners)
        )
        self._opened = 0.0
        self._probing = False

    @property
    def state(self) -> State:
        return cast(State, self._storage.state)

    @property
    def retry_in(self) -> float:
        """Seconds until an open breaker lets a probe through; 0 when it would admit a call now."""
        return max(0.0, self._opened + self._reset - self._clock()) if self.state == "open" else 0.0

    @contextmanager
    def admit(self) -> Iterator[Attempt]:
        """Enter to make a call. Raises BreakerOpen instead of letting it out."""
        probe = self._enter()
        attempt = Attempt()
        try:
            yield attempt
        finally:
            self._leave(attempt, probe)

    def _enter(self) -> bool:
        if self.state == "open":
            if self.retry_in > 0:
                raise BreakerOpen(self.peer, self.retry_in)
            self._circuit.half_open()
        if self.state != "half-open":
            return False
        if self._probing:
            raise BreakerOpen(self.peer, self._reset)
        self._probing = True
        return True

    def _leave(self, attempt: Attempt, probe: bool) -> None:
        if probe:
            self._probing = False
        if attempt.outcome == "well":
            # A late success of a call from before it opened must not close it: that is the probe's to say.
            if probe:
                self._circuit.close()
            if self.state == "closed":
                self._storage.reset_counter()
        elif attempt.outcome == "unwell" and (probe or self.state == "closed"):
            self._storage.increment_counter()
            if probe or self._storage.counter >= self._circuit.fail_max:
                self._opened = self._clock()
                self._circuit.open()
