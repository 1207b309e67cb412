"""What is no longer needed goes: ended tasks with all that hangs on them, after a while; what runs or waits is never touched.

Runs and reviews stay: they are the record of what was decided. Why it was decided goes when the run ended long ago. Checkpoints are only
for going on, so those of ended tasks go within the hour.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from meshwright.chore import Chore
from meshwright.errors import StoreUnavailable
from meshwright.ledger import sweep
from meshwright.records import decisions

if TYPE_CHECKING:
    from meshwright.database import Database, Transaction

log = logging.getLogger(__name__)

DAY, HOUR = 86_400.0, 3_600.0
#: Seconds until the first time: a process that never lives for an hour has to do it, too.
SOON = 300.0
#: Tasks that go in one transaction: a purge must not keep others from writing.
BATCH = 200
#: Seconds after a task's end for which word of it may still be on its way: as long as a courier tries.
ON_ITS_WAY = 2 * DAY
_UNSENT = "SELECT 1 FROM outbox o WHERE o.task_id = tasks.id AND o.state = 'open' AND o.kind <> 'ask'"
_HANGING = ("events", "inbox", "outbox", "push_configs", "notebooks")


async def purge(database: Database, older_than: float, agent: str | None = None) -> int:
    """Delete the tasks (of `agent`, or all) that ended more than `older_than` seconds ago. Returns how many.

    One that ended lately stays while a notification or word to a peer is not delivered yet; one that somebody changes just now, or what
    they add to it would be left behind. When it ended is said by the clock of whoever ended it, which may be far behind: so what is younger
    than that by the database's clock stays, too.
    """
    whose, values = ("", ()) if agent is None else (" AND agent = ?", (agent,))

    async def op(tx: Transaction) -> int:
        rows = await tx.execute(
            f"SELECT id FROM tasks WHERE work = 'ended' AND updated < EPOCH() - ? AND created < EPOCH() - ?{whose}"
            " AND (updated < EPOCH() - ? AND created < EPOCH() - ?"
            f" OR NOT EXISTS ({_UNSENT})) LIMIT ?{tx.skip_locked}",
            *(older_than, older_than, *values, ON_ITS_WAY, ON_ITS_WAY, BATCH),
        )
        for row in rows:
            for table in _HANGING:
                await tx.execute(f"DELETE FROM {table} WHERE task_id = ?", row["id"])
            await tx.execute("DELETE FROM tasks WHERE id = ? AND work = 'ended'", row["id"])
        return len(rows)

    gone = 0
    while batch := await database.write(op):
        gone += batch
    return gone


async def drop_checkpoints(database: Database, older_than: float = HOUR) -> int:
    """Delete the checkpoints of runs that ended more than `older_than` seconds ago. Returns of how many."""

    async def op(tx: Transaction) -> int:
        rows = await tx.execute(
            "SELECT id FROM runs WHERE ended < EPOCH() - ? AND EXISTS"
            " (SELECT 1 FROM run_checkpoints c WHERE c.thread = runs.id) LIMIT ?",
            *(older_than, BATCH),
        )
        for row in rows:
            for table in ("run_checkpoints", "run_writes"):
                await tx.execute(f"DELETE FROM {table} WHERE thread = ?", row["id"])
        return len(rows)

    gone = 0
    while batch := await database.write(op):
        gone += batch
    return gone


class Sweeper:
    """Does all of it soon after a start, and then once an hour, for one agent's tasks. `days` is how long an ended task is kept."""

    def __init__(self, database: Database, agent: str, days: float) -> None:
        self._database, self._agent, self._days = database, agent, days
        self._sweeping = Chore("the sweeper", self._sweep)

    def start(self) -> None:
        self._sweeping.start()

    async def aclose(self) -> None:
        await self._sweeping.stop()

    async def _sweep(self) -> None:
        pause = SOON
        while True:
            await asyncio.sleep(pause * (0.5 + random.random()))  # replicas share a database: not all at once
            pause = HOUR
            try:
                tasks = await purge(self._database, self._days * DAY, self._agent)
                checkpoints = await drop_checkpoints(self._database)
                await self._database.write(lambda tx: sweep(tx, self._days * DAY))
                await decisions.purge(self._database, self._days * DAY)
            except StoreUnavailable as error:
                log.warning("nothing was swept: %s", error)
                continue
            if tasks or checkpoints:
                log.info("%d tasks and the checkpoints of %d runs were removed", tasks, checkpoints)
