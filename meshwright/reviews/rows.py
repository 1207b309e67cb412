"""A review's row and its votes, as they are read, and as they are held while somebody decides."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from meshwright.database import Row, Transaction
from meshwright.reviews.visible import skeleton
from meshwright.reviews.word import Word, effect

#: What stands in `details`, and what is read of a row without it.
_DETAILS: dict[str, Any] = {
    "evidence": [],
    "provenance": {},
    "conflict": None,
    "says": "",
    "confidence": None,
}
_DETAILS |= {"about": "", "subtask": "", "decision": ""}


@dataclass(frozen=True, slots=True)
class Held:
    """A review that nobody else changes before this transaction ends, with its run {task_id, caller, correlation}, and the time."""

    review: dict[str, Any]
    run: dict[str, Any]
    approved: tuple[str, ...]
    now: float

    async def vote(self, tx: Transaction, word: Word, by: str) -> None:
        """Note what a person says; who looks like somebody who has spoken is that person, and only the last word counts."""
        await _vote(tx, self.review, by, word.decision, word.reason)

    async def keep_approvals(self, tx: Transaction) -> None:
        """Make a vote of a decision of an older build, which had none."""
        for name in self.approved:
            await _vote(tx, self.review, name, "approve", self.review["reason"] or "")


async def held(tx: Transaction, key: str) -> Held | None:
    """Take a review for this transaction. Its task is taken first, as by whoever drives or ends it, so that nobody waits in a circle."""
    runs = await tx.execute(
        "SELECT runs.task_id, runs.caller, runs.correlation FROM reviews JOIN runs ON runs.id = reviews.run WHERE reviews.id=?",
        key,
    )
    if not runs:
        return None
    await tx.execute("UPDATE tasks SET claims=claims WHERE id=?", runs[0]["task_id"])
    rows = await tx.execute("UPDATE reviews SET version=version WHERE id=? RETURNING *, EPOCH() AS now", key)
    review = review_of(rows[0])
    approved = tuple(vote["by"] for vote in await approvals_of(tx, review))
    return Held(review, dict(runs[0]), approved, float(rows[0]["now"]))


async def read(tx: Transaction, key: str) -> dict[str, Any] | None:
    """One review in full: with its approvals, what it was edited from, and what the customer wrote."""
    rows = await tx.execute(
        "SELECT reviews.*, runs.request, runs.caller AS client, EPOCH() AS now FROM reviews JOIN runs ON runs.id = reviews.run"
        " WHERE reviews.id=?",
        key,
    )
    if not rows:
        return None
    review = review_of(rows[0])
    edits = await tx.execute(
        "SELECT id, arguments, proposed_by, decided_by, reason FROM reviews WHERE became=?", key
    )
    before = [{**dict(edit), "arguments": json.loads(edit["arguments"])} for edit in edits]
    approvals = await approvals_of(tx, review)
    return {**review, "approvals": approvals, "edited_from": before[0] if before else None}


def review_of(row: Row) -> dict[str, Any]:
    """A row as JSON. One of an older build gets the hash of what stands in it."""
    review = dict(row)
    details = json.loads(review.pop("details") or "{}")
    arguments = json.loads(review["arguments"])
    return {
        **review,
        **{name: details.get(name, value) for name, value in _DETAILS.items()},
        "arguments": arguments,
        "edited": json.loads(review["edited"]) if review["edited"] else None,
        "escalated": bool(review["escalated"]),
        "hash": review["hash"] or effect(review["action"], arguments),
    }


async def approvals_of(tx: Transaction, review: dict[str, Any]) -> list[dict[str, Any]]:
    """Who approved exactly what stands there. An older build kept no votes, only the name of who decided."""
    rows = await tx.execute(
        "SELECT name, reason, at FROM review_votes WHERE review=? AND decision='approve' AND hash=? ORDER BY at, name",
        *(review["id"], review["hash"]),
    )
    found = [{"by": row["name"], "reason": row["reason"], "at": row["at"]} for row in rows]
    if not found and review["state"] == "approve":
        found = [{"by": review["decided_by"], "reason": review["reason"] or "", "at": review["decided"]}]
    return found


async def over(tx: Transaction, review: dict[str, Any]) -> dict[str, Any]:
    """How a review ended, to the run that waits for it."""
    return {
        **{name: review[name] for name in ("hash", "version", "became", "edited")},
        "decision": review["state"],
        "by": review["decided_by"] or "nobody",
        "reason": review["reason"] or "",
        "approved_by": [vote["by"] for vote in await approvals_of(tx, review)],
    }


async def _vote(tx: Transaction, review: dict[str, Any], by: str, decision: str, reason: str) -> None:
    await tx.execute(
        "INSERT INTO review_votes (review, person, name, decision, reason, hash, at) VALUES (?,?,?,?,?,?,EPOCH())"
        " ON CONFLICT (review, person) DO UPDATE SET decision=excluded.decision, reason=excluded.reason, hash=excluded.hash,"
        " at=excluded.at",
        *(review["id"], skeleton(by), by, decision, reason, review["hash"]),
    )
