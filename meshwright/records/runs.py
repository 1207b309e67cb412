"""Runs: what each request came to. Rows, on SQLite and PostgreSQL alike. What waits for a person is in `meshwright.reviews`."""

from __future__ import annotations

import json
import time
from typing import Any

from meshwright.audit.log import Entry, append
from meshwright.database import Database, Row, Transaction
from meshwright.errors import NotFound
from meshwright.records import decisions
from meshwright.records.minutes import Minutes
from meshwright.reviews.store import withdraw
from meshwright.tasks.lease import check
from meshwright.tasks.snapshot import Claim


class RunStore:
    """All that is kept of runs. Times are seconds since the epoch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self, run: str, *, task_id: str, caller: str, request: str, graph_version: str) -> None:
        """A run begins; one that has begun already goes on as it was."""
        await self._database.execute(
            "INSERT INTO runs (id, task_id, caller, request, state, graph_version, started)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            *(run, task_id, caller, request.replace("\0", "\ufffd"), "working", graph_version, time.time()),
        )

    async def save(
        self, run: str, state: str, report: dict[str, Any], claim: Claim, minutes: Minutes | None = None
    ) -> None:
        """Where the run stands now, and what was decided meanwhile. A run that has ended stays as it ended. Raises LeaseLost."""
        going_on = state in ("working", "waiting")
        decided = minutes.open if minutes is not None else []

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            await tx.execute(
                "UPDATE runs SET state=?, ended=CASE WHEN ?=1 THEN NULL ELSE EPOCH() END, report=? WHERE id=? AND ended IS NULL",
                *(state, int(going_on), json.dumps(report), run),
            )
            if not going_on:
                await withdraw(tx, run, f"the request has ended: it is {state}", "orchestrator")
            await decisions.write(tx, decided)

        await self._database.write(op)
        if minutes is not None:
            minutes.kept(decided)

    async def record(self, claim: Claim, *entries: Entry, minutes: Minutes | None = None) -> None:
        """Entries for the audit log and what was decided, in a transaction of their own. Raises LeaseLost."""
        decided = minutes.open if minutes is not None else []

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            await append(tx, *entries)
            await decisions.write(tx, decided)

        await self._database.write(op)
        if minutes is not None:
            minutes.kept(decided)

    async def ended_at_once(
        self,
        run: str,
        *,
        task_id: str,
        caller: str,
        request: str,
        graph_version: str,
        report: dict[str, Any],
        claim: Claim,
    ) -> None:
        """A run that was answered without being driven: begun and ended in one transaction. Raises LeaseLost."""

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            await tx.execute(
                "INSERT INTO runs (id, task_id, caller, request, state, graph_version, started, ended, report)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, EPOCH(), ?) ON CONFLICT (id) DO NOTHING",
                *(run, task_id, caller, request.replace("\0", "\ufffd"), report["outcome"], graph_version),
                *(time.time(), json.dumps(report)),
            )

        await self._database.write(op)

    async def get(self, run: str) -> dict[str, Any]:
        """Raises NotFound."""
        rows = await self._database.execute("SELECT * FROM runs WHERE id=?", run)
        if not rows:
            raise NotFound(f"there is no run {run!r}; `meshwright runs` lists them")
        return _run(rows[0])

    async def by_task(self, task_id: str) -> dict[str, Any] | None:
        rows = await self._database.execute("SELECT * FROM runs WHERE task_id=?", task_id)
        return _run(rows[0]) if rows else None

    async def recent(self, limit: int) -> list[dict[str, Any]]:
        rows = await self._database.execute("SELECT * FROM runs ORDER BY started DESC LIMIT ?", limit)
        return [_run(row) for row in rows]


async def end_with_task(tx: Transaction, task_id: str, state: str, why: str) -> None:
    """The task of a run was cancelled or given up: the run ends with it, and nobody needs to decide its reviews any more."""
    report = {"outcome": state, "why": why}
    rows = await tx.execute(
        "UPDATE runs SET state=?, ended=EPOCH(), report=coalesce(report, ?) WHERE task_id=? AND ended IS NULL RETURNING id",
        *(state, json.dumps(report), task_id),
    )
    for row in rows:
        await withdraw(tx, row["id"], why, "orchestrator")


def _run(row: Row) -> dict[str, Any]:
    return {**dict(row), "report": json.loads(row["report"]) if row["report"] else None}
