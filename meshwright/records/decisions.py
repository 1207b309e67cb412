"""Decisions as rows: written in the transaction of what they decide, found by run, request or action, and gone after a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from meshwright.records.decision import Decision, digest

if TYPE_CHECKING:
    from meshwright.database import Database, Row, Transaction
    from meshwright.database.door import Statement

#: Rows of one INSERT, in the sizes that are used: few different statements, for they are kept prepared.
SIZES = (8, 4, 2, 1)
#: Rows of a run, or of a request, that are read at most.
MOST = 2_000

_COLUMNS = "id, kind, agent, at, correlation, run, task_id, action, outcome, heard, digest, body"
_INSERTS = {
    size: f"INSERT INTO decisions ({_COLUMNS}) VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'] * size)}"
    " ON CONFLICT (id) DO NOTHING"
    for size in SIZES
}


async def write(tx: Transaction, decisions: Sequence[Decision], *, heard: bool = False) -> None:
    """Keep them; one that is there already stays as it is. With `heard` they are a peer's, who has told us."""
    rows = [_row(decision, heard) for decision in decisions]
    place = 0
    for size in SIZES:
        while len(rows) - place >= size:
            some = rows[place : place + size]
            await tx.execute(_INSERTS[size], *(value for row in some for value in row))
            place += size


def statements(decisions: Sequence[Decision]) -> list[Statement]:
    """The same as statements that conclude an operation, one for each."""
    return [(_INSERTS[1], _row(decision, False)) for decision in decisions]


def digest_of(decision: Decision) -> str:
    """The digest of its row, as it is kept."""
    return digest(_body(decision))


def _body(decision: Decision) -> str:
    return decision.row().replace("\\u0000", "\\ufffd")


def _row(decision: Decision, heard: bool) -> tuple[Any, ...]:
    body = _body(decision)
    return (
        *(decision.id, decision.kind, decision.agent, decision.at, decision.correlation, decision.run),
        *(decision.task, decision.action, decision.outcome, int(heard), digest(body), body),
    )


async def found(
    database: Database, *, run: str = "", correlation: str = "", action: str = "", agent: str = ""
) -> list[Row]:
    """The rows of a run, a request, or an action, the oldest first, at most MOST: {id, digest, body, heard}.

    With `agent` only those that it has made: agents may share a database.
    """
    column, value = next(
        (name, value)
        for name, value in (("run", run), ("correlation", correlation), ("action", action))
        if value
    )

    async def op(tx: Transaction) -> list[Row]:
        # The condition on its own is what lets the engines use the index, which is of those that are not empty.
        whose, names = (" AND agent = ?", [value, agent]) if agent else ("", [value])
        return await tx.execute(
            f"SELECT id, digest, body, heard FROM decisions WHERE {column} = ? AND {column} <> ''{whose} ORDER BY at LIMIT ?",
            *names,
            MOST,
        )

    return await database.read(op)


async def purge(database: Database, older_than: float, batch: int = 1_000) -> int:
    """Delete those made more than `older_than` seconds ago; those of a run when it ended so long ago, all together. Returns how many."""

    async def op(tx: Transaction) -> int:
        rows = await tx.execute(
            "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions AS d WHERE at < EPOCH() - ? AND NOT EXISTS"
            " (SELECT 1 FROM runs WHERE runs.id = d.run AND (runs.ended IS NULL OR runs.ended >= EPOCH() - ?)) LIMIT ?)"
            " RETURNING id",
            *(older_than, older_than, batch),
        )
        return len(rows)

    gone = 0
    while some := await database.write(op):
        gone += some
    return gone
