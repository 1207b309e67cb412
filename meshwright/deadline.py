"""How much time is left: absolute in memory, relative on the wire.

Two machines share a rate of time, not a clock; so a hop carries the milliseconds that remain at sending, and the
callee counts them down on its own monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from meshwright.errors import DeadlineExceeded, InvalidRequest

HEADER = "x-mesh-deadline-ms"

#: Kept back at each hop for the way home, in seconds: without it caller and callee give up in the same instant and the
#: caller never sees the callee's partial answer. A tenth of what is left, within these bounds.
MARGIN_FLOOR, MARGIN_CEILING, MARGIN_SHARE = 0.02, 0.5, 0.1

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """An instant on a monotonic clock. Pass it on; it can only get shorter.

    Example: `by = Deadline.after(5); await peer.ask(question, by=by.share(0.6))`.
    """

    at: float
    clock: Clock = field(default=time.monotonic, compare=False, repr=False)

    @classmethod
    def after(cls, seconds: float, *, clock: Clock = time.monotonic) -> Deadline:
        """The instant `seconds` from now. Raises ValueError if it is not a finite number."""
        if not (seconds == seconds and abs(seconds) != float("inf")):
            raise ValueError(f"a deadline needs a finite number of seconds, not {seconds!r}")
        return cls(clock() + seconds, clock)

    @classmethod
    def from_headers(
        cls, headers: Mapping[str, str], *, default: float, ceiling: float, clock: Clock = time.monotonic
    ) -> Deadline:
        """What the caller allows, less the margin for the way home; never more than `ceiling` seconds.

        Without the header the caller has no opinion and `default` seconds hold. Raises InvalidRequest if the header
        is not a whole number of milliseconds.
        """
        raw = headers.get(HEADER)
        if raw is None:
            return cls.after(min(default, ceiling), clock=clock)
        if not (raw.isascii() and raw.isdigit() and len(raw) <= 12):
            raise InvalidRequest(
                f"{HEADER} must be a whole number of milliseconds that remain, not {raw[:40]!r}"
            )
        left = int(raw) / 1000
        return cls.after(min(left - margin(left), ceiling), clock=clock)

    @property
    def remaining(self) -> float:
        """Seconds left; negative when it has passed."""
        return self.at - self.clock()

    @property
    def expired(self) -> bool:
        return self.remaining <= 0

    def share(self, part: float) -> Deadline:
        """The deadline of a phase that may use `part` (0 < part ≤ 1) of what is left."""
        if not 0 < part <= 1:
            raise ValueError(f"a share lies between 0 and 1, not {part!r}")
        return Deadline(self.clock() + max(self.remaining, 0.0) * part, self.clock)

    def at_most(self, seconds: float) -> Deadline:
        """The earlier of this deadline and `seconds` from now."""
        return Deadline(min(self.at, self.clock() + seconds), self.clock)

    def require(self, floor: float = 0.0) -> float:
        """Seconds left. Raises DeadlineExceeded if that is not more than `floor`."""
        left = self.remaining
        if left <= floor:
            raise DeadlineExceeded(
                "the deadline has passed" if left <= 0 else f"only {left * 1000:.0f} ms are left"
            )
        return left

    def headers(self) -> dict[str, str]:
        """The header for the next hop. Raises DeadlineExceeded rather than send work that cannot be used."""
        return {HEADER: str(max(1, int(self.require() * 1000)))}


def margin(left: float) -> float:
    """Seconds of `left` that stay with the caller's hop for the way home."""
    return min(max(left * MARGIN_SHARE, MARGIN_FLOOR), MARGIN_CEILING)
