"""Runs and reviews: what each request came to, and what waits for a person. Rows, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
import time
from typing import Any, Literal

from meshwright.errors import AlreadyDecided, NotFound
from meshwright.findings import Proposal, Verdict
from meshwright.records.database import Database

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS runs (
        id TEXT PRIMARY KEY, task_id TEXT NOT NULL, caller TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL,
        graph_version TEXT NOT NULL, started DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION, report TEXT)""",
    "CREATE INDEX IF NOT EXISTS runs_by_task ON runs (task_id)",
    """CREATE TABLE IF NOT EXISTS reviews (
        id TEXT PRIMARY KEY, run TEXT NOT NULL REFERENCES runs (id), action TEXT NOT NULL, arguments TEXT NOT NULL,
        amount BIGINT, proposed_by TEXT NOT NULL, policy TEXT NOT NULL, why TEXT NOT NULL, created DOUBLE PRECISION NOT NULL,
        state TEXT NOT NULL, decided_by TEXT, reason TEXT, decided DOUBLE PRECISION)""",
)

Decision = Literal["approve", "reject"]


class RunStore:
    """All that is kept of runs. Times are seconds since the epoch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prepare(self) -> None:
        for statement in SCHEMA:
            await self._database.execute(statement)

    async def start(self, run: str, *, task_id: str, caller: str, request: str, graph_version: str) -> None:
        await self._database.execute(
            "INSERT INTO runs (id, task_id, caller, request, state, graph_version, started) VALUES (?,?,?,?,?,?,?)",
            *(run, task_id, caller, request, "working", graph_version, time.time()),
        )

    async def save(self, run: str, state: str, report: dict[str, Any]) -> None:
        """Where the run stands now. A run that has ended stays as it ended."""
        ended = None if state in ("working", "waiting") else time.time()
        await self._database.execute(
            "UPDATE runs SET state=?, ended=?, report=? WHERE id=? AND ended IS NULL",
            *(state, ended, json.dumps(report), run),
        )

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

    async def open_review(self, key: str, run: str, proposal: Proposal, verdict: Verdict) -> None:
        """Put a proposal before people. The same proposal twice is one review."""
        await self._database.execute(
            "INSERT INTO reviews (id, run, action, arguments, amount, proposed_by, policy, why, created, state)"
            " VALUES (?,?,?,?,?,?,?,?,?,'open') ON CONFLICT (id) DO NOTHING",
            *(key, run, proposal.action, json.dumps(proposal.arguments, sort_keys=True), proposal.amount),
            *(proposal.proposed_by, verdict.policy, verdict.why, time.time()),
        )

    async def reviews(self, *, state: str = "open") -> list[dict[str, Any]]:
        """Oldest first. `state` is open, approve, reject, or all."""
        where = "" if state == "all" else " WHERE state=?"
        values = () if state == "all" else (state,)
        rows = await self._database.execute(f"SELECT * FROM reviews{where} ORDER BY created", *values)
        return [_review(row) for row in rows]

    async def decide(self, key: str, decision: Decision, *, by: str, reason: str) -> dict[str, Any]:
        """Decide a review; one decision counts. Raises NotFound or AlreadyDecided."""
        rows = await self._database.execute(
            "UPDATE reviews SET state=?, decided_by=?, reason=?, decided=? WHERE id=? AND state='open' RETURNING *",
            *(decision, by, reason, time.time(), key),
        )
        if rows:
            return _review(rows[0])
        found = await self._database.execute("SELECT * FROM reviews WHERE id=?", key)
        if not found:
            raise NotFound(f"there is no review {key!r}; `meshwright reviews` lists the open ones")
        raise AlreadyDecided(f"{found[0]['decided_by']} already decided this review: {found[0]['state']}")

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


def _run(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "report": json.loads(row["report"]) if row["report"] else None}


def _review(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "arguments": json.loads(row["arguments"])}
