"""Notebooks as rows: written under the task's claim before it is said that the task waits, and read by whoever goes on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshwright.notebook import Notebook
from meshwright.tasks.lease import UNREAD, check
from meshwright.tasks.outbox import call_off
from meshwright.tasks.turn import Postponed

if TYPE_CHECKING:
    from meshwright.database import Database, Transaction
    from meshwright.tasks.snapshot import Claim


class Notebooks:
    """Those of one agent's tasks."""

    def __init__(self, database: Database, agent: str) -> None:
        self._database = database
        self._agent = agent

    async def find(self, task_id: str) -> Notebook | None:
        """That of a task, if it has one. Raises Postponed for one that this build cannot read: another may, or a person mends it."""
        rows = await self._database.execute("SELECT body FROM notebooks WHERE task_id = ?", task_id)
        try:
            return Notebook.read(rows[0]["body"]) if rows else None
        except (TypeError, ValueError) as error:
            why = (
                f"its notebook cannot be read ({type(error).__name__}): it needs a newer build, or is damaged"
            )
            raise Postponed(why, UNREAD) from error

    async def keep(self, claim: Claim, notebook: Notebook) -> None:
        """Write it down, and with it whose tasks wait for an answer through us: a cancel is passed on to them. Raises LeaseLost."""
        body = notebook.written()

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            await tx.execute(
                "INSERT INTO notebooks (task_id, body, updated) VALUES (?, ?, EPOCH())"
                " ON CONFLICT (task_id) DO UPDATE SET body = excluded.body, updated = excluded.updated",
                *(claim.task_id, body),
            )
            for name, peer in notebook.underway.items():
                await tx.execute(
                    "INSERT INTO outbox (id, agent, task_id, kind, address, body, state, remote, answer, attempts, due, created, why)"
                    " VALUES (?, ?, ?, 'ask', ?, '{}', 'sent', ?, '', 0, EPOCH(), EPOCH(), '') ON CONFLICT (id) DO NOTHING",
                    *(name, self._agent, claim.task_id, peer["url"], peer["remote"]),
                )

        await self._database.write(op)

    async def call_off(self, claim: Claim) -> None:
        """The task ends, and peers still wait for an answer through it: none will come. Raises LeaseLost."""

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            await call_off(tx, self._agent, claim.task_id)

        await self._database.write(op)
