"""Runs and reviews: what each request came to, and what waits for a person. Rows, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
import time
from typing import Any, Literal

from meshwright.audit.log import Entry, append
from meshwright.database import Database, Row, Transaction
from meshwright.errors import AlreadyDecided, NotFound
from meshwright.findings import Proposal, Verdict
from meshwright.tasks.accept import signal
from meshwright.tasks.lease import check
from meshwright.tasks.snapshot import Claim

Decision = Literal["approve", "reject"]


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

    async def save(self, run: str, state: str, report: dict[str, Any], claim: Claim) -> None:
        """Where the run stands now. A run that has ended stays as it ended. Raises LeaseLost."""
        going_on = state in ("working", "waiting")

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            await tx.execute(
                "UPDATE runs SET state=?, ended=CASE WHEN ?=1 THEN NULL ELSE EPOCH() END, report=? WHERE id=? AND ended IS NULL",
                *(state, int(going_on), json.dumps(report), run),
            )

        await self._database.write(op)

    async def record(self, claim: Claim, *entries: Entry) -> None:
        """Entries for the audit log, in a transaction of their own. Raises LeaseLost."""

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            await append(tx, *entries)

        await self._database.write(op)

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

    async def open_review(
        self, key: str, run: str, proposal: Proposal, verdict: Verdict, claim: Claim
    ) -> None:
        """Put a proposal before people. The same proposal twice is one review. Raises LeaseLost."""

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            await tx.execute(
                "INSERT INTO reviews (id, run, action, arguments, amount, proposed_by, policy, why, created, state)"
                " VALUES (?,?,?,?,?,?,?,?,EPOCH(),'open') ON CONFLICT (id) DO NOTHING",
                *(key, run, proposal.action, json.dumps(proposal.arguments, sort_keys=True)),
                *(proposal.amount, proposal.proposed_by, verdict.policy, verdict.why),
            )

        await self._database.write(op)

    async def reviews(self, *, state: str = "open") -> list[dict[str, Any]]:
        """Oldest first. `state` is open, approve, reject, or all."""
        where = "" if state == "all" else " WHERE state=?"
        values = () if state == "all" else (state,)
        rows = await self._database.execute(f"SELECT * FROM reviews{where} ORDER BY created", *values)
        return [_review(row) for row in rows]

    async def decide(
        self, key: str, decision: Decision, *, by: str, reason: str, agent: str = ""
    ) -> dict[str, Any]:
        """Decide a review; one decision counts. Raises NotFound or AlreadyDecided.

        When it was the run's last open one, the run's task (of `agent`) is told in the same transaction: a decision that
        is stored is one that the run goes on with.
        """
        reason = reason.replace("\0", "\ufffd")

        async def op(tx: Transaction) -> tuple[dict[str, Any], bool]:
            rows = await tx.execute(
                "UPDATE reviews SET state=?, decided_by=?, reason=?, decided=EPOCH() WHERE id=? AND state='open' RETURNING *",
                *(decision, by, reason, key),
            )
            if not rows:
                found = await tx.execute("SELECT * FROM reviews WHERE id=?", key)
                return (_review(found[0]) if found else {}), False
            review = _review(rows[0])
            # takes the run's row, so that of two decisions at once the later one sees both
            run = await tx.execute("UPDATE runs SET state=state WHERE id=? RETURNING task_id", review["run"])
            left = await tx.execute(
                "SELECT count(*) AS n FROM reviews WHERE run=? AND state='open'", review["run"]
            )
            if not left[0]["n"]:
                await signal(tx, agent, run[0]["task_id"], f"decided-{key}")
            return review, True

        review, decided = await self._database.write(op)
        if not review:
            raise NotFound(f"there is no review {key!r}; `meshwright reviews` lists the open ones")
        if not decided:
            raise AlreadyDecided(f"{review['decided_by']} already decided this review: {review['state']}")
        return review

    async def decisions(self, keys: list[str]) -> dict[str, dict[str, Any]]:
        """Those of the reviews that are decided, as {id: {decision, by, reason}}."""
        marks = ",".join("?" * len(keys)) or "NULL"
        rows = await self._database.execute(
            f"SELECT * FROM reviews WHERE state<>'open' AND id IN ({marks})", *keys
        )
        return {
            row["id"]: {"decision": row["state"], "by": row["decided_by"], "reason": row["reason"] or ""}
            for row in rows
        }

    async def undecided(self, run: str) -> int:
        rows = await self._database.execute(
            "SELECT count(*) AS n FROM reviews WHERE run=? AND state='open'", run
        )
        return int(rows[0]["n"])


async def end_with_task(tx: Transaction, task_id: str, state: str, why: str) -> None:
    """The task of a run was cancelled or given up: the run ends with it, and nobody needs to decide its reviews any more."""
    report = {"outcome": state, "why": why}
    rows = await tx.execute(
        "UPDATE runs SET state=?, ended=EPOCH(), report=coalesce(report, ?) WHERE task_id=? AND ended IS NULL RETURNING id",
        *(state, json.dumps(report), task_id),
    )
    for row in rows:
        await tx.execute(
            "UPDATE reviews SET state='withdrawn', reason=?, decided=EPOCH() WHERE run=? AND state='open'",
            *(why, row["id"]),
        )


def _run(row: Row) -> dict[str, Any]:
    return {**dict(row), "report": json.loads(row["report"]) if row["report"] else None}


def _review(row: Row) -> dict[str, Any]:
    return {**dict(row), "arguments": json.loads(row["arguments"])}
