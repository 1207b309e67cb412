"""The review queue as rows: put before people, claimed, decided once, on SQLite and PostgreSQL alike.

Each change is one transaction: the review, the word to the run that waits for it, and the entry in the audit log. A decision
that is stored is one that the run goes on with.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshwright.audit.log import Entry, append
from meshwright.audit.privacy import arguments as for_the_log
from meshwright.audit.privacy import redacted
from meshwright.database import Database, Row, Transaction
from meshwright.errors import AlreadyDecided, NotFound
from meshwright.findings import Proposal, Risk, Verdict
from meshwright.records import decisions, tracing
from meshwright.records.decision import Decision
from meshwright.reviews.rows import Held, held, over, read, review_of
from meshwright.reviews.said import of_word, said, withdraw
from meshwright.reviews.word import Word, effect, must_be_allowed, must_be_free
from meshwright.tasks.accept import signal
from meshwright.tasks.lease import check
from meshwright.tasks.snapshot import Claim

#: Seconds for which a claim keeps others from deciding.
CLAIM = 900.0
#: The share of the time until a review is escalated, by its risk.
_HURRY: dict[Risk, float] = {"low": 1.0, "medium": 0.5, "high": 0.25}
_PRESSING = (
    "CASE WHEN state='open' THEN escalated ELSE 0 END DESC,"
    " CASE risk WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END, due, created"
)
_KINDS = {"approve": "review.approved", "edit": "review.edited", "reject": "review.rejected"}


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until a review of a low risk is escalated (half for a medium, a quarter for a high one), and until any expires."""

    due: float = 86_400.0
    expires: float = 14 * 86_400.0


class ReviewStore:
    """The reviews of the runs of one `agent`. Times are seconds since the epoch, by the database's clock."""

    def __init__(self, database: Database, agent: str, patience: Patience | None = None) -> None:
        self._database = database
        self._agent = agent
        self._patience = patience or Patience()

    async def open(
        self,
        key: str,
        run: str,
        proposal: Proposal,
        verdict: Verdict,
        claim: Claim,
        *,
        provenance: Mapping[str, str] | None = None,
        conflict: Mapping[str, Any] | None = None,
        decision: str = "",
    ) -> None:
        """Put a proposal before people; `decision` is the verdict that does. The same proposal twice is one review; one that was approved, and needs more people
        now than it had, is open again with the approvals that it has. Raises LeaseLost."""
        needed, times = max(verdict.approvals, 1), self._times(verdict.risk)
        seen = effect(proposal.action, proposal.arguments)
        details = {
            **proposal.model_dump(mode="json", include={"confidence", "evidence", "about", "subtask"}),
            "says": proposal.why,
            "provenance": dict(provenance or {}),
            "conflict": dict(conflict) if conflict else None,
            "decision": decision,
        }
        why = (verdict.policy, verdict.why, verdict.source, verdict.risk, needed)
        stopped: dict[str, Any] = {
            "tool": proposal.action,
            "hash": seen,
            "arguments": for_the_log(proposal.arguments),
            "proposed_by": proposal.proposed_by,
            "policy": verdict.policy,
            "risk": verdict.risk,
            "needed": needed,
        }

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            fresh = await tx.execute(
                "INSERT INTO reviews (id, run, action, arguments, amount, proposed_by, hash, details, policy, why, source,"
                " risk, needed, created, due, expires, state)"
                " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,EPOCH(),EPOCH()+?,EPOCH()+?,'open') ON CONFLICT (id) DO NOTHING RETURNING id",
                *(key, run, proposal.action, json.dumps(proposal.arguments, sort_keys=True), proposal.amount),
                *(proposal.proposed_by, seen, json.dumps(details), *why, *times),
            )
            if not fresh:
                found = await held(tx, key)
                if found is None or found.review["state"] != "approve" or len(found.approved) >= needed:
                    return
                await found.keep_approvals(tx)
                await tx.execute(
                    "UPDATE reviews SET state='open', policy=?, why=?, source=?, risk=?, needed=?, escalated=0, due=EPOCH()+?,"
                    " expires=EPOCH()+?, decided_by=NULL, reason=NULL, decided=NULL, version=version+1 WHERE id=?",
                    *(*why, *times, key),
                )
            await append(tx, Entry("review.opened", self._agent, stopped, run, key))

        await self._database.write(op)

    async def call_off(self, key: str, run: str, why: str, claim: Claim) -> None:
        """The run does not need that decision any more. Raises LeaseLost."""

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            await withdraw(tx, run, why, self._agent, key)

        await self._database.write(op)

    async def one(self, key: str) -> dict[str, Any]:
        """One review with all that a person must see: what runs, why it stopped, both sides, evidence, who approved.

        Raises NotFound.
        """
        review = await self._database.read(lambda tx: read(tx, key))
        if review is None:
            raise _unknown(key)
        return review

    async def queue(
        self, *, state: str = "open", risk: str = "", run: str = "", limit: int = 500
    ) -> list[dict[str, Any]]:
        """The most pressing first: escalated, then by risk, then by when it is due. `state` is one of STATES, or `all`, or `decided`:
        all that are open no more, the latest first."""
        wanted = {"state": "" if state in ("all", "decided") else state, "risk": risk, "run": run}
        chosen = {name: value for name, value in wanted.items() if value}
        where = [f"{name}=?" for name in chosen] + (["state<>'open'"] if state == "decided" else [])
        order = "decided DESC, id" if state == "decided" else _PRESSING
        sql = f"SELECT * FROM reviews WHERE {' AND '.join(where) or '1=1'} ORDER BY {order} LIMIT ?"
        rows = await self._database.execute(sql, *chosen.values(), limit)
        return [review_of(row) for row in rows]

    async def waiting(self, run: str) -> list[dict[str, Any]]:
        """The open reviews of a run."""
        return await self.queue(run=run)

    async def decide(self, key: str, word: Word, *, by: str, became: str = "") -> dict[str, Any]:
        """One decision of one person; the review as it stands then. `became` is the key of what an edit makes of it.

        Raises NotFound, InvalidRequest, Forbidden, and the three that are answered with 409: AlreadyDecided, Outdated, Claimed.
        """
        place = tracing.here()

        async def op(tx: Transaction) -> tuple[dict[str, Any], Decision]:
            found = await self._held(tx, key)
            review = found.review
            must_be_allowed(word, by, review, found.run["caller"], found.approved, found.now)
            if word.decision == "edit" and await tx.execute(
                "SELECT id FROM reviews WHERE id=? OR became=?", became, became
            ):
                raise AlreadyDecided(f"exactly this has stood before people already, as the review {became}")
            await found.vote(tx, word, by)
            done = word.decision != "approve" or len(found.approved) + 1 >= review["needed"]
            if done:
                edited = None if word.arguments is None else json.dumps(dict(word.arguments), sort_keys=True)
                await tx.execute(
                    "UPDATE reviews SET state=?, decided_by=?, reason=?, decided=EPOCH(), became=?, edited=? WHERE id=?",
                    *(word.decision, by, word.reason, became, edited, key),
                )
                if not await self._tell(tx, found):
                    raise AlreadyDecided(
                        "the request it belongs to has ended: nothing would come of a decision"
                    )
            body = {"hash": review["hash"], "reason": redacted(word.reason), "over": done}
            if word.arguments is not None:
                after = effect(review["action"], word.arguments)
                body |= {"became": became, "edited": for_the_log(word.arguments), "edited_hash": after}
            row = of_word(self._agent, found, word, by, done, became, place)
            await self._changed(tx, found, _KINDS[word.decision], by, body, row)
            return await _read(tx, key), row

        page, row = await self._database.write(op)
        tracing.decided(row)
        return page

    async def claim(self, key: str, *, by: str) -> dict[str, Any]:
        """Keep others from deciding for a while; again, for that while from now. Raises NotFound, AlreadyDecided, Claimed."""

        async def op(tx: Transaction) -> dict[str, Any]:
            found = await self._held(tx, key)
            must_be_free(by, found.review, found.now)
            await tx.execute(
                "UPDATE reviews SET claimed_by=?, claimed_until=EPOCH()+? WHERE id=?", *(by, CLAIM, key)
            )
            await self._changed(tx, found, "review.claimed", by, {"seconds": CLAIM}, keep=True)
            return await _read(tx, key)

        return await self._database.write(op)

    async def release(self, key: str, *, by: str) -> dict[str, Any]:
        """Let go of a claim; of none, or of somebody else's that has lapsed, too. Raises NotFound, AlreadyDecided, Claimed."""

        async def op(tx: Transaction) -> dict[str, Any]:
            found = await self._held(tx, key)
            must_be_free(by, found.review, found.now)
            await self._changed(tx, found, "review.released", by, {})
            return await _read(tx, key)

        return await self._database.write(op)

    async def overdue(self, key: str) -> None:
        """Escalate a review that is due, and end one that has expired. For one that is neither it does nothing."""

        async def op(tx: Transaction) -> None:
            found = await held(tx, key)
            if found is None or found.review["state"] != "open" or found.review["expires"] is None:
                return
            seen = {"hash": found.review["hash"]}
            if found.review["expires"] <= found.now:
                why = f"nobody decided within {round(self._patience.expires / 86_400, 2):g} days"
                await tx.execute(
                    "UPDATE reviews SET state='expired', decided_by='nobody', reason=?, decided=EPOCH() WHERE id=?",
                    *(why, key),
                )
                await self._tell(tx, found)
                row = said(self._agent, found, "expired", why=why)
                await self._changed(tx, found, "review.expired", self._agent, seen, row)
            elif found.review["due"] <= found.now and not found.review["escalated"]:
                await tx.execute("UPDATE reviews SET escalated=1 WHERE id=?", key)
                row = said(self._agent, found, "escalate", why="it was due, and nobody had decided it")
                await self._changed(tx, found, "review.escalated", self._agent, seen, row)

        await self._database.write(op)

    async def next_due(self) -> tuple[list[str], float]:
        """The reviews that are due or expired, some of them if they are many, and in how many seconds the next one is.

        Those that an older build opened have no times; they get theirs here.
        """

        async def look(tx: Transaction) -> tuple[list[Row], list[Row]]:
            soon = await tx.execute(
                "SELECT (SELECT min(due) FROM reviews WHERE state='open' AND escalated=0) AS due,"
                " (SELECT min(expires) FROM reviews WHERE state='open') AS expires,"
                " (SELECT count(*) FROM reviews WHERE state='open' AND expires IS NULL) AS timeless, EPOCH() AS now"
            )
            return soon, await tx.execute(
                "SELECT id FROM reviews WHERE state='open' AND expires<=EPOCH() UNION"
                " SELECT id FROM reviews WHERE state='open' AND escalated=0 AND due<=EPOCH() LIMIT 100"
            )

        soon, due = await self._database.read(look)
        if soon[0]["timeless"]:
            sql = "UPDATE reviews SET due=EPOCH()+?, expires=EPOCH()+? WHERE state='open' AND expires IS NULL"
            await self._database.execute(sql, *self._times("medium"))
            return await self.next_due()
        times = [soon[0][name] for name in ("due", "expires")]
        times_left = [at - soon[0]["now"] for at in times if at is not None]
        return [row["id"] for row in due], max(min(times_left, default=math.inf), 0.0)

    async def decisions(self, keys: list[str]) -> dict[str, dict[str, Any]]:
        """Those of the reviews that are over, as {id: {decision, by, reason, hash, version, approved_by, became, edited}}."""
        marks = ",".join("?" * len(keys)) or "NULL"

        async def op(tx: Transaction) -> dict[str, dict[str, Any]]:
            rows = await tx.execute(f"SELECT * FROM reviews WHERE state<>'open' AND id IN ({marks})", *keys)
            return {row["id"]: await over(tx, review_of(row)) for row in rows}

        return await self._database.read(op)

    def _times(self, risk: Risk) -> tuple[float, float]:
        return self._patience.due * _HURRY[risk], self._patience.expires

    async def _held(self, tx: Transaction, key: str) -> Held:
        found = await held(tx, key)
        if found is None:
            raise _unknown(key)
        return found

    async def _tell(self, tx: Transaction, found: Held) -> bool:
        """Word to the run; False when it has ended. A review that was opened again is decided again: so the version is in the name."""
        name = f"decided-{found.review['id']}-{found.review['version']}"
        return await signal(tx, self._agent, found.run["task_id"], name)

    async def _changed(
        self,
        tx: Transaction,
        found: Held,
        kind: str,
        by: str,
        body: Mapping[str, Any],
        *row: Decision,
        keep: bool = False,
    ) -> None:
        """What every change does: the version rises, the claim ends (unless it is to `keep`), and the log has it, and the chain."""
        free = "" if keep else ", claimed_by=NULL, claimed_until=NULL"
        review = found.review
        await tx.execute(f"UPDATE reviews SET version=version+1{free} WHERE id=?", review["id"])
        await append(tx, Entry(kind, by, body, review["run"], review["id"]))
        await decisions.write(tx, row)


async def _read(tx: Transaction, key: str) -> dict[str, Any]:
    review = await read(tx, key)
    assert review is not None
    return review


def _unknown(key: str) -> NotFound:
    return NotFound(f"there is no review {key[:80]!r}; `meshwright reviews` lists the open ones")
