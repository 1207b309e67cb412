"""How much a server works on at the same time, who waits, and who is told at once that waiting is no use.

The limit is adaptive: additive-increase/multiplicative-decrease (Chiu and Jain, 1989, doi:10.1016/0169-7552(89)90019-6), with the
delay of the event loop as the sign of congestion, as toobusy-js and CoDel (RFC 8289) use a standing queue's. Not the latency
of the work: that rises as well when somebody else is slow, and then the work here should rather be more than less.

Who waits is sent away when its turn would come too late. By Little's law the wait is the number ahead, times the usual
time of a piece of work, by the limit.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping

from meshwright.deadline import Deadline
from meshwright.errors import Overloaded
from meshwright.pulse import PULSE

HEADER = "x-mesh-priority"
#: Shed low first. A priority that nobody knows is normal.
RANKS = {"high": 0, "normal": 1, "low": 2}
#: The part of the queue that each rank may fill.
ROOM = (1.0, 0.9, 0.5)

#: Where the limit begins, and what it does not fall below.
START, LEAST = 16.0, 4.0
#: Seconds between two looks at the loop, and the delay of the loop that is still no congestion.
LOOK, TARGET = 0.05, 0.02
#: What a look adds to the limit, and what one that finds congestion leaves of it.
MORE, LESS = 1.0, 0.9
#: The part of its time that somebody may spend waiting: the rest is for the work, or for saying that there will be none, which
#: all say at once who came at once.
PATIENCE = 0.4
#: Pieces of work that must have ended before their usual time is known, and the weight of the latest.
KNOWN, WEIGHT = 5, 0.1


def rank_of(headers: Mapping[str, str]) -> int:
    """The rank that the caller's header names: 0 goes first."""
    return RANKS.get(headers.get(HEADER, "").strip().lower(), RANKS["normal"])


class Places:
    """The places of one server. `enter` and `leave` go around each piece of work.

    `queue` is how many may wait, `most` what the limit does not rise above.
    """

    def __init__(self, queue: int, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.queue = queue
        self.most = most
        self.limit = min(START, most)
        self.taken = 0
        #: Who was told that there is no room, by why.
        self.shed: Counter[str] = Counter()
        self._clock = clock
        self._usual = 0.0
        self._ended = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._left = 0  # entries of the heap whose owner has gone
        self._numbers = itertools.count()
        self._looking: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting) - self._left

    @property
    def usual(self) -> float:
        """Seconds a piece of work takes these days; 0 while too few have ended to say."""
        return self._usual if self._ended >= KNOWN else 0.0

    @property
    def wait(self) -> float:
        """Seconds until somebody who comes now gets a place, as far as one can know."""
        if self.taken < int(self.limit) and not self.waiting:
            return 0.0
        return (self.waiting + 1) * self.usual / self.limit

    def full(self, rank: int) -> Overloaded | None:
        """Why somebody of this rank cannot even wait; None if it can."""
        if self.waiting < self.queue * ROOM[rank] or self.taken < int(self.limit):
            return None
        self.shed["full"] += 1
        return Overloaded(f"{self.waiting} wait already, and no more can", self._again())

    def hopeless(self, by: Deadline) -> Overloaded | None:
        """Why it is no use to wait here until `by`; None if it may be some."""
        needs = self.wait + self.usual
        if self.wait == 0 or needs <= by.remaining * PATIENCE:
            return None
        self.shed["hopeless"] += 1
        return Overloaded(
            f"{self.taken} are being worked on and {self.waiting} wait: that would take {needs:.1f} s,"
            f" and {max(by.remaining, 0):.1f} s are left",
            self._again(),
        )

    async def enter(self, by: Deadline, rank: int) -> None:
        """Take a place, once there is one. Raises Overloaded if it cannot come in time."""
        if self.taken < int(self.limit) and not self.waiting:
            return self._take()
        if (refusal := self.full(rank) or self.hopeless(by)) is not None:
            raise refusal
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (rank, next(self._numbers), turn))
        giving_up = loop.call_later(max(by.remaining * PATIENCE, 0.0), self._give_up, turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._free()  # the place came together with the cancellation
            elif turn.cancelled():
                self._left += 1
            raise
        finally:
            giving_up.cancel()

    def leave(self, seconds: float) -> None:
        """Give the place back, after work that took so long."""
        self._ended += 1
        weight = max(WEIGHT, 1 / self._ended)
        self._usual += weight * (seconds - self._usual)
        self._free()

    def seen(self, delay: float) -> None:
        """One look at the loop, which was `delay` seconds late."""
        PULSE.felt(delay)
        if delay > TARGET:
            self.limit = max(min(LEAST, self.most), self.limit * LESS)
        elif self.taken >= int(self.limit):
            self.limit = min(self.most, self.limit + MORE)
            self._call()

    def _take(self) -> None:
        self.taken += 1
        if self._looking is None:
            self._look_again()

    def _free(self) -> None:
        self.taken -= 1
        self._call()

    def _call(self) -> None:
        """Give free places to those who wait, in the order of rank and arrival."""
        while self._waiting and self.taken < int(self.limit):
            _, _, turn = heapq.heappop(self._waiting)
            if turn.done():
                self._left -= 1
                continue
            self._take()
            turn.set_result(None)

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            self._left += 1
            self.shed["late"] += 1
            turn.set_exception(Overloaded("its turn did not come in time", self._again()))

    def _again(self) -> float:
        """Whole seconds after which to ask again; at least one."""
        return float(max(1, math.ceil(self.wait)))

    def _look_again(self) -> None:
        due = self._clock() + LOOK
        self._looking = asyncio.get_running_loop().call_later(LOOK, self._look, due)

    def _look(self, due: float) -> None:
        """Only while there is work: a server that rests has no timer."""
        self._looking = None
        self.seen(self._clock() - due)
        if self.taken:
            self._look_again()
