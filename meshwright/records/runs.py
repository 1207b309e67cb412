"""Runs: what each request came to. Rows, on SQLite and PostgreSQL alike. What waits for a person is in `meshwright.reviews`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from typing import Any

from meshwright.audit.log import Entry, append
from meshwright.database import Database, Row, Transaction
from meshwright.errors import InvalidRequest, NotFound
from meshwright.records import correlation, decisions, tracing
from meshwright.records.decision import Decision
from meshwright.records.minutes import Minutes, decision_id
from meshwright.records.seal import seal, seal_late
from meshwright.reviews.said import withdraw
from meshwright.tasks.lease import check
from meshwright.tasks.snapshot import Claim

#: Who drives runs, in what is written down of them.
SELF = "orchestrator"
#: Characters of a text that runs are searched for.
SEARCH = 200
#: Of a run, for a list: not its report, which is long.
_LISTED = "id, task_id, caller, request, state, started, ended, correlation, trace"
_START = (
    "INSERT INTO runs (id, task_id, caller, request, state, graph_version, started, ended, report, correlation, trace)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, CASE WHEN ? = 1 THEN EPOCH() END, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING id"
)
_PLACE = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)_([0-9A-Za-z-]{1,64})")


class RunStore:
    """All that is kept of runs. Times are seconds since the epoch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self, run: str, *, task_id: str, caller: str, request: str, graph_version: str) -> None:
        """A run begins; one that has begun already goes on as it was."""
        row = _begun(run, task_id, caller, request, "working", graph_version)
        await self._database.execute(_START, *row)

    async def save(
        self, run: str, state: str, report: dict[str, Any], claim: Claim, minutes: Minutes | None = None
    ) -> None:
        """Where the run stands now, and what was decided meanwhile. A run that has ended stays as it ended. Raises LeaseLost."""
        going_on = state in ("working", "waiting")
        decided = minutes.open if minutes is not None else []

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            rows = await tx.execute(
                "UPDATE runs SET state=?, ended=CASE WHEN ?=1 THEN NULL ELSE EPOCH() END, report=? WHERE id=? AND ended IS NULL"
                " RETURNING task_id",
                *(state, int(going_on), json.dumps(report), run),
            )
            if not going_on:
                await withdraw(tx, run, f"the request has ended: it is {state}", SELF)
            await decisions.write(tx, decided)
            if rows and not going_on:
                await seal(tx, run, rows[0]["task_id"], state, SELF)

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
        minutes: Minutes | None = None,
    ) -> None:
        """A run that was answered without being driven: begun and ended in one transaction. Raises LeaseLost."""
        decided = minutes.open if minutes is not None else []
        state = report["outcome"]
        row = _begun(run, task_id, caller, request, state, graph_version, json.dumps(report))

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            fresh = await tx.execute(_START, *row)
            await decisions.write(tx, decided)
            if fresh:
                await seal(tx, run, task_id, state, SELF)

        await self._database.write(op)
        if minutes is not None:
            minutes.kept(decided)

    async def get(self, run: str) -> dict[str, Any]:
        """Raises NotFound."""
        rows = await self._database.execute("SELECT * FROM runs WHERE id=?", run)
        if not rows:
            raise NotFound(f"there is no run {run!r}; `meshwright runs` lists them")
        return _run(rows[0])

    async def by_task(self, task_id: str) -> dict[str, Any] | None:
        rows = await self._database.execute("SELECT * FROM runs WHERE task_id=?", task_id)
        return _run(rows[0]) if rows else None

    async def of_action(self, key: str) -> str:
        """The run in which this action, or this review, was judged; empty where there is none."""
        sql = "SELECT run FROM decisions WHERE action = ? AND action <> '' AND run <> '' ORDER BY at LIMIT 1"
        rows = await self._database.execute(sql, key)
        rows = rows or await self._database.execute("SELECT run FROM reviews WHERE id = ?", key)
        return str(rows[0]["run"]) if rows else ""

    async def intended(self, run: str, action: str) -> bool:
        """Whether the log has it that this action was to be carried out."""
        sql = "SELECT seq FROM audit_log WHERE run = ? AND run <> '' AND action = ? AND kind = 'grant.issued' LIMIT 1"
        return bool(await self._database.execute(sql, run, action))

    async def recent(
        self, limit: int, *, before: str = "", state: str = "", text: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """The newest runs, without their reports, and where the list goes on (`before` of the next; empty at the end).

        `state` is that of a run; `text` its id, its task's, its request's, who asked, or words of what was asked. Raises InvalidRequest.
        """
        where, values = ["1=1"], list[Any]()
        if before:
            place = _PLACE.fullmatch(before)
            if place is None:
                raise InvalidRequest("before must be the `next` of another page")
            where.append("(started, id) < (?, ?)")
            values += [float(place[1]), place[2]]
        if state:
            where.append("state = ?")
            values.append(state)
        if text:
            # What is looked up by an index comes last: in most rows it is the words that are read.
            text = text.replace("\0", "\ufffd")[:SEARCH]
            words = "".join(f"!{c}" if c in "!%_" else c for c in text.lower())
            where.append(
                "(lower(request) LIKE ? ESCAPE '!' OR id = ? OR task_id = ? OR caller = ?"
                " OR id IN (SELECT id FROM runs WHERE correlation = ? AND correlation <> ''))"
            )
            values += [f"%{words}%", text, text, text, text]
        sql = f"SELECT {_LISTED} FROM runs WHERE {' AND '.join(where)} ORDER BY started DESC, id DESC LIMIT ?"
        rows = [dict(row) for row in await self._database.execute(sql, *values, limit + 1)]
        more = f"{rows[limit - 1]['started']!r}_{rows[limit - 1]['id']}" if len(rows) > limit else ""
        return rows[:limit], more


async def end_with_task(
    tx: Transaction, task_id: str, state: str, why: str, late: Sequence[Decision] = ()
) -> None:
    """The task of a run was cancelled or given up: the run ends with it, and nobody needs to decide its reviews any more.

    `late` is what is told of one that has ended so before, and is written: it is sealed too.
    """
    rows = await tx.execute(
        "UPDATE runs SET state=?, ended=EPOCH() WHERE task_id=? AND ended IS NULL"
        " RETURNING id, caller, correlation, report",
        *(state, task_id),
    )
    for row in rows:
        report = json.dumps(_cut_off(_run(row)["report"] or {}, state, why))
        await tx.execute("UPDATE runs SET report=? WHERE id=?", report, row["id"])
        await withdraw(tx, row["id"], why, SELF)
        await decisions.write(tx, [_final(row, task_id, state, why)])
        await seal(tx, row["id"], task_id, state, SELF)
    if late:
        ended = await tx.execute("SELECT id FROM runs WHERE task_id=? AND state=?", task_id, state)
        for row in ended:
            await seal_late(tx, row["id"], task_id, state, SELF, map(decisions.digest_of, late))


def _cut_off(report: dict[str, Any], state: str, why: str) -> dict[str, Any]:
    """The report of a run that ended while it waited: what it had found and done, and that nobody is waited for any more."""
    ended = {**report, "outcome": state, "why": why}
    if "verdicts" in report:
        ended["verdicts"] = [
            {**row, "state": "called-off"} if row.get("state") == "waiting" else row
            for row in report["verdicts"]
        ]
    ended.pop("asks", None)
    return ended


def _final(run: Row, task_id: str, state: str, why: str) -> Decision:
    """The last decision of a run that nobody drives: it was made outside of its turns."""
    trace, span = tracing.here()
    return Decision(
        id=decision_id(SELF, task_id, 0, "final"),
        kind="final",
        at=time.time(),
        agent=SELF,
        correlation=run["correlation"] or task_id,
        run=run["id"],
        task=task_id,
        turn=0,
        trace=trace,
        span=span,
        caller=run["caller"],
        outcome=state,
        reason=why,
    )


def _begun(
    run: str,
    task_id: str,
    caller: str,
    request: str,
    state: str,
    graph_version: str,
    report: str | None = None,
) -> Sequence[Any]:
    """The values of a run's row as it begins; one with a report has ended."""
    words = request.replace("\0", "\ufffd")
    known = (correlation.in_hand.get() or task_id, tracing.here()[0])
    return (
        run,
        task_id,
        caller,
        words,
        state,
        graph_version,
        time.time(),
        int(report is not None),
        report,
        *known,
    )


def _run(row: Row) -> dict[str, Any]:
    return {**dict(row), "report": json.loads(row["report"]) if row["report"] else None}
