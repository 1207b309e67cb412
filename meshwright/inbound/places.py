"""How much a server works on at the same time, who waits, and who is told at once that waiting is no use.

The limit is adaptive: additive-increase/multiplicative-decrease (Chiu and Jain, 1989, doi:10.1016/0169-7552(89)90019-6), with the
delay of the event loop as the sign of congestion, as toobusy-js and CoDel (RFC 8289) use a standing queue's. Not the latency
of the work: that rises as well when somebody else is slow, and then the work here should rather be more than less.

Who waits is sent away when its turn would come too late: at once if that can be told when it comes, else at the look that finds
it out. What it has to wait is the number ahead, times the pace: the seconds between two who leave while somebody waits. Before a
queue has shown its pace, that is the usual time of a piece of work by the limit (Little's law).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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
#: With less than this share of a processor in use, those who have the places wait for others, and those who wait here need not:
#: then the limit grows by this factor.
IDLE, FASTER = 0.5, 1.5
#: The part of its time in which somebody's work should be expected to end: what is left over is for a pace that gets slower, and
#: for saying that there will be no work, which all say together who came together.
PATIENCE = 0.8
#: A timer of the loop may ring so many seconds early (uvloop counts milliseconds).
GRAIN = 0.001
#: Pieces of work that must have ended before their usual time is known, and the weight of the latest; that of the latest pace.
KNOWN, WEIGHT, WEIGHT_OF_PACE = 5, 0.1, 0.2


@dataclass(order=True, slots=True)
class Guest:
    """Somebody who waits. `latest` is the instant by which its work should end; `listed` says that it stands in the heap."""

    rank: int
    number: int
    turn: asyncio.Future[None] = field(compare=False)
    latest: float = field(compare=False)
    listed: bool = field(default=True, compare=False)


def rank_of(headers: Mapping[str, str]) -> int:
    """The rank that the caller's header names: 0 goes first."""
    return RANKS.get(headers.get(HEADER, "").strip().lower(), RANKS["normal"])


class Places:
    """The places of one server. `enter` and `leave` go around each piece of work.

    `queue` is how many may wait, `most` what the limit does not rise above, `start` where it begins.
    """

    def __init__(
        self, queue: int, most: int, *, start: float = START, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.queue = queue
        self.most = most
        self.limit = min(start, most)
        self.taken = 0
        #: Who was told that there is no room, by why.
        self.shed: Counter[str] = Counter()
        self._clock = clock
        self._usual = 0.0
        self._ended = 0
        self._pace = 0.0
        self._left_at: float | None = None  # when somebody left last, while somebody waited
        self._waiting: list[Guest] = []
        self._gone = 0  # guests in the heap who do not wait any more
        self._numbers = itertools.count()
        self._looking: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting) - self._gone

    @property
    def usual(self) -> float:
        """Seconds a piece of work takes these days; 0 while too few have ended to say."""
        return self._usual if self._ended >= KNOWN else 0.0

    @property
    def pace(self) -> float:
        """Seconds from one place that becomes free to the next, as far as one can know."""
        return self._pace or self.usual / self.limit

    @property
    def wait(self) -> float:
        """Seconds until somebody who comes now gets a place, as far as one can know."""
        if self.taken < int(self.limit) and not self.waiting:
            return 0.0
        return (self.waiting + 1) * self.pace

    def full(self, rank: int) -> Overloaded | None:
        """Why somebody of this rank cannot even wait; None if it can."""
        if self.taken < int(self.limit) or self.waiting < self.queue * ROOM[rank]:
            return None
        self.shed["full"] += 1
        return Overloaded(f"{self.waiting} wait already, and no more can", self._again())

    def hopeless(self, by: Deadline) -> Overloaded | None:
        """Why it is no use to wait here until `by`; None if it may be some."""
        wait = self.wait
        if wait == 0 or (needs := wait + self.usual) <= by.remaining * PATIENCE:
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
        patience = max(by.remaining, 0.0) * PATIENCE
        guest = Guest(rank, next(self._numbers), turn, self._clock() + patience)
        heapq.heappush(self._waiting, guest)
        # The next look may be too late for a short deadline.
        giving_up = loop.call_later(patience, self._send_away)
        self._watch()
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._free()  # the place came together with the cancellation
            elif turn.cancelled() and guest.listed:
                self._gone += 1
            raise
        finally:
            giving_up.cancel()

    def leave(self, seconds: float) -> None:
        """Give the place back, after work that took so long."""
        self._ended += 1
        weight = max(WEIGHT, 1 / self._ended)
        self._usual += weight * (seconds - self._usual)
        now, before = self._clock(), self._left_at
        self._left_at = now if self.waiting else None
        if before is not None:
            self._pace += (WEIGHT_OF_PACE if self._pace else 1.0) * (now - before - self._pace)
        self._free()

    def seen(self, delay: float, busy: float = 1.0) -> None:
        """One look at the loop, which was `delay` seconds late; the process used this share of a processor since the last one."""
        PULSE.felt(delay)
        if delay > TARGET:
            self.limit = max(min(LEAST, self.most), self.limit * LESS)
        elif self.taken >= int(self.limit):
            grown = self.limit * FASTER if busy < IDLE and self.waiting else self.limit + MORE
            self.limit = min(self.most, grown)
            self._call()
        self._send_away()

    def _take(self) -> None:
        self.taken += 1
        self._watch()

    def _free(self) -> None:
        self.taken -= 1
        self._call()

    def _call(self) -> None:
        """Give free places to those who wait, in the order of rank and arrival."""
        while self._waiting and self.taken < int(self.limit):
            guest = heapq.heappop(self._waiting)
            if guest.turn.done():
                self._gone -= 1
                continue
            self._take()
            guest.turn.set_result(None)

    def _send_away(self) -> None:
        """Tell those whose work would not end in time, as things go now."""
        end, pace, stay = self._clock() + self.usual, self.pace, list[Guest]()
        for guest in sorted(self._waiting):
            if guest.turn.done():
                guest.listed = False
            elif end + (len(stay) + 1) * pace < guest.latest - GRAIN:
                stay.append(guest)
            else:
                self.shed["late"] += 1
                guest.turn.set_exception(Overloaded("its turn would not come in time", self._again()))
        self._waiting, self._gone = stay, 0  # sorted, so it is a heap

    def _again(self) -> float:
        """Whole seconds after which to ask again; at least one."""
        return float(max(1, math.ceil(self.wait)))

    def _watch(self) -> None:
        if self._looking is None:
            due = self._clock() + LOOK
            self._looking = asyncio.get_running_loop().call_later(LOOK, self._look, due, time.process_time())

    def _look(self, due: float, used: float) -> None:
        """Only while there is work: a server that rests has no timer."""
        self._looking = None
        delay = self._clock() - due
        self.seen(delay, (time.process_time() - used) / (LOOK + max(delay, 0.0)))
        if self.taken or self.waiting:
            self._watch()


class Seat:
    """Around one piece of work and the watch over it: the place that the work takes is given back when the watch ends."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._began: float | None = None

    def __enter__(self) -> Seat:
        return self

    async def take(self, by: Deadline, rank: int) -> None:
        """Raises Overloaded if there is none in time."""
        await self._places.enter(by, rank)
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        if self._began is not None:
            self._places.leave(time.monotonic() - self._began)
