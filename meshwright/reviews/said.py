"""What became of a review, as a decision of the run that it belongs to: what a person said of it, or that nobody did.

A review is decided outside of any turn of its run. So these rows have the turn 0, and their ids follow from the review and its version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshwright.audit.log import Entry, append
from meshwright.audit.privacy import redacted
from meshwright.records import decisions
from meshwright.records.decision import Decision
from meshwright.records.minutes import decision_id
from meshwright.records.redact import reason, shown
from meshwright.reviews.rows import Held, review_of

if TYPE_CHECKING:
    from meshwright.database import Transaction
    from meshwright.reviews.word import Word


def said_id(agent: str, task_id: str, review: str, version: int) -> str:
    """The id of the decision that brought a review to this version."""
    return decision_id(agent, task_id, 0, f"review/{review}/{version}")


def said(
    agent: str,
    held: Held,
    outcome: str,
    *,
    by: str = "",
    why: str = "",
    more: Mapping[str, Any] | None = None,
    place: tuple[str, str] = ("", ""),
) -> Decision:
    """The row of a change to a review, as it stood before. Without `by` no person made it.

    `place` is its trace and span. It is not looked for here: a transaction may run in another's context.
    """
    review, run = held.review, held.run
    known = {"version": review["version"] + 1, "needed": review["needed"], **(more or {})}
    if review["created"] is not None:
        known["waited_s"] = round(max(held.now - review["created"], 0.0), 1)
    return Decision(
        id=said_id(agent, run["task_id"], review["id"], review["version"] + 1),
        kind="review",
        at=held.now,
        agent=agent,
        correlation=run["correlation"] or run["task_id"],
        run=review["run"],
        task=run["task_id"],
        turn=0,
        trace=place[0],
        span=place[1],
        parent=review["decision"],
        action=review["id"],
        subtask=review["subtask"],
        caller=run["caller"],
        outcome=outcome,
        selected=review["action"],
        reason=reason(why),
        source="person" if by else "code",
        policy=review["policy"],
        risk=review["risk"],
        person=by,
        more=known,
    )


def of_word(
    agent: str, held: Held, word: Word, by: str, over: bool, became: str, place: tuple[str, str]
) -> Decision:
    """The row of a person's word: with the arguments that an edit gave the action, and its new key."""
    approvals = len(held.approved) + (word.decision == "approve")
    more: dict[str, Any] = {"hash": held.review["hash"], "approvals": approvals, "over": over}
    if word.arguments is not None:
        more |= {"became": became, "edited": shown(word.arguments), "before": shown(held.review["arguments"])}
    return said(agent, held, word.decision, by=by, why=word.reason, more=more, place=place)


async def withdraw(tx: Transaction, run: str, why: str, by: str, key: str = "") -> None:
    """Nobody needs to decide the run's reviews any more (because it has ended), or that one."""
    rows = await tx.execute(
        "UPDATE reviews SET state='withdrawn', reason=?, decided=EPOCH(), version=version+1 WHERE run=? AND state='open'"
        " AND ? IN ('', id) RETURNING *, EPOCH() AS now",
        *(why, run, key),
    )
    if not rows:
        return
    runs = await tx.execute("SELECT task_id, caller, correlation FROM runs WHERE id = ?", run)
    for row in rows:
        review = review_of(row)
        before = {**review, "version": review["version"] - 1}
        held = Held(before, dict(runs[0]), (), float(row["now"]))
        await decisions.write(tx, [said(by, held, "withdrawn", why=why)])
        await append(tx, Entry("review.withdrawn", by, {"why": redacted(why)}, run, row["id"]))
