"""Reads the whole log and says whether it is what was written: by its chain, and by what was signed outside the database.

The chain alone shows what somebody changed who did not hash all anew. That the end is missing, or that everything after an entry (or all
of it) was written anew, only the signed checkpoints show. Of what is newer than the last of them nobody can say more than the chain does.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshwright.audit.anchor import Anchor, Kept
from meshwright.audit.log import COLUMNS, GENESIS, entry_hash
from meshwright.audit.merkle import Tree

if TYPE_CHECKING:
    from meshwright.audit.note import Checkpoint
    from meshwright.database import Database, Transaction

#: Rows of one read.
BATCH = 2000
#: Who inspects gently rests so many times as long as it works.
REST = 2.0
#: How far an entry that stands in the wrong place is looked for.
FAR = 10_000

#: A row of the log, in the order of COLUMNS: sqlite3's and asyncpg's rows both unpack like a tuple.
Line = Any
#: What is raised for a row in which not even the types are right.
ILL_TYPED = (TypeError, ValueError, OverflowError, struct.error)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong first: with the entry `seq` (0 where it is with no entry), of which kind, and in words."""

    kind: str
    seq: int
    says: str


@dataclass(slots=True)
class Inspection:
    """What was found. It is `clean` if nothing is wrong and the log ends where, or after, it was signed."""

    entries: int = 0
    signed: int = 0
    checkpoints: int = 0
    fault: Fault | None = None
    #: What is wrong with the anchor, and what one should know.
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return self.fault is None and not self.wrong


async def inspect(
    database: Database, kept: Kept | None, anchor: Anchor | None = None, *, gently: bool = False
) -> Inspection:
    """Inspect the log, as far as it goes when this begins, against what an anchor holds (None: against nothing).

    `gently` is for a process that has other work: then it takes no more than a part of a processor, and none of the loop.
    """
    found = Inspection()
    head = await database.read(head_of)
    if head is None:
        found.fault = Fault("deleted", 1, "the tables of the log are gone")
        return found
    walk = Walk(kept.checkpoints if kept else ())
    async for lines in lines_of(database, head[3]):
        if await read_by(walk, lines, gently=gently):
            break
    fault = walk.fault or walk.ended(*head)
    if fault is not None and kept is not None and anchor is not None:
        fault = await _exactly(database, fault, kept, anchor)
    found.fault = fault
    found.entries, found.signed, found.checkpoints = walk.last, walk.signed, walk.matched
    if kept is not None:
        found.wrong = list(kept.wrong)
        if kept.torn:
            found.notes.append(f"{kept.torn} pieces of the anchor are no whole notes, as after a crash")
        if not kept.checkpoints and (walk.last or kept.wrong):
            found.wrong.append(
                "no checkpoint is signed by a known key: the chain alone proves nothing about its end, nor about its owner"
            )
        elif walk.last > walk.signed and fault is None:
            found.notes.append(
                f"the last {walk.last - walk.signed} entries are newer than the last checkpoint: they are only chained"
            )
    return found


class Walk:
    """Through the log, entry by entry, until the first that is wrong."""

    def __init__(self, checkpoints: Sequence[Checkpoint] = ()) -> None:
        self.last = self.signed = self.matched = 0
        self.fault: Fault | None = None
        self._prev = GENESIS
        self._odd: Line | None = None
        self._tree = Tree()
        self._checkpoints = list(reversed(checkpoints))

    def onward(self, checkpoints: Sequence[Checkpoint]) -> Walk:
        """Another one that goes on from here, held against those of `checkpoints` that lie ahead."""
        walk = Walk([each for each in checkpoints if each.size > self.last])
        walk.last, walk.signed, walk.matched = self.last, self.signed, self.matched
        walk._prev, walk._tree = self._prev, self._tree.copy()
        return walk

    def stands_on(self, digest: bytes) -> bool:
        """Whether the entry it came to last has this hash."""
        return digest == self._prev

    def reads(self, lines: list[Line]) -> bool:
        """Go on through `lines`. Says whether something was wrong."""
        if self._odd is not None:
            self.fault = self._told(self._odd, lines[0])
            return True
        last, prev, add = self.last, self._prev, self._tree.add
        due = self._checkpoints[-1].size if self._checkpoints else -1
        for at, line in enumerate(lines):
            seq, when, actor, kind, run, action, once, payload, held, digest = line
            try:
                fits = entry_hash(held, seq, when, actor, kind, run, action, once, payload) == digest
            except ILL_TYPED:
                fits = False
            if not fits or seq != last + 1 or held != prev:
                self.last, self._prev = last, prev
                if at + 1 == len(lines):
                    self._odd = line  # what comes after it tells what it is
                    return False
                self.fault = self._told(line, lines[at + 1])
                return True
            last, prev = seq, digest
            add(digest)
            if last == due:
                self.last = last
                if self._disagrees():
                    return True
                due = self._checkpoints[-1].size if self._checkpoints else -1
        self.last, self._prev = last, prev
        return False

    def ended(self, seq: int, digest: bytes, count: int, highest: int) -> Fault | None:
        """What is wrong with the end, if nothing was before: against the head, the checkpoints, and the number of rows."""
        if self._odd is not None:
            return self._told(self._odd, None)
        if self._checkpoints:
            size = self._checkpoints[0].size
            return Fault(
                "truncated",
                self.last + 1,
                f"the log ends at entry {self.last}, and {size} were signed: the rest was cut off, or an older copy put in its place",
            )
        if seq != self.last or digest != self._prev:
            return Fault(
                *("truncated", self.last + 1) if seq > self.last else ("inserted", seq + 1),
                f"the log ends at entry {self.last}, and its head says {seq}",
            )
        if count != self.last:
            return Fault("inserted", 0, f"there are {count} rows for {self.last} entries")
        return None

    def _disagrees(self) -> bool:
        """Hold the log against all checkpoints of the size it has now."""
        while self._checkpoints and self._checkpoints[-1].size == self.last:
            if self._checkpoints.pop().root != self._tree.root:
                self.fault = _rewritten(self.signed + 1, self.last)
                return True
            self.matched += 1
        self.signed = self.last
        return False

    def _told(self, line: Line, after: Line | None) -> Fault:
        """What happened to the first entry that is wrong; `after` is the one that follows in the table."""
        due, seq = self.last + 1, line[0]
        if seq > due:
            gone = f"entry {due} is" if seq == due + 1 else f"entries {due} to {seq - 1} are"
            return Fault("deleted", due, f"{gone} gone")
        if seq < due:
            return Fault("inserted", seq, f"entry {seq} is there more than once, or before the first")
        was = _number_of(line)
        if was == due:  # it is as it was written, and after something else
            if due == 1:
                return Fault("inserted", 1, "the first entry continues another one")
            return Fault(
                "edited",
                due - 1,
                f"entry {due - 1} was edited and hashed anew: the next one continues another",
            )
        if was is None:
            if after is not None and _number_of(after) == due:
                return Fault("inserted", due, f"entry {due} was put in: the next one was entry {due} before")
            return Fault("edited", due, f"entry {due} was edited: it is not what was hashed")
        if was == due - 1:
            return Fault("inserted", due - 1, f"entry {was} was put in: the next one was entry {was} before")
        if was > due and (after is None or _number_of(after) == was + 1):
            return Fault(
                "deleted", due, f"entries {due} to {was - 1} are gone, and the others were numbered anew"
            )
        return Fault("reordered", due, f"entry {due} is not in its place: it was entry {was}")


def _number_of(line: Line) -> int | None:
    """Under which number an entry was hashed; None if it was not hashed as it is."""
    seq, at, actor, kind, run, action, once, payload, prev, digest = line
    for number in sorted(range(max(1, seq - FAR), seq + FAR), key=lambda each: abs(each - seq)):
        try:
            if entry_hash(prev, number, at, actor, kind, run, action, once, payload) == digest:
                return number
        except ILL_TYPED:
            break
    return None


def _rewritten(first: int, last: int) -> Fault:
    if first == last:
        return Fault("rewritten", first, f"entry {first} is not the one that was signed")
    return Fault(
        "rewritten",
        first,
        f"of entries {first} to {last} one is not the one that was signed, and all after it were hashed anew",
    )


async def _exactly(database: Database, fault: Fault, kept: Kept, anchor: Anchor) -> Fault:
    """The same fault, or the first entry that is not as the hashes beside the anchor have it, if that tells more."""
    hashes: list[bytes] = []
    for checkpoint in reversed(kept.checkpoints):
        if hashes := anchor.hashes(checkpoint):
            break
    known = hashes if fault.kind == "rewritten" else hashes[: max(0, fault.seq - 1)]
    for start in range(0, len(known), BATCH):
        some = known[start : start + BATCH]
        rows = await database.execute(
            "SELECT seq, hash FROM audit_log WHERE seq > ? AND seq <= ? ORDER BY seq",
            start,
            start + len(some),
        )
        held = {row["seq"]: row["hash"] for row in rows}
        for number, digest in enumerate(some, start + 1):
            if held.get(number) != digest:
                what = f"everything from entry {number}" if number > 1 else "the whole log"
                return Fault(
                    "rewritten",
                    number,
                    f"entry {number} is not the one that was signed: {what} was hashed anew",
                )
    return fault


async def head_of(tx: Transaction) -> tuple[int, bytes, int, int] | None:
    """Number and hash of the head, how many rows there are, and the highest number; None if there is no such table."""
    if tx.skip_locked:
        there = "SELECT count(*) AS n FROM (VALUES (to_regclass('audit_log')), (to_regclass('audit_head'))) AS t (c) WHERE c IS NOT NULL"
    else:
        there = "SELECT count(*) AS n FROM sqlite_master WHERE name IN ('audit_log', 'audit_head')"
    if (await tx.execute(there))[0]["n"] != 2:
        return None
    rows = await tx.execute(
        "SELECT (SELECT seq FROM audit_head WHERE id = 1) AS seq, (SELECT hash FROM audit_head WHERE id = 1) AS hash,"
        " (SELECT count(*) FROM audit_log) AS n, (SELECT max(seq) FROM audit_log) AS highest"
    )
    row = rows[0]
    return int(row["seq"] or 0), bytes(row["hash"] or b""), int(row["n"]), int(row["highest"] or 0)


async def read_by(walk: Walk, lines: list[Line], *, gently: bool) -> bool:
    """Have `walk` go on through `lines`; says whether something was wrong."""
    if not gently:
        return walk.reads(lines)
    began = time.perf_counter()
    wrong = await asyncio.to_thread(walk.reads, lines)
    await asyncio.sleep(REST * (time.perf_counter() - began))
    return wrong


async def lines_of(
    database: Database, highest: int = 2**62, after: int = -(2**62)
) -> AsyncIterator[list[Line]]:
    """All rows above the number `after` up to the `highest`, in their order, some at a time."""
    while True:

        async def op(tx: Transaction, after: int = after) -> list[Any]:
            return await tx.execute(
                f"SELECT {COLUMNS} FROM audit_log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                *(after, highest, BATCH),
            )

        lines = await database.read(op)
        if not lines:
            return
        yield lines
        after = int(lines[-1][0])
