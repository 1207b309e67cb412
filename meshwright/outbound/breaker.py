"""One breaker per peer and per tool server: closed, open, half-open; who may be asked, and who may find out whether it is well again.

What a call tells is a fact of its error's class (`meshwright.errors.Outcome`): a failure of transport, a timeout or bad output
counts, five in a row open it. That a task failed properly, that a caller went away, or that a call had too little time does not.
Overload does not either, but who says when to come back is not asked before.

Open, one call may try every `reset` seconds, counted from the beginning of the try before: a probe that hangs keeps the next
one from nobody, and a tool that is well again is found out within one interval. Replicas share all of that through a `Board`.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from meshwright.deadline import Deadline
from meshwright.errors import BreakerOpen, MeshError, Outcome, PeerOverloaded
from meshwright.pulse import PULSE, Pulse

State = Literal["closed", "open", "half-open"]
Kind = Literal["peer", "tool"]

#: Failures in a row that open it, and seconds between two probes.
FAIL_MAX, RESET_SECONDS = 5, 5.0
#: Seconds that a peer may send us away for: an answer's header must not switch a peer off.
HOLD_MAX = 5.0

#: A call that was given fewer seconds than this says nothing about its peer when it times out; nor does one whose timer rang so
#: many seconds late, or that was made by a process under strain: it is this process that had no time to hear the answer.
FLOOR, LATE = 0.25, 0.05


def tells(given: float, by: Deadline, pulse: Pulse = PULSE) -> bool:
    """Whether a call that had `given` seconds until `by`, and timed out just now, says something about its peer."""
    return given >= FLOOR and by.remaining > -LATE and not pulse.strained


@dataclass(slots=True, eq=False)
class Attempt:
    """One admitted call. `outcome` is what to say of it where no error says more."""

    era: int
    probe: bool
    outcome: Outcome = Outcome.SILENT


@dataclass(frozen=True, slots=True)
class Standing:
    """How an open breaker stands, for replicas to share: which `opening` this is, since when (seconds since the epoch), and in how
    many seconds somebody may probe."""

    opening: str
    state: State
    since: float
    retry_in: float
    failures: dict[str, int] = field(default_factory=dict)


class Board(Protocol):
    """Where the breakers of several replicas meet."""

    async def claim(self, breaker: Breaker) -> bool:
        """Whether this replica may probe now; True also where nobody can say."""
        ...

    def changed(self, breaker: Breaker) -> None:
        """Tell the others, some time soon."""
        ...


class Breaker:
    """The breaker of one address. `peer` is what its errors call it; `kind` and `address` are what replicas know it by."""

    def __init__(
        self,
        address: str,
        kind: Kind = "peer",
        *,
        fail_max: int = FAIL_MAX,
        reset: float = RESET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address, self.kind, self.peer = address, kind, address
        self.reset = reset
        self.board: Board | None = None
        self.state: State = "closed"
        self.opening = ""
        #: Seconds since the epoch.
        self.since = time.time()
        #: By class: those in a row while closed, those since it opened while not.
        self.failures: Counter[str] = Counter()
        #: Calls by what they told, refusals by why, and changes by the state they led to, since the process began.
        self.calls: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self._fail_max = fail_max
        self._clock = clock
        self._era = 0
        self._until = self._held_until = 0.0
        self._held_why = ""
        self._probe: Attempt | None = None

    @property
    def retry_in(self) -> float:
        """Seconds until it would admit a call; 0 if it would now."""
        return max(0.0, (self._until - self._clock()) if self.state != "closed" else 0.0, self.held_for)

    @property
    def held_for(self) -> float:
        """Seconds for which the peer asked not to be asked."""
        return max(0.0, self._held_until - self._clock())

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[Attempt]:
        """Enter to make a call: an error that leaves says by its class how it went; none says that the peer is well.

        Raises BreakerOpen, or PeerOverloaded, instead of letting the call out.
        """
        attempt = self.enter()
        if attempt.probe and self.board is not None:
            await self._claimed(attempt, self.board)
        outcome, after, why = Outcome.SILENT, None, ""
        try:
            yield attempt
            outcome = Outcome.WELL
        except MeshError as error:
            outcome = attempt.outcome if error.outcome is Outcome.SILENT else error.outcome
            after, why = getattr(error, "retry_after", None), str(error).removeprefix(f"{self.peer}: ")
            raise
        finally:
            self.leave(attempt, outcome, after, why)

    def enter(self) -> Attempt:
        """Take the right to one call, to be given back with `leave`. Raises BreakerOpen, PeerOverloaded."""
        now = self._clock()
        if self.held_for:
            self.refusals["overload"] += 1
            why = f"{self._held_why} (not asked again for another {self.held_for:.1f} s)"
            raise PeerOverloaded(self.peer, why, self.held_for)
        if self.state == "closed":
            return Attempt(self._era, probe=False)
        if now < self._until:
            self.refusals["open"] += 1
            raise BreakerOpen(self.peer, self._until - now)
        self._until = now + self.reset
        self._probe = Attempt(self._era, probe=True)
        self._move("half-open")
        return self._probe

    async def _claimed(self, attempt: Attempt, board: Board) -> None:
        """Return if this replica may probe. Raises BreakerOpen if another does."""
        granted: bool | None = None
        try:
            granted = await board.claim(self)
        finally:
            if granted is None:
                self.leave(attempt, Outcome.SILENT)
        if not granted:
            self._probe = None
            self.refusals["open"] += 1
            raise BreakerOpen(self.peer, self.retry_in)

    def leave(
        self, attempt: Attempt, outcome: Outcome, retry_after: float | None = None, why: str = ""
    ) -> None:
        """Say how a call went; with `retry_after`, that the peer sent us away for so many seconds, and why."""
        self.calls[outcome] += 1
        if outcome is Outcome.OVERLOAD and retry_after:
            self._held_until = max(self._held_until, self._clock() + min(retry_after, HOLD_MAX))
            self._held_why = why or "it asked for a pause"
        if attempt.era != self._era:
            return  # begun before it opened or closed: that says nothing of today
        if attempt.probe:
            self._probed(attempt, outcome)
        elif outcome is Outcome.WELL:
            self.failures.clear()
        elif outcome.indicts:
            self.failures[outcome] += 1
            if self.failures.total() >= self._fail_max:
                self._open(uuid.uuid4().hex, self.reset)
                self._tell()

    def _probed(self, attempt: Attempt, outcome: Outcome) -> None:
        if outcome.indicts:
            self.failures[outcome] += 1
        if outcome is Outcome.WELL:
            self._close()
            return self._tell()
        if attempt is not self._probe:
            return None  # it took too long, and another has its right
        self._probe = None
        if outcome is Outcome.SILENT:
            self._until = self._clock()  # the next may try
        else:
            self._move("open")
        return self._tell()

    def lift(self) -> None:
        """The peer was seen to be ready: it need not be left alone any longer."""
        self._held_until = 0.0

    def standing(self) -> Standing | None:
        """How it stands, for others; None while it is closed."""
        if self.state == "closed":
            return None
        # A right that nobody uses is none, whatever the state is called here.
        state: State = "half-open" if self._probe is not None else "open"
        wait = max(0.0, self._until - self._clock())
        return Standing(self.opening, state, self.since, wait, dict(self.failures))

    def hear(self, standing: Standing | None) -> None:
        """Take over how the replicas have agreed that it stands."""
        if standing is None:
            return self._close() if self.state != "closed" else None
        if self.state == "closed":
            self._open(standing.opening, standing.retry_in)
        self.opening, self.since = standing.opening, standing.since
        self.failures = Counter(standing.failures)
        self._until = self._clock() + standing.retry_in
        return self._move(standing.state)

    def shown(self) -> dict[str, Any]:
        """For people: `since` in seconds since the epoch, `retry_in` in seconds, failures by class."""
        return {
            "state": self.state,
            "since": round(self.since, 3),
            "retry_in": round(self.retry_in, 2),
            "overloaded": self.held_for > 0,
            "failures": {name: count for name, count in self.failures.items() if count},
        }

    def _open(self, opening: str, seconds: float) -> None:
        self.opening, self.since = opening, time.time()
        self._era += 1
        self._until = self._clock() + seconds
        self._move("open")

    def _close(self) -> None:
        self.since = time.time()
        self._era += 1
        self._probe = None
        self.failures.clear()
        self._move("closed")

    def _move(self, state: State) -> None:
        if state != self.state:
            self.changes[state] += 1
            self.state = state

    def _tell(self) -> None:
        if self.board is not None:
            self.board.changed(self)
