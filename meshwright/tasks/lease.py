"""Who may work on a task: a lease with an expiry, and a token that every write proves.

The token rises with each claim. A replica that was paused and wakes up still knows its old token and can write nothing, whatever
it believes. The heartbeat only keeps the lease from being taken; it is not what makes writing safe.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from a2a.types import Message
from google.protobuf.message import DecodeError

from meshwright.errors import LeaseLost
from meshwright.tasks.snapshot import COLUMNS, Claim, Envelope, Snapshot, load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshwright.database import Database, Transaction

log = logging.getLogger(__name__)

#: Seconds after which a task that cannot be read is offered again.
UNREAD = 60.0
#: More processes than ever die over one task.
NEVER = 2**31
#: Over how many in a row one has died, with who holds it now where that one's lease is over.
_DEATHS = "claims + CASE WHEN work = 'running' THEN 1 ELSE 0 END"
#: What damaged bytes raise, and an event of a kind that only a newer build has.
_UNREADABLE = (DecodeError, ValueError, KeyError)


async def next_claim(tx: Transaction, agent: str) -> float | None:
    """A look that takes no lock: in how many seconds there is something to claim, as far as is known; None for nothing."""
    rows = await tx.execute(
        "SELECT (SELECT min(due) FROM tasks WHERE agent = ? AND work = 'queued') AS queued,"
        " (SELECT min(lease_until) FROM tasks WHERE agent = ? AND work = 'running') AS held, EPOCH() AS now",
        *(agent, agent),
    )
    times = [time for time in (rows[0]["queued"], rows[0]["held"]) if time is not None]
    return max(min(times) - float(rows[0]["now"]), 0.0) if times else None


async def claim(
    tx: Transaction, agent: str, holder: str, lease: float, limit: int, *, doubt: int = NEVER
) -> list[Claim]:
    """Take up to `limit` tasks that are queued, or whose holder let the lease run out; those count as one more try.

    Of those over which `doubt` processes or more have died a holder has only one at a time: what kills its process would take the
    others along each time, until they are given up with it. One that has come further since is in doubt no more.
    """
    rows = await tx.execute(
        f"SELECT id, {_DEATHS} AS deaths FROM tasks WHERE agent = ? AND ((work = 'queued' AND due <= EPOCH())"
        f" OR (work = 'running' AND lease_until < EPOCH())) AND ({_DEATHS} < ? OR NOT EXISTS (SELECT 1 FROM tasks mine"
        " WHERE mine.agent = ? AND mine.holder = ? AND mine.work = 'running' AND mine.lease_until >= EPOCH()"
        f" AND mine.claims >= ?)) ORDER BY due LIMIT ?{tx.skip_locked}",
        *(agent, doubt, agent, holder, doubt, limit),
    )
    doubtful = [row["id"] for row in rows if row["deaths"] >= doubt]
    chosen = [row["id"] for row in rows if row["id"] not in doubtful[1:]]
    if not chosen:
        return []
    rows = await tx.execute(
        f"UPDATE tasks SET holder = ?, token = token + 1, lease_until = EPOCH() + ?, claims = {_DEATHS}, work = 'running'"
        f" WHERE id IN ({', '.join('?' * len(chosen))}) RETURNING id, token",
        *(holder, lease, *chosen),
    )
    return [Claim(row["id"], row["token"]) for row in rows]


async def opened(tx: Transaction, claim: Claim) -> tuple[Snapshot, list[Envelope]]:
    """What there is to do under a claim. Raises LeaseLost."""
    rows = await tx.execute(
        f"SELECT {COLUMNS} FROM tasks WHERE id = ? AND token = ? AND work = 'running'",
        *(claim.task_id, claim.token),
    )
    if not rows:
        raise LeaseLost(f"the task {claim.task_id} is no longer ours")
    snapshot = await load(tx, rows[0])
    waiting = await tx.execute(
        "SELECT turn, body, headers, until - EPOCH() AS seconds FROM inbox WHERE task_id = ? AND turn > ? ORDER BY turn",
        *(claim.task_id, snapshot.answered),
    )
    return snapshot, [_envelope(row) for row in waiting]


async def taken(database: Database, agent: str, claim: Claim) -> tuple[Snapshot, list[Envelope]]:
    """The same for a claim just taken. A task whose row, log or inbox this build cannot read is put back with the reason.

    Raises LeaseLost, for that one too; StoreUnavailable.
    """
    try:
        return await database.read(lambda tx: opened(tx, claim))
    except _UNREADABLE as error:
        why = f"its row cannot be read ({type(error).__name__}): it needs a newer build, or is damaged"
    await database.write(lambda tx: release(tx, agent, [claim], seconds=UNREAD, why=why))
    log.error("the task %s is put back: %s", claim.task_id, why)
    raise LeaseLost(f"the task {claim.task_id} is put back: {why}")


def _envelope(row: object) -> Envelope:
    turn, body, headers, seconds = (row[k] for k in ("turn", "body", "headers", "seconds"))  # type: ignore[index]
    around = json.loads(headers)
    caller = around.pop("caller", "")
    return Envelope(turn, Message.FromString(bytes(body)), around, caller, float(seconds), fresh=False)


async def renew(tx: Transaction, agent: str, holder: str, lease: float) -> dict[str, int]:
    """The heartbeat: everything `holder` has, one statement. Returns {task id: token} of what it still has."""
    rows = await tx.execute(
        "UPDATE tasks SET lease_until = EPOCH() + ? WHERE agent = ? AND holder = ? AND work = 'running' RETURNING id, token",
        *(lease, agent, holder),
    )
    return {row["id"]: row["token"] for row in rows}


async def check(tx: Transaction, claim: Claim, *, progress: bool = False) -> None:
    """Prove a claim inside the transaction of any other write. Raises LeaseLost.

    `progress` says that whoever takes the task up does not do this again: only that clears what earlier deaths say against the task.
    """
    rows = await tx.execute(  # an update in any case: it takes the row, so nobody else takes the task before the commit
        "UPDATE tasks SET claims = CASE WHEN ? > 0 THEN 0 ELSE claims END"
        " WHERE id = ? AND token = ? AND work = 'running' RETURNING id",
        *(int(progress), claim.task_id, claim.token),
    )
    if not rows:
        raise LeaseLost(f"the task {claim.task_id} is no longer ours")


async def goes_on(tx: Transaction, task_id: str) -> bool:
    """Whether a task that is no longer ours is somebody else's; else it has ended, as by a cancel through another replica."""
    return bool(await tx.execute("SELECT 1 AS there FROM tasks WHERE id = ? AND work <> 'ended'", task_id))


async def abandon(tx: Transaction, claims: Iterable[Claim]) -> None:
    """Let leases run out now: something went wrong here, and whoever takes over counts it as one more try."""
    for held in claims:
        await tx.execute(
            "UPDATE tasks SET lease_until = 0.0, holder = '', token = token + 1 WHERE id = ? AND token = ? AND work = 'running'",
            *(held.task_id, held.token),
        )


async def release(
    tx: Transaction, agent: str, claims: Iterable[Claim], *, seconds: float = 0.0, why: str = ""
) -> None:
    """Put tasks back into the queue, to be taken at once, or in `seconds`; for whoever stops, or cannot do it."""
    for held in claims:
        await tx.execute(
            "UPDATE tasks SET work = 'queued', due = EPOCH() + ?, holder = '', token = token + 1, why = ?"
            " WHERE id = ? AND token = ? AND work = 'running'",
            *(seconds, why, held.task_id, held.token),
        )
    tx.wake(agent)
