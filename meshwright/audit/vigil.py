"""Watches over the log in a process that runs: looks again at what is new, remembers how far it held, now and then reads all anew.

Beside everything else and slowly, and only while somebody wants to know: that nothing false is signed is the notary's business. What
lies before the last checkpoint that held is not read again between two full looks, but its last hash is compared each time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshwright.audit.inspection import Walk, head_of, inspect, lines_of, read_by
from meshwright.errors import StoreUnavailable

if TYPE_CHECKING:
    from meshwright.audit.anchor import Kept
    from meshwright.audit.notary import Notary
    from meshwright.database import Database, Row, Transaction

#: Seconds after which a look is made again when somebody asks, and after which one is made through all of the log.
AGAIN, FULL = 15.0, 3600.0


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look found: `upto` is how many entries hold, `why` what is wrong with the next, or what one should know. `full` if it read all."""

    at: float
    upto: int
    ok: bool
    why: str
    full: bool


class Vigil:
    """The watch over one database's log; `notary` is who signs it here, if anybody does."""

    def __init__(
        self, database: Database, notary: Notary | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._database, self._notary, self._clock = database, notary, clock
        self.verified: Verified | None = None
        #: When the whole log was read last.
        self.full_at = 0.0
        #: Why the last look came to no end.
        self.trouble = ""
        self._held = Walk()
        self._signed = 0
        self._looking: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._looking is not None and not self._looking.done()

    async def look(self, *, full: bool = False, within: float = 0.0) -> None:
        """Begin to look, unless that was done lately or goes on; wait for it no longer than `within` seconds."""
        signed = self._notary.signed if self._notary is not None else 0
        due = self.verified is None or self._clock() - self.verified.at > AGAIN or signed != self._signed
        if not self.busy and (full or due):
            self._signed = signed
            full = full or (self._held.last > 0 and self._clock() - self.full_at > FULL)
            self._looking = asyncio.ensure_future(self._look(full))
        if self._looking is not None and within:
            await asyncio.wait({self._looking}, timeout=within)

    async def aclose(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def _look(self, full: bool) -> None:
        try:
            found = None if full else await self._further()
            self.verified, self.trouble = found or await self._all(), ""
        except (StoreUnavailable, OSError) as error:
            self.trouble = f"it could not be read: {error}"[:400]

    async def _further(self) -> Verified | None:
        """Look at what came after what held; None where that needs a look at everything."""
        kept = await self._kept()  # before the head, which may only be further on
        head = await self._database.read(head_of)
        if kept and self._held.signed == 0:
            self._held = Walk()  # it was held against nothing yet
        held, first = self._held, self._held.last == 0
        if head is None or head[3] < held.last or not await self._as_it_was(held):
            return None
        sizes = [each.size for each in kept.checkpoints] if kept else []
        if held.signed > max(sizes, default=0):
            return None
        walk = held.onward(kept.checkpoints if kept else ())
        if sizes and sizes[-1] > walk.last:
            if await self._reads(walk, sizes[-1]) or walk.last != sizes[-1]:
                return None
            self._held = held = walk
            walk = held.onward(())
        if await self._reads(walk, head[3]) or walk.ended(*head) or (kept and kept.wrong):
            return None
        if kept is None:
            self._held = walk
        now = self._clock()
        if first:
            self.full_at = now
        return Verified(now, walk.last, True, _newer(walk.last, walk.signed, kept), first)

    async def _reads(self, walk: Walk, highest: int) -> bool:
        async for lines in lines_of(self._database, highest, walk.last):
            if await read_by(walk, lines, gently=True):
                return True
        return False

    async def _as_it_was(self, held: Walk) -> bool:
        """Whether the last entry that held is still the same."""
        if not held.last:
            return True

        async def op(tx: Transaction) -> list[Row]:
            return await tx.execute("SELECT hash FROM audit_log WHERE seq = ?", held.last)

        rows = await self._database.read(op)
        return len(rows) == 1 and held.stands_on(bytes(rows[0]["hash"]))

    async def _all(self) -> Verified:
        kept = await self._kept()
        anchor = self._notary.anchor if self._notary is not None else None
        found = await inspect(self._database, kept, anchor, gently=True)
        self.full_at = self._clock()
        why = found.fault.says if found.fault else "; ".join(found.wrong)
        upto = found.fault.seq - 1 if found.fault and found.fault.seq else found.entries
        return Verified(
            self.full_at,
            max(0, upto),
            found.clean,
            (why or _newer(found.entries, found.signed, kept))[:400],
            True,
        )

    async def _kept(self) -> Kept | None:
        """What the anchor holds; None where nothing has been signed yet: then there is only the chain."""
        if self._notary is None:
            return None
        kept = await asyncio.to_thread(self._notary.kept)
        return kept if kept.checkpoints or kept.wrong or self._notary.signed else None


def _newer(entries: int, signed: int, kept: Kept | None) -> str:
    """What one should know of a log in which nothing is wrong."""
    if kept is None:
        return (
            "nothing of it is signed: the chain alone proves nothing about its end, nor about its owner"
            * bool(entries)
        )
    if entries == signed:
        return ""
    return f"the last {entries - signed} entries are newer than the last checkpoint: they are only chained"
