"""What a run's own decisions were when it ended, as one hash in the audit log: a row that is changed later does not match it.

Own are those of the run's task. What other agents tell of the run is theirs to answer for.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from meshwright.audit.log import Entry, append
from meshwright.records.decision import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshwright.database import Database, Row, Transaction

KIND = "run.ended"
_OWN = "FROM decisions WHERE run = ? AND run <> '' AND task_id = ? AND heard = 0"


async def seal(tx: Transaction, run: str, task_id: str, outcome: str, actor: str) -> None:
    """The last entry of a run that ends in this transaction, after all that was decided is written."""
    rows = await tx.execute(f"SELECT digest {_OWN}", run, task_id)
    body = {"outcome": outcome, **_sum([row["digest"] for row in rows])}
    await append(tx, Entry(KIND, actor, body, run, once=f"{KIND}:{run}"))


async def seal_late(
    tx: Transaction, run: str, task_id: str, outcome: str, actor: str, told: Iterable[str]
) -> None:
    """What the turn that a cancel stopped tells when the run has ended already, by the digests of its rows: an entry beside the first, which
    still holds for all others."""
    rows = await tx.execute(f"SELECT digest {_OWN}", run, task_id)
    late = sorted({row["digest"] for row in rows} & set(told))
    if late:
        body = {"outcome": outcome, "late": late}
        await append(tx, Entry(KIND, actor, body, run, once=f"{KIND}:{run}:{_sum(late)['sha256']}"))


async def intact(database: Database, run: str, task_id: str, *, kept: bool = True) -> bool | None:
    """Whether the run's own decisions are those that it ended with; None where that cannot be known.

    That is for a run that has not ended, for one of an older build, and where rows are missing that had not to be `kept` any more.
    """

    async def op(tx: Transaction) -> tuple[list[Row], list[Row]]:
        entries = await tx.execute(
            "SELECT payload FROM audit_log WHERE run = ? AND run <> '' AND kind = ? ORDER BY seq",
            *(run, KIND),
        )
        return entries, await tx.execute(f"SELECT digest, body {_OWN}", run, task_id)

    entries, rows = await database.read(op)
    if not entries:
        return None
    said, *more = [json.loads(row["payload"]) for row in entries]
    late = {each for entry in more if entry["outcome"] == "canceled" for each in entry.get("late", ())}
    if len(rows) < said["decisions"] + len(late) and not kept:
        return None
    there = [digest(row["body"]) for row in rows]
    return late <= set(there) and _sum([each for each in there if each not in late]).items() <= said.items()


def _sum(digests: list[str]) -> dict[str, Any]:
    text = "\n".join(sorted(digests))
    return {"decisions": len(digests), "sha256": hashlib.sha256(text.encode()).hexdigest()}
