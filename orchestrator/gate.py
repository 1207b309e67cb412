"""No action without a verdict: each proposal is judged by the policy, on facts that the gate looks up itself."""

from __future__ import annotations

import uuid
from typing import Any

from langgraph.runtime import Runtime

from meshwright.extension import canonical
from meshwright.findings import Proposal, Verdict
from meshwright.policy.rules import Policy
from orchestrator.work import SHARES, Drive, Work

#: The tag of skills that propose changes.
WRITES = "write"


async def gate(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
    """Node: a verdict for every proposal that has none yet. Reviews are written down where people find them."""
    drive = runtime.context
    rows = list(state["actions"])
    known = {row["key"] for row in rows}
    for place, row in enumerate(rows):
        if row["state"] == "approved":
            rows[place] = await _again(drive, state, row)
    for content in state["resolution"].get("proposals", []):
        proposal = Proposal.model_validate(content)
        key = action_key(state["id"], proposal)
        if key in known:
            continue
        known.add(key)
        verdict = await judge(drive, state, proposal)
        await drive.say(f"gate: {proposal.action}: {verdict.decision} ({verdict.why[:120]})")
        states = {"apply": "open", "review": "waiting", "reject": "rejected"}
        rows.append(
            {
                "key": key,
                "proposal": proposal.model_dump(mode="json"),
                "verdict": verdict.model_dump(mode="json"),
                "state": states[verdict.decision],
            }
        )
        if verdict.decision == "review":
            await drive.reviews.open(key, state["id"], proposal, verdict, drive.claim)
    return {"actions": rows}


async def _again(drive: Drive, state: Work, row: dict[str, Any]) -> dict[str, Any]:
    """A row that people approved, judged as the world is now; it waits again if that takes more people than it had."""
    proposal, approved = Proposal.model_validate(row["proposal"]), len(row["approved_by"])
    verdict = await judge(drive, state, proposal, approvals=approved)
    row = {**row, "verdict": verdict.model_dump(mode="json")}
    if verdict.decision == "reject":
        return {**row, "state": "rejected", "why": verdict.why}
    if verdict.decision == "apply" or max(verdict.approvals, 1) <= approved:
        return {**row, "state": "open"}
    await drive.reviews.open(
        *(row["key"], state["id"], proposal, verdict, drive.claim),
        provenance=row.get("provenance"),
        conflict=row.get("conflict"),
    )
    return {**row, "state": "waiting"}


async def judge(drive: Drive, state: Work, proposal: Proposal, approvals: int = 0) -> Verdict:
    """The policy's verdict on one proposal that so many people have approved."""
    policy: Policy = drive.policy
    tools = drive.toolbox.session(
        by=drive.by.share(SHARES.gate), ticket=state["id"], priority=drive.origin.priority
    )

    async def look_up(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return await tools.call(tool, **arguments)

    known = {
        "proposal": proposal.arguments,
        "proposal_confidence": proposal.confidence,
        "subject": state["subject"],
        "request": {"unread": state["unread"], "topic": state["topic"], "open_ends": open_ends(drive, state)},
    }
    return await policy.judge(proposal.action, known, look_up)


def open_ends(drive: Drive, state: Work) -> list[str]:
    """What was asked of a skill that proposes changes, and is not answered. Questions left open hold no change back."""
    skills = {part["id"]: part["skill"] for part in state["plan"]}
    return [
        gap["what"] for gap in state["gaps"] if WRITES in drive.directory.tags(skills.get(gap["subtask"], ""))
    ]


def action_key(run: str, proposal: Proposal) -> str:
    """The idempotency key of an action: the same run, action and arguments give the same key, whenever it is asked."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, canonical([run, proposal.action, proposal.arguments])))
