"""Carries what stands in the outbox: notifications to those who asked for them, and word to peers that a task is off.

At least once: a row is taken for a while, delivered, and only then marked; whoever dies in between leaves it to be taken again.
Of one task's notifications to one receiver only the oldest is ever on its way, so they arrive in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshwright.chore import Chore
from meshwright.clipping import storable
from meshwright.errors import MeshError, StoreUnavailable
from meshwright.records.tracing import after
from meshwright.tasks.accept import trace_of

if TYPE_CHECKING:
    from meshwright.database import Row, Transaction, Value
    from meshwright.tasks.book import TaskBook

log = logging.getLogger(__name__)

#: Seconds a delivery may take, and for which its row is nobody else's.
TAKEN = 30.0
#: Seconds between looks when no bell rings: while something is due that cannot go yet, and at most.
LOOK, LONGEST_LOOK = 5.0, 30.0
#: Seconds before the second try, and between any two at most; they double, and half of each is chance. So many tries last for 16 to 32
#: hours: who is away over night is told in the morning.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 900.0
TRIES = 136
#: Seconds for which a receiver may send us away, at most.
LONGEST_WAIT = 3_600.0
#: Deliveries at once, and those of them to one receiver: while it is sick, the others have room.
AT_ONCE, EACH = 64, 16


@dataclass(frozen=True, slots=True)
class Parcel:
    """One row on its way. `remote` is the push configuration's id, or the peer's task."""

    id: str
    task_id: str
    kind: str
    address: str
    body: str
    remote: str
    attempts: int


class Undeliverable(Exception):
    """It will never arrive; the text says why. Not tried again."""


#: Delivers one parcel. Raises Undeliverable, or a MeshError to be tried again later.
Deliver = Callable[[Parcel], Awaitable[None]]


class Courier:
    """One per process. `deliveries` is by kind: `push`, `cancel`."""

    def __init__(
        self,
        book: TaskBook,
        deliveries: Mapping[str, Deliver],
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._book = book
        self._deliveries = dict(deliveries)
        self._chance = chance
        self._carrying: dict[asyncio.Task[None], str] = {}
        self._working = Chore("the courier", self._work)

    def start(self) -> None:
        if self._deliveries:
            self._working.start()

    async def aclose(self) -> None:
        """Stop; what is on its way is taken again by others, when its time is over."""
        await self._working.stop()
        for task in self._carrying:
            task.cancel()
        if self._carrying:
            await asyncio.wait(self._carrying)

    async def _work(self) -> None:
        with self._book.feed.bell(f"{self._book.agent}:outbox") as bell:
            while True:
                bell.clear()
                pause = LOOK
                try:
                    while (soon := await self.next_due()) == 0 and len(self._carrying) < AT_ONCE:
                        parcels = await self.take()
                        if not parcels:
                            break
                        for parcel in parcels:
                            self._carry(parcel, bell)
                    pause = LOOK if soon == 0 else min(soon, LONGEST_LOOK)
                except StoreUnavailable as error:
                    log.warning("%s; the outbox waits", error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await bell.wait()

    def _carry(self, parcel: Parcel, bell: asyncio.Event) -> None:
        task = asyncio.ensure_future(self.deliver(parcel))
        self._carrying[task] = receiver_of(parcel.address)

        def done(ended: asyncio.Task[None]) -> None:
            del self._carrying[ended]
            bell.set()  # what came after it may go now
            if not ended.cancelled() and (error := ended.exception()):
                log.error("%s was not delivered; it is tried again", parcel.id, exc_info=error)

        task.add_done_callback(done)

    async def next_due(self) -> float:
        """Seconds until a row is due: 0 when one is (another may have to go before it), infinite for none."""
        kinds = ", ".join("?" * len(self._deliveries))

        async def op(tx: Transaction) -> list[Row]:
            return await tx.execute(
                "SELECT min(due) AS due, EPOCH() AS now FROM outbox"
                f" WHERE agent = ? AND kind IN ({kinds}) AND state = 'open'",
                *(self._book.agent, *self._deliveries),
            )

        row = (await self._book.database.read(op))[0]
        return max(row["due"] - row["now"], 0.0) if row["due"] is not None else math.inf

    async def take(self) -> list[Parcel]:
        """The next rows that are due, ours for a while; none for a receiver that has all that it may have at once."""
        kinds = ", ".join("?" * len(self._deliveries))
        busy = Counter(self._carrying.values())
        full = [receiver for receiver, number in busy.items() if number >= EACH]
        away = [each for receiver in full for each in (receiver, _begins_with(f"{receiver}/"))]
        room = AT_ONCE - len(self._carrying)
        values: list[Value] = [self._book.agent, *self._deliveries, *away, room]

        async def op(tx: Transaction) -> list[Row]:
            due = await tx.execute(
                f"SELECT id, address FROM outbox o WHERE agent = ? AND state = 'open' AND kind IN ({kinds}) AND due <= EPOCH()"
                " AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.task_id = o.task_id AND p.kind = o.kind"
                " AND p.remote = o.remote AND p.state = 'open' AND p.id < o.id)"
                + " AND address <> ? AND address NOT LIKE ? ESCAPE '!'" * len(full)
                + f" ORDER BY due LIMIT ?{tx.skip_locked}",
                *values,
            )
            taken = Counter(busy)
            ours: list[Value] = []
            for row in due:
                receiver = receiver_of(row["address"])
                taken[receiver] += 1
                if taken[receiver] <= EACH:
                    ours.append(row["id"])
            if not ours:
                return []
            return await tx.execute(
                "UPDATE outbox SET due = EPOCH() + ?, attempts = attempts + 1"
                f" WHERE id IN ({', '.join('?' * len(ours))}) RETURNING *",
                *(TAKEN, *ours),
            )

        rows = await self._book.database.write(op)
        return [
            Parcel(r["id"], r["task_id"], r["kind"], r["address"], r["body"], r["remote"], r["attempts"])
            for r in rows
        ]

    async def deliver(self, parcel: Parcel) -> None:
        """Deliver one parcel and note what became of it."""
        if parcel.attempts > TRIES:
            return await self._mark(
                parcel, "dead", f"given up after {TRIES} tries: nobody lived to note a reason"
            )
        try:
            headers = await self._book.database.read(lambda tx: trace_of(tx, parcel.task_id))
            with after(headers, parcel.task_id):
                async with asyncio.timeout(TAKEN * 0.8):
                    await self._deliveries[parcel.kind](parcel)
        except Undeliverable as error:
            await self._mark(parcel, "dead", str(error))
        except (MeshError, TimeoutError) as error:
            why = str(error) or "no answer in time"
            if parcel.attempts >= TRIES:
                await self._mark(parcel, "dead", f"given up after {parcel.attempts} tries: {why}")
            else:
                wanted = min(getattr(error, "retry_after", None) or 0.0, LONGEST_WAIT)
                await self._mark(parcel, "open", why, max(self.pause(parcel.attempts), wanted))
        else:
            await self._mark(parcel, "sent", "")
        return None

    def pause(self, attempts: int) -> float:
        """Seconds until the next try after so many: doubling, half of it chance, so that receivers are not hit in step."""
        longest = min(FIRST_PAUSE * 2.0 ** (attempts - 1), LONGEST_PAUSE)
        return longest * (0.5 + 0.5 * self._chance())

    async def _mark(self, parcel: Parcel, state: str, why: str, seconds: float = 0.0) -> None:
        await self._book.database.execute(
            "UPDATE outbox SET state = ?, why = ?, due = EPOCH() + ? WHERE id = ? AND state = 'open'",
            *(state, storable(why[:400]), seconds, parcel.id),
        )
        if state == "dead":
            log.warning("%s to %s: %s", parcel.kind, parcel.address, why)


def receiver_of(address: str) -> str:
    """Scheme, host and port of an address, as it has them: what is behind them is well or sick as a whole."""
    return "/".join(address.split("/", 3)[:3])


def _begins_with(text: str) -> str:
    """A pattern of SQL, with ! before what would be one."""
    return re.sub("([!%_])", r"!\1", text) + "%"
