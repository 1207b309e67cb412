"""A clock for tests: time passes when the test says so."""

from __future__ import annotations


class ManualClock:
    """A clock that moves when told to. Give it to whatever takes a `clock`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
