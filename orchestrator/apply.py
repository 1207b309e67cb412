"""What the gate let through happens here, and only here: intent in the log, a grant, the write, its outcome in the log.

Each of the three is a transaction of its own, so whoever takes over after a crash finds the intent at least, asks again under the same
key with a grant of its own, and is told what came of it: an action is applied once or not at all, and the log says which.
"""

from __future__ import annotations

import time
from typing import Any

from langgraph.runtime import Runtime

from meshwright.audit import privacy
from meshwright.audit.log import Entry
from meshwright.deadline import Deadline
from meshwright.errors import MeshError, ToolRefused
from meshwright.findings import Gap, Proposal
from meshwright.grants.grant import Grant
from orchestrator.belief import given_up
from orchestrator.disputes import other_side
from orchestrator.explained import effected
from orchestrator.gate import SELF, action_key, approvers, in_force
from orchestrator.work import SHARES, Drive, Work


class Ungated(Exception):
    """An action is to be applied that no gate let through, too few people approved, or that is not what they saw: a bug, or a state
    that was tampered with."""


async def apply(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: apply every open action, in the order proposed. One that cannot be reached now becomes a gap, not a hope."""
    drive = runtime.context
    actions = await in_force(drive, state)
    rows: list[dict[str, Any]] = []
    gaps = list(state["gaps"])
    for row in actions:
        row = given_up(row, [*rows, *actions])
        if row["state"] == "open":
            row = await carry_out(drive, row, drive.by.share(SHARES.apply))
            action = row["proposal"]["action"]
            if row["state"] == "applied":
                await drive.say(f"applied {action}: {row['receipt'].get('summary', '')}"[:300])
            else:
                how = (
                    "refused when it was applied"
                    if row["state"] == "refused"
                    else "it is not known whether it was applied"
                )
                gaps.append(Gap(what=action, why=f"{how}: {row['why']}"[:4000]).model_dump(mode="json"))
        rows.append(row)
    left = [given_up(row, rows) for row in rows]
    for before, row in zip(actions, left, strict=True):
        if before["state"] != row["state"] == "rejected":
            other_side(drive.minutes, row, left)
        if before["state"] == "waiting" != row["state"]:
            await drive.reviews.call_off(row["key"], state["id"], row["why"], drive.claim)
    return {"actions": left, "gaps": gaps}


async def carry_out(drive: Drive, row: dict[str, Any], by: Deadline) -> dict[str, Any]:
    """An open action, as it is after its write: `applied` with the receipt, `refused`, or `unknown`, with the reason.

    Raises Ungated, and LeaseLost or StoreUnavailable where the log cannot be written: without an intent in the log nothing is asked.
    """
    people = approvers(row)
    _require_allowed(drive.run, row, people)
    proposal, verdict = row["proposal"], row["verdict"]
    grant = Grant.of(
        *(proposal["action"], proposal["arguments"]),
        key=row["key"],
        ticket=drive.run,
        policy=verdict["policy"],
        approvers=people,
    )
    intent = {
        "grant": grant.jti,
        "tool": grant.tool,
        "arguments": privacy.arguments(proposal["arguments"]),
        "args": privacy.keyed(grant.args),
        "verdict": {name: verdict.get(name) for name in ("decision", "policy")},
        "approvers": list(people),
    }
    issued = Entry("grant.issued", SELF, intent, drive.run, grant.key)
    await drive.store.record(drive.claim, issued, minutes=drive.minutes)
    began, left = time.time(), int(by.remaining * 1000)

    def note_it(server: str, came: dict[str, Any] | BaseException) -> None:
        known = {"person": ", ".join(people), "more": {"grant": grant.jti}}
        effected(drive, row, server, came, began=began, deadline_ms=left, **known)

    tools = drive.toolbox.session(by=by, ticket=drive.run, priority=drive.origin.priority)
    try:
        receipt = await tools.apply(grant, proposal["arguments"], note=note_it)
    except ToolRefused as refusal:
        done = {**row, "state": "refused", "why": str(refusal)}
    except MeshError as error:
        done = {**row, "state": "unknown", "why": str(error)}
    else:
        done = {**row, "state": "applied", "receipt": receipt}
    await note(drive, done, grant.jti)
    return done


async def note(drive: Drive, row: dict[str, Any], grant: str = "") -> None:
    """What came of an action, for the log; the same said twice stands there once."""
    state, receipt = row["state"], row.get("receipt", {})
    if receipt.get("replayed"):  # it was an earlier one, the answer to which was lost
        grant = str(receipt.get("grant") or grant)
    body = {
        "grant": grant,
        "tool": row["proposal"]["action"],
        "receipt": privacy.arguments(receipt),  # its words may name a street: of them only a hash
        "why": privacy.redacted(row.get("why", "")),
    }
    entry = Entry(f"effect.{state}", SELF, body, drive.run, row["key"], once=f"outcome:{row['key']}:{state}")
    await drive.store.record(drive.claim, entry, minutes=drive.minutes)


async def note_cut_off(drive: Drive, why: str) -> None:
    """The writes of a run whose time was up in the middle of them, for the log: what is decided of them waits in the minutes, and is kept
    with it. Raises LeaseLost, StoreUnavailable."""
    for cut in drive.minutes.open:
        if cut.kind == "effect" and cut.outcome == "unknown":
            row = {"key": cut.action, "state": "unknown", "why": why, "proposal": {"action": cut.selected}}
            await note(drive, row, str(cut.more.get("grant", "")))


def _require_allowed(run: str, row: dict[str, Any], people: tuple[str, ...]) -> None:
    """The gate has decided already; here it is looked at once more, because from here on nobody looks.

    The key is what the verdict and the review stand under, and it is made of the arguments: others have another key.
    """
    verdict = row["verdict"]
    needed = max(int(verdict.get("approvals", 0)), int(verdict["decision"] == "review"))
    if row["state"] != "open" or verdict["decision"] == "reject" or len(people) < needed:
        raise Ungated(
            f"{row['proposal']['action']} ({row['key']}) is {row['state']}, its verdict {verdict['decision']},"
            f" approved by {len(people)} of {needed}"
        )
    if row["key"] != action_key(run, Proposal.model_validate(row["proposal"])):
        raise Ungated(f"{row['proposal']['action']} ({row['key']}) is not what was judged under this key")
